"""Reads the numbers of JSON objects and Python dicts, as lines of output and files of metrics hold them."""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Iterator
from typing import Any

from tunesmith.evaluator.output.numerals import read_number

MAX_LITERAL_CHARS = 20_000
"""Longest text that is read as a Python dict; a longer one is read as names and values."""
_A_LINE = "<a line of output>"
# Python warns of what looks odd in source; a line of output is none.
warnings.filterwarnings("ignore", category=SyntaxWarning, module=_A_LINE)


def flatten(entry: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, float]]:
    """Yield the numbers of nested dicts, with their names parted by slashes."""
    for key, value in entry.items() if isinstance(entry, dict) else ():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and depth < 8:  # noqa: PLR2004  # deeper than any log that people read
            yield from flatten(value, f"{name}/", depth + 1)
        elif (number := _number(value)) is not None:
            yield name, number


def object_in(line: str) -> dict[str, float]:
    """Return the numbers of the JSON object or Python dict on a line, which may have other text around it."""
    start, end = line.find("{"), line.rfind("}") + 1
    if start < 0 or end <= start:
        return {}
    text = line[start:end]
    try:
        return dict(flatten(json.loads(text)))
    except (ValueError, RecursionError):
        pass
    if len(text) > MAX_LITERAL_CHARS:
        return {}
    try:
        return dict(flatten(ast.literal_eval(ast.parse(text, _A_LINE, mode="eval"))))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return {}


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        return read_number(value) if len(value) <= 64 else None  # noqa: PLR2004  # no number is longer
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None
