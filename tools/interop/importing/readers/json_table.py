"""Reads trials from JSON: one object per line, a list of objects, or an object that holds such a list."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tunesmith.study.errors import ProjectError
from tunesmith.study.formatting import valid_values
from tunesmith.tools.interop.importing.imported_table import ImportedRow, ImportedTable, SkippedRow, make_table
from tunesmith.tools.interop.importing.rows import flatten, row_of, select_rows
from tunesmith.tools.interop.importing.text import json_lines, parse_json, read_text


def read_json(path: Path, named: str | None) -> ImportedTable:
    """Return the objects of a JSON file. Lines and entries that are not valid are left out.

    Raises:
        ProjectError: the file is not text, nothing in it is a JSON object, or it has no study of the name.
    """
    text = read_text(path)
    whole = parse_json(text)
    if isinstance(whole, Mapping):
        entries = next((v for v in whole.values() if _is_list_of_objects(v)), [whole])
    elif isinstance(whole, list):
        entries = whole
    elif text.lstrip().startswith("["):
        entries = list(_entries_of_cut_list(text))
    else:
        entries = [entry for _, entry in json_lines(text)]
    if not any(isinstance(entry, Mapping) for entry in entries):
        raise ProjectError(f"{path} has no JSON object such as {{...}}{_first_error(text)}")
    return make_table(str(path), path.stem, select_rows(map(_row, entries), named, path))


def _row(entry: Any) -> ImportedRow | SkippedRow:
    if isinstance(entry, ValueError):
        return SkippedRow("it is not valid JSON")
    if not isinstance(entry, Mapping):
        return SkippedRow("it is not a JSON object")
    try:
        return row_of(flatten(entry))
    except RecursionError:
        return SkippedRow("it is nested too deeply")


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(entry, Mapping) for entry in value)


def _entries_of_cut_list(text: str) -> Iterator[Any]:
    """Yield the entries of a list that is not valid as a whole, up to the first that is not valid, and that error."""
    decoder = json.JSONDecoder()
    start = text.index("[") + 1
    while start < len(text):
        while start < len(text) and text[start] in " \t\r\n,":
            start += 1
        try:
            entry, start = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            yield ValueError("cut short")
            return
        yield valid_values(entry)


def _first_error(text: str) -> str:
    found = ((number, entry) for number, entry in json_lines(text) if isinstance(entry, ValueError))
    return next((f"; line {number}: {error}" for number, error in found), "")
