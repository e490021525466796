"""Breaks lines for a terminal: between words, with a hanging indent, and never what a person may copy as a command."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.cells import cell_len

_ROW = re.compile(r"^( *)(\S(?:.*?\S)?)( {2,})(?=\S)")
_LIST = re.compile(r"^( *)(?:[-*·•⚙✓✗!]|\d+[.)]) +")
_PROGRAM = r"(?:python|torchrun|accelerate|tunesmith|conda|git|uv|bash|sh)[\d.]*"
_COMMAND = re.compile(rf"^ +(?:command +)?(?:[\w./~-]*/)?{_PROGRAM} ")
"""A line that is a command: indented, and begins with the name of a program."""
MIN_TEXT = 24
"""Least width of a column of text next to a hanging indent."""


def wrap_line(line: str, width: int) -> Sequence[str]:
    """Return a line as lines of at most `width` cells; a command stays whole, for the terminal to break."""
    if cell_len(line) <= width or _COMMAND.match(line):
        return [line]
    indent = _hanging_indent(line)
    if width - indent < MIN_TEXT:
        indent = len(line) - len(line.lstrip(" "))
    return _filled(line, width, " " * min(indent, width // 2))


def _hanging_indent(line: str) -> int:
    """Return the column at which the text of a row or of an item of a list begins."""
    item = _LIST.match(line)
    if item is not None:
        return item.end()
    row = _ROW.match(line)
    return row.end() if row is not None else len(line) - len(line.lstrip(" "))


def _filled(line: str, width: int, indent: str) -> list[str]:
    lines: list[str] = []
    current = ""
    for part in re.findall(r" *\S+", line):
        if current.strip() and cell_len(current + part) > width:
            lines.append(current)
            current = indent + part.lstrip(" ")
        else:
            current += part
    return [*lines, current]
