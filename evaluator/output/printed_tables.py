"""Reads tables in printed text: a line with the names of columns, then lines with their values."""

from __future__ import annotations

import re

from tunesmith.evaluator.output.numerals import read_number

_DELIMITERS = (r"[|│┃]", r"\t", r";", r",", r"\s{2,}", r"\s+")
"""What parts the cells of a line, from the surest sign of a table to the least."""
_ROW = re.compile(r"\s{0,200}+(?:[-+.\d]|[|│┃])|[\s\-=+:|_│┃─━═┼╇╪╋┏┡┗└├┌┐┤┘┓┩┛╞╡]*+\Z")
_CLOCK = re.compile(r"\d{1,3}(?::\d\d){1,2}(?:\.\d{1,9})?|[-–]|n/a|none", re.IGNORECASE)
_NAME = re.compile(r"[^\d=:{}\"'+.-][^=:{}\"']{0,80}|")
_WORD = re.compile(r"[A-Za-z_#%][\w./@%()-]{0,80}")
MAX_HEADER_CHARS = 4096
"""Longest line that can be a header."""
MAX_COLUMNS = 200
"""Largest number of columns."""


class PrintedTable:
    """The table that is being printed on one stream, if there is one.

    Rows follow the header without other lines between them; rules and empty lines may be between.
    """

    def __init__(self) -> None:
        self._columns: list[str] = []
        self._delimiter = ""
        self._last_line = -2

    def open(self, header: str, number: int) -> bool:
        """Begin a table if this line can be a header; return whether it can.

        Args:
            header: the line.
            number: of the line on its stream.
        """
        if len(header) > MAX_HEADER_CHARS or not header.strip("|│┃ \t"):
            return False
        for delimiter in _DELIMITERS:
            cells = _cells(header, delimiter)
            name = _WORD if delimiter == _DELIMITERS[-1] else _NAME
            if 2 <= len(cells) <= MAX_COLUMNS and all(name.fullmatch(cell) and not _is_value(cell) for cell in cells):
                self._columns, self._delimiter, self._last_line = cells, delimiter, number
                return True
        return False

    def row(self, line: str, number: int) -> dict[str, str]:
        """Return the cells of a line by column, {} if the line is not a row of the table."""
        if number not in (self._last_line, self._last_line + 1) or not can_follow_header(line):
            self._last_line = -2
            return {}
        self._last_line = number
        cells = _cells(line, self._delimiter)
        if self._delimiter.startswith(r"\s") and len(cells) == len(self._columns) + 1:
            cells = cells[1:]  # pandas numbers its rows
        if len(cells) != len(self._columns) or not all(map(_is_value, filter(None, cells[1:]))):
            return {}
        return dict(zip(self._columns, cells, strict=True))


def can_follow_header(line: str) -> bool:
    """Return whether the line may be a row, a rule or an empty line of a table."""
    return _ROW.match(line) is not None


def _cells(line: str, delimiter: str) -> list[str]:
    text = line.strip()
    if delimiter == _DELIMITERS[0]:
        text = text.strip("|│┃")
    return [cell.strip() for cell in re.split(delimiter, text, maxsplit=MAX_COLUMNS)]


def _is_value(cell: str) -> bool:
    return read_number(cell) is not None or _CLOCK.fullmatch(cell) is not None
