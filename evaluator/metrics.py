"""Parses metrics from a training script's output, and from the file that tunesmith.report() writes.

Text in, observations out. The script's text is only data: nothing in it is executed, and garbage is skipped.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunesmith.study.formatting import strip_escapes
from tunesmith.study.trials.observation import Observation

_NUMBER = r"[-+]?(?:\d[\d_]*\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf(?:inity)?)(?![\w.]*[A-Za-z_])"
_PAIR = re.compile(rf"(?<![\w./@-])([A-Za-z_][\w./@-]*)\s*[=:]\s*({_NUMBER})", re.IGNORECASE)
_STEP = re.compile(
    r"(?<![\w-])(epoch|step|global_step|iter|iteration|round)s?\s*[=:#]?\s*\[?\s*(\d+(?:\.\d+)?)", re.IGNORECASE
)
STEP_NAMES = ("epoch", "step", "global_step", "iter", "iteration", "round")
"""Names by which a number counts as the step, in order of preference."""
MAX_NAME_CHARS = 200
"""Longest name of a metric that is kept."""
MAX_REPORT_READ_BYTES = 2**20
"""Bytes of the report file that are read at once, and longest line in it."""


class MetricReader:
    """Turns text into observations; counts the steps of metrics that are reported without one.

    Args:
        names: the metrics that the study needs; a line of output without any of them is skipped.
        clock: seconds since the epoch.
    """

    def __init__(self, names: Sequence[str], clock: Callable[[], float]) -> None:
        self._names = tuple(names)
        self._clock = clock
        self._counts: dict[str, int] = {}
        self._reported: set[str] = set()

    def from_line(self, line: str) -> list[Observation]:
        """Return the observations on a line of output, without metrics that were reported through the file."""
        values, step = parse_line(strip_escapes(line), self._names)
        return self._observed({n: v for n, v in values.items() if n not in self._reported}, step, self._clock())

    def from_report(self, line: str) -> list[Observation]:
        """Return the observations on a line of the report file."""
        try:
            entry = json.loads(line)
            values = {str(name): float(value) for name, value in entry["values"].items()}
            step = None if entry.get("step") is None else float(entry["step"])
            at = float(entry.get("at", self._clock()))
            if not math.isfinite(at) or (step is not None and not math.isfinite(step)):
                return []
        except (ValueError, OverflowError, TypeError, KeyError, AttributeError, RecursionError):
            return []
        self._reported.update(values)
        return self._observed(values, step, at)

    def _observed(self, values: Mapping[str, float], step: float | None, at: float) -> list[Observation]:
        found = []
        for name, value in values.items():
            # Unprintable names cannot be stored: half a surrogate pair, a zero byte.
            if len(name) > MAX_NAME_CHARS or not name.isprintable():
                continue
            self._counts[name] = self._counts.get(name, 0) + 1
            found.append(Observation(name, float(self._counts[name]) if step is None else step, value, at))
        return found


class ReportFile:
    """Reads a growing file line by line; an unfinished last line is kept until it is complete."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._partial = b""

    def lines(self) -> list[str]:
        """Return the lines that were added since the last call; none if the file is gone."""
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._offset)
                data = stream.read(MAX_REPORT_READ_BYTES)
        except OSError:
            return []
        self._offset += len(data)
        *lines, rest = (self._partial + data).split(b"\n")
        self._partial = rest[-MAX_REPORT_READ_BYTES:]
        return [line.decode(errors="replace") for line in lines if line.strip()]


def parse_line(line: str, names: Sequence[str]) -> tuple[dict[str, float], float | None]:
    """Return the numbers and the step on a line that has one of the metrics; ({}, None) for any other line.

    Known forms are a JSON object, `name=0.41`, `name: 0.41`, and `name 0.41` for the metrics in `names`. Other numbers
    on such a line are returned too, so that the curve of the training loss is kept with the validation loss.
    """
    values = _from_json(line) or _from_text(line, names)
    if not any(name in values for name in names):
        return {}, None
    step = next((values[name] for name in STEP_NAMES if name in values and math.isfinite(values[name])), None)
    if step is None and (match := _STEP.search(line)):
        step = float(match[2])
    return {n: v for n, v in values.items() if n in names or n.lower() not in STEP_NAMES}, step


def _from_json(line: str) -> dict[str, float]:
    if not line.lstrip().startswith("{"):
        return {}
    try:
        entry: Any = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(entry, dict):
        return {}
    return {name: number for name, value in entry.items() if (number := _number(value)) is not None}


def _from_text(line: str, names: Sequence[str]) -> dict[str, float]:
    values = {match[1]: float(match[2].replace("_", "")) for match in _PAIR.finditer(line)}
    for name in names:
        if name not in values and name in line:
            match = re.search(rf"(?<![\w./@-]){re.escape(name)}\s+({_NUMBER})", line, re.IGNORECASE)
            if match:
                values[name] = float(match[1].replace("_", ""))
    return values


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None
