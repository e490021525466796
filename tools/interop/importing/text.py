"""Reads text files of other programs: their encodings, lines and damaged JSON."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunesmith.study.errors import ProjectError
from tunesmith.study.formatting import valid_text, valid_values

_BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_SAMPLE_BYTES = 1000


def read_text(path: Path) -> str:
    """Return a file's text: UTF-8, UTF-16, or the Western Windows encoding of older spreadsheets.

    Raises:
        ProjectError: the file cannot be read or is not text.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ProjectError(f"{path} cannot be read: {error.strerror}") from None
    try:
        return valid_text(content.decode(_encoding(content)))
    except UnicodeDecodeError:
        if b"\0" in content:
            raise ProjectError(f"{path} cannot be read as text: it is damaged or a binary file") from None
        return valid_text(content.decode("cp1252", errors="replace"))


def json_lines(text: str) -> Iterator[tuple[int, Any]]:
    """Yield the number and the value of each line of JSON that is not blank; a ValueError in place of bad JSON."""
    # A JSON text may contain U+2028 and other characters at which str.splitlines would break it.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, parse_json(line)


def parse_json(text: str) -> Any:
    """Return the value of a JSON text; the error as a ValueError for text that is not valid JSON."""
    try:
        return valid_values(json.loads(text))
    except ValueError as error:
        return error
    except RecursionError:
        return ValueError("it is nested too deeply")


def first_line(error: Exception) -> str:
    """Return the first line of an error's message; its class if it has none."""
    return str(error).strip().split("\n", 1)[0].strip() or type(error).__name__


def _encoding(content: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return encoding
    sample = content[:_SAMPLE_BYTES]
    if len(sample) > 1 and len(sample) % 2 == 0:
        # ASCII characters in UTF-16 have a zero byte each.
        for first, encoding in ((0, "utf-16-le"), (1, "utf-16-be")):
            if not any(sample[1 - first :: 2]) and all(0 < byte < 128 for byte in sample[first::2]):  # noqa: PLR2004
                return encoding
    return "utf-8"
