"""Reads a table of trials: CSV with a header, JSON lines, or a JSON list of objects."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tunesmith.study.errors import ProjectError
from tunesmith.tools.interop.importing.imported_table import STATES, VALUE, Found, FoundRow

_STATE = ("state", "status")
_SECONDS = ("seconds", "wall_s", "time_total_s", "duration_s", "runtime", "_runtime", "duration")
_PARAMS = ("params", "parameters", "config", "hyperparameters", "hparams")
_VALUES = ("values", "metrics", "results", "summary")


def read_csv(path: Path) -> Found:
    """Return the rows of a CSV file with a header; the delimiter is a comma, semicolon or tab.

    Raises:
        ProjectError: it cannot be read, or a line has more cells than the header.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            file.seek(0)
            delimiter = max(",;\t", key=head.count)
            reader = csv.DictReader(file, delimiter=delimiter)
            _require_header(path, reader.fieldnames)
            rows = [found_row(_sound(path, reader.line_num, cells)) for cells in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ProjectError(f"{path} cannot be read as CSV: {error}") from None
    return Found(str(path), path.stem, rows)


def read_json(path: Path) -> Found:
    """Return the objects of a JSON-lines file or of a JSON list.

    Raises:
        ProjectError: it cannot be read, or holds something else.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(f"{path} cannot be read: {error}") from None
    objects = list(_list(path, text) if text.lstrip().startswith("[") else _lines(path, text))
    return Found(str(path), path.stem, [found_row(flat(one)) for one in objects])


def found_row(cells: Mapping[str, Any]) -> FoundRow:
    """Return the row, its state and seconds taken from columns that are called so."""
    lower = {name.lower(): value for name, value in cells.items()}
    state = next((STATES.get(str(lower[name]).strip().lower()) for name in _STATE if lower.get(name)), None)
    seconds = next((_number(lower[name]) for name in _SECONDS if lower.get(name)), 0.0)
    return FoundRow(cells, state, seconds)


def flat(one: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object without nesting: what stands under params by its own name, under values after `value.`."""
    found: dict[str, Any] = {}
    for name, value in one.items():
        if not isinstance(value, Mapping):
            found[name] = value
        elif name.lower() in _PARAMS:
            found |= flat(value)
        else:
            start = VALUE if name.lower() in _VALUES else f"{name}."
            found |= {f"{start}{inner}": leaf for inner, leaf in flat(value).items()}
    return found


def _require_header(path: Path, names: Iterable[str] | None) -> None:
    listed = list(names or [])
    twice = {name for name in listed if listed.count(name) > 1}
    if len(listed) < 2:  # noqa: PLR2004  # a parameter and a value
        raise ProjectError(f"{path} has no header with at least two columns; write one, for example lr,val_loss")
    if twice:
        raise ProjectError(f"{path} has two columns called {sorted(twice)[0]!r}; rename one")


def _sound(path: Path, line: int, cells: dict[str | Any, Any]) -> dict[str, Any]:
    if None in cells:
        raise ProjectError(f"{path}, line {line}: has more cells than the header; quote what holds the delimiter")
    return cells


def _list(path: Path, text: str) -> Iterator[Mapping[str, Any]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProjectError(f"{path} is no JSON: {error}") from None
    for index, one in enumerate(found):
        if not isinstance(one, dict):
            raise ProjectError(f"{path}, entry {index}: {str(one)[:40]!r} is no object such as {{...}}")
        yield one


def _lines(path: Path, text: str) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            one = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ProjectError(f"{path}, line {number}: is no JSON: {error}") from None
        if not isinstance(one, dict):
            raise ProjectError(f"{path}, line {number}: {line[:40]!r} is no object such as {{...}}")
        yield one


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0
