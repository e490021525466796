"""Makes rows of tables and JSON objects: the state and the seconds of a trial, nested objects, the selected study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tunesmith.study.errors import ProjectError
from tunesmith.tools.interop.importing.choice import select_study
from tunesmith.tools.interop.importing.imported_table import STATES, VALUE, ImportedRow, SkippedRow

_STATE = ("state", "status")
_SECONDS = ("seconds", "wall_s", "time_total_s", "duration_s", "runtime", "_runtime", "duration")
_PARAMS = ("params", "parameters", "config", "hyperparameters", "hparams")
_VALUES = ("values", "metrics", "results", "summary")
_STUDY = ("study", "study_name", "experiment", "experiment_name", "experiment_id", "sweep", "sweep_name", "project")

NOT_VALUES = frozenset((*_STATE, *_SECONDS, *_STUDY))
"""Names of columns, in lower case, that say something about a trial or a study and are no parameter or metric."""


def row_of(cells: Mapping[str, Any]) -> ImportedRow:
    """Return the row of a trial; its state and seconds come from columns with the usual names."""
    lower = {name.lower(): value for name, value in cells.items()}
    state = next((STATES.get(str(lower[name]).strip().lower()) for name in _STATE if lower.get(name)), None)
    seconds = next((_number(lower[name]) for name in _SECONDS if lower.get(name)), 0.0)
    return ImportedRow(cells, state, seconds)


def flatten(nested: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object without nesting: entries of params by their own name, entries of values after `value.`."""
    found: dict[str, Any] = {}
    for name, value in nested.items():
        if not isinstance(value, Mapping):
            found[name] = value
        elif name.lower() in _PARAMS:
            found |= flatten(value)
        else:
            prefix = VALUE if name.lower() in _VALUES else f"{name}."
            found |= {f"{prefix}{inner}": leaf for inner, leaf in flatten(value).items()}
    return found


def select_rows(
    rows: Iterable[ImportedRow | SkippedRow], named: str | None, path: Path
) -> Iterable[ImportedRow | SkippedRow]:
    """Return the rows of the study named with --named, by a column of studies; all rows if none is named.

    Raises:
        ProjectError: there is no column of studies, or none with that name.
    """
    found = list(rows)
    if named is None or named == path.stem:
        return found
    studies = [_study(row.cells) for row in found if isinstance(row, ImportedRow)]
    names = sorted({name for name in studies if name})
    if not names:
        raise ProjectError(f"{path} is one table without a column of studies; leave out --named {named}")
    select_study(names, named, where=str(path))
    return [row for row in found if isinstance(row, SkippedRow) or _study(row.cells) == named]


def _study(cells: Mapping[str, Any]) -> str:
    lower = {name.lower().replace(" ", "_"): value for name, value in cells.items()}
    return next((str(lower[name]) for name in _STUDY if lower.get(name) is not None), "")


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0
