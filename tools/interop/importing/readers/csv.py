"""Reads a CSV table of trials, as spreadsheets, W&B and MLflow write it."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tunesmith.study.errors import ProjectError
from tunesmith.tools.interop.importing.imported_table import ImportedRow, ImportedTable, SkippedRow, make_table
from tunesmith.tools.interop.importing.rows import row_of, select_rows
from tunesmith.tools.interop.importing.text import read_text

_DELIMITERS = ",;\t|"
_MAX_CELL_CHARS = 2**31 - 1
_DECIMAL_COMMA = re.compile(r"\s*+[-+]?\d++,\d++([eE][-+]?\d++)?\s*+")
_THOUSANDS = re.compile(r"\s*+[-+]?[1-9]\d{0,2}(,\d{3})++\s*+")
_DECIMAL_POINT = re.compile(r"\s*+[-+]?\d*+\.\d++([eE][-+]?\d++)?\s*+")


def read_csv(path: Path, named: str | None) -> ImportedTable:
    """Return the rows of a CSV file. Its first line that is not blank is the header.

    Raises:
        ProjectError: the file is not text, has no header or no rows, or has no study of the name.
    """
    delimiter, records = _records(path, read_text(path))
    header = next(records, None)
    if not isinstance(header, list) or len([name for name in header if name.strip()]) < 2:  # noqa: PLR2004  # parameter, metric
        raise ProjectError(f"{path} has no header with at least two columns; write one, for example lr,val_loss")
    found = list(records)
    if not found:
        raise ProjectError(f"{path} has a header, but no rows")
    rows = [cells for cells in found if isinstance(cells, list)]
    if delimiter != "," and _has_decimal_commas(rows):
        found = [[_with_point(cell) for cell in cells] if isinstance(cells, list) else cells for cells in found]
    names = _column_names(header, rows)
    table = [_row(names, cells) if isinstance(cells, list) else cells for cells in found]
    return make_table(str(path), path.stem, select_rows(table, named, path))


def _records(path: Path, text: str) -> tuple[str, Iterator[list[str] | SkippedRow]]:
    """Return the delimiter and the records that are not blank."""
    match = re.match(r"\s{0,200}\"?sep=(.)\"?[^\S\n]{0,200}(\r\n|\r|\n)", text, re.IGNORECASE)
    if match:
        text, delimiter = text[match.end() :], match[1]
    else:
        head = re.sub(r'"[^"]*"', "", text.lstrip("\r\n ").split("\n", 1)[0])
        delimiter = max(_DELIMITERS, key=head.count)
    try:
        with _any_cell_size():
            records = list(_parsed(text, delimiter))
    except csv.Error as error:
        raise ProjectError(f"{path} cannot be read as CSV: {error}") from None
    return delimiter, (r for r in records if isinstance(r, SkippedRow) or any(cell.strip() for cell in r))


def _parsed(text: str, delimiter: str) -> Iterator[list[str] | SkippedRow]:
    try:
        yield from list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error:
        # A quote that is never closed would take all rows after it into one cell.
        for line in re.split(r"\r\n|\r|\n", text):
            try:
                yield from csv.reader([line], delimiter=delimiter, strict=True)
            except csv.Error:
                yield SkippedRow("its quotes are not closed")


@contextmanager
def _any_cell_size() -> Iterator[None]:
    before = csv.field_size_limit(_MAX_CELL_CHARS)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _column_names(header: Sequence[str], rows: Sequence[list[str]]) -> list[str]:
    """Return the names; columns of one name and with different cells are numbered, so that none is taken by chance."""
    names = [name.strip() for name in header]
    counts = Counter(names)
    found = []
    for index, name in enumerate(names):
        first = names.index(name) if counts[name] > 1 else index
        twins = [i for i in range(first, len(names)) if names[i] == name] if counts[name] > 1 else []
        if all(_cell(row, first) == _cell(row, twin) for row in rows for twin in twins):
            found.append(name)
        else:
            found.append(f"{name} [{twins.index(index) + 1}]")
    return found


def _cell(row: Sequence[str], index: int) -> str:
    return row[index] if index < len(row) else ""


def _row(names: Sequence[str], cells: Sequence[str]) -> ImportedRow | SkippedRow:
    if any(cell.strip() for cell in cells[len(names) :]):
        return SkippedRow("it has more cells than the header")
    return row_of({name: cell for name, cell in zip(names, cells, strict=False) if name})


def _has_decimal_commas(rows: Sequence[list[str]]) -> bool:
    """Return whether numbers have decimal commas: some have a comma that cannot separate thousands, none a point."""
    cells = [cell for row in rows for cell in row]
    has_comma = any(_DECIMAL_COMMA.fullmatch(cell) and not _THOUSANDS.fullmatch(cell) for cell in cells)
    return has_comma and not any(_DECIMAL_POINT.fullmatch(cell) for cell in cells)


def _with_point(cell: str) -> str:
    return cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell
