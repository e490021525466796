"""Turns the files in which training scripts keep metrics into points: JSON, JSON lines, CSV, TensorBoard, MLflow.

The content is only data; what cannot be read is skipped.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any, NamedTuple

from tunesmith.evaluator.output.numerals import read_number
from tunesmith.evaluator.readers.event_file import scalars
from tunesmith.evaluator.readers.metrics import STEP_NAMES
from tunesmith.evaluator.readers.printed_objects import flatten

MAX_CELL_CHARS = 64
"""Longest cell of a CSV file that can be a number."""


class Point(NamedTuple):
    """Numbers by name, as they were at a step; None where the file gives no step."""

    values: Mapping[str, float]
    step: float | None = None


def read_points(path: PurePath, content: bytes) -> list[Point]:
    """Return the points in a file, in its order. The name decides the format."""
    if ".tfevents." in path.name:
        return [Point({tag: value}, float(step)) for tag, step, value in scalars(content)]
    if "metrics" in path.parts[:-1] and not path.suffix:
        return list(_mlflow(path, content))
    text = content.decode("utf-8-sig", errors="replace")
    match path.suffix.lower():
        case ".csv" | ".tsv":
            return list(_csv(text))
        case ".json":
            whole = _json(text)
            return list(_lines(text) if whole is None else _from_json(whole))
        case _:
            return list(_lines(text))


def _lines(text: str) -> Iterator[Point]:
    """Yield one point for each line that is a JSON object; an unfinished last line is skipped."""
    for line in text.split("\n"):
        entry = _json(line) if line.lstrip().startswith("{") else None
        if isinstance(entry, dict):
            yield Point(dict(flatten(entry)))


def _from_json(entry: Any) -> Iterator[Point]:
    """Yield the points of a JSON document: of the objects in its lists, of its lists of numbers, then of itself."""
    if isinstance(entry, list):
        for item in entry:
            yield from _from_json(item) if isinstance(item, dict) else ()
        return
    if not isinstance(entry, dict):
        return
    series = {name: value for name, value in entry.items() if isinstance(value, list)}
    for value in series.values():
        yield from (Point(dict(flatten(item))) for item in value if isinstance(item, dict))
    yield from _columns({name: value for name, value in series.items() if value and not isinstance(value[0], dict)})
    own = dict(flatten(entry))
    # The step of a document that holds its history, such as trainer_state.json, is not a metric.
    if any(name.lower() not in STEP_NAMES for name in own):
        yield Point(own)


def _columns(series: Mapping[str, list[Any]]) -> Iterator[Point]:
    """Yield the points of a history like that of Keras: a list of numbers for each metric."""
    for index in range(max(map(len, series.values()), default=0)):
        values = dict(flatten({name: column[index] for name, column in series.items() if index < len(column)}))
        if values:
            yield Point(values, None if any(name.lower() in STEP_NAMES for name in values) else index + 1.0)


def _csv(text: str) -> Iterator[Point]:
    """Yield one point for each row; Lightning leaves the cells empty that a row does not measure."""
    lines = [line for line in text.split("\n")[: None if text.endswith("\n") else -1] if line.strip()]
    if lines and lines[0].lower().startswith("sep="):
        lines = lines[1:]
    if not lines:
        return
    delimiter = max((",", ";", "\t"), key=lines[0].count)
    rows = _rows(lines, delimiter)
    header = [name.strip() for name in next(rows, [])]
    for row in rows:
        pairs = (
            (name, read_number(cell)) for name, cell in zip(header, row, strict=False) if len(cell) <= MAX_CELL_CHARS
        )
        values = {name: value for name, value in pairs if value is not None}
        if values:
            yield Point(values)


def _rows(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    for line in lines:
        try:
            yield from csv.reader([line], delimiter=delimiter)
        except csv.Error:
            continue


def _mlflow(path: PurePath, content: bytes) -> Iterator[Point]:
    """Yield the points of a metric in MLflow's file store, where a name may have slashes: `TIME VALUE STEP` lines."""
    parts = path.parts
    name = "/".join(parts[len(parts) - parts[::-1].index("metrics") :])
    for line in content.decode(errors="replace").split("\n")[:-1]:
        words = line.split()
        value = read_number(words[1]) if len(words) in (2, 3) else None
        step = read_number(words[2]) if len(words) == 3 else None  # noqa: PLR2004  # time, value, step
        if value is not None:
            yield Point({name: value}, step if step is not None and math.isfinite(step) else None)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
