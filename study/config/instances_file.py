"""Reads the instances of [instances].file, a CSV file of the project, and says what is wrong with it, by line."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunesmith.study.config.tables.instances import text_problems
from tunesmith.study.errors import Mistake
from tunesmith.study.formatting import render_exact, render_literal
from tunesmith.study.space.condition import Value

_KEY = "instances.file"
_OTHER_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "|"}
_MAX_MISTAKES = 8
"""Number of mistakes that are listed; a file of another kind has one in each line."""

Lines = Sequence[tuple[int, list[str]]]
"""The cells of each line, with its number in the file, from 1; a cell may span lines, the last one counts."""


def with_instances_from_file(document: Mapping[str, Any], folder: Path) -> tuple[Mapping[str, Any], list[Mistake]]:
    """Return a study file's document with the instances of [instances].file as values, and what is wrong with it."""
    table = document.get("instances")
    if not isinstance(table, Mapping) or not isinstance(table.get("file"), str):
        return document, []
    if "values" in table:
        return document, [Mistake("instances.values", "cannot be given besides file; remove one of the two")]
    name = table["file"]
    lines, problem = _read(folder / name, name)
    mistakes = [problem] if problem else list(_mistakes(lines, name))
    if mistakes:
        more = len(mistakes) - _MAX_MISTAKES
        rest = [Mistake(_KEY, f"{name} has {more} more mistakes")] if more > 0 else []
        return document, [*mistakes[:_MAX_MISTAKES], *rest]
    header = _names(lines)
    rows = [dict(zip(header, map(_cell, cells), strict=True)) for _, cells in lines[1:]]
    return {**document, "instances": {**table, "values": rows}}, []


def _read(path: Path, name: str) -> tuple[Lines, Mistake | None]:
    lines = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            for cells in reader:
                # A line with one quoted cell without text is an instance without a name, not a blank line.
                if cells == [""] or any(cell.strip() for cell in cells):
                    lines.append((reader.line_num, cells))
    except FileNotFoundError:
        return [], Mistake(_KEY, f"{name} does not exist in {path.parent}")
    except UnicodeDecodeError:
        return [], Mistake(_KEY, f"{name} is not text in UTF-8; save it as such")
    except csv.Error as error:
        text = f"{name} cannot be read as CSV from line {lines[-1][0] + 1 if lines else 1} on: {error}"
        return [], Mistake(_KEY, f"{text}; is a quote not closed, or a cell too long?")
    except OSError as error:
        return [], Mistake(_KEY, f"{name} cannot be read: {error.strerror}")
    return lines, None


def _mistakes(lines: Lines, name: str) -> Iterator[Mistake]:
    if len(lines) < 2:  # noqa: PLR2004  # a header and an instance
        yield Mistake(_KEY, f"{name} has no instance; expected a header and one line per instance")
        return
    header = _names(lines)
    other = next((word for sign, word in _OTHER_DELIMITERS.items() if len(header) == 1 and sign in header[0]), None)
    if other is not None:
        yield Mistake(_KEY, f"{name} separates its columns by {other}; write commas")
        return
    for column, times in Counter(header).items():
        if not column.isidentifier():
            text = f"{name} has the column {render_literal(column)}"
            yield Mistake(_KEY, f"{text}; the first line names the columns, with letters, digits and _")
        elif times > 1:
            often = "twice" if times == 2 else f"{times} times"  # noqa: PLR2004
            yield Mistake(_KEY, f"{name} has the column {column} {often}; rename all but one")
    seen: dict[str, int] = {}
    for number, cells in lines[1:]:
        yield from (Mistake(_KEY, text) for text in _line_problems(number, cells, header, name))
        first = render_exact(_cell(cells[0]))
        if first in seen:
            text = f"{name} lists {render_literal(first)} twice, in lines {seen[first]} and {number}; remove one"
            yield Mistake(_KEY, text)
        seen.setdefault(first, number)


def _line_problems(number: int, cells: Sequence[str], header: Sequence[str], name: str) -> Iterator[str]:
    if len(cells) != len(header):
        yield f"{name} has {len(cells)} cells in line {number}, but {len(header)} columns"
        return
    if not all(cell.strip() for cell in cells):
        yield f"{name} has an empty cell in line {number}; every cell needs a value"
        return
    for value in map(_cell, cells):
        if isinstance(value, str):
            yield from (f"{name}, line {number}: {problem}" for problem in text_problems(value))
        elif isinstance(value, float) and not math.isfinite(value):
            yield f"{name} has {value} in line {number}; write a finite number, or another text"


def _names(lines: Lines) -> list[str]:
    return [cell.strip() for cell in lines[0][1]]


def _cell(text: str) -> Value:
    """Return a cell as a number where its text is exactly that, so that 007 stays a name."""
    text = text.strip()
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if render_exact(number) == text or not math.isfinite(number):
            return number
    return text
