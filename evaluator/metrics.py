"""Reads numbers out of what a training script says: lines of its output, and the file that tunesmith.report() writes.

Text in, observations out. Whatever the script prints is data: nothing in it is obeyed, and garbage is passed over.
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
LONGEST_NAME = 200
LONGEST_REPORT_READ = 2**20


class MetricReader:
    """Turns reports into observations; counts the steps of metrics that come without one.

    Args:
        names: the metrics that the study needs; a line of output that names none of them is passed over.
        clock: seconds since the epoch.
    """

    def __init__(self, names: Sequence[str], clock: Callable[[], float]) -> None:
        self._names = tuple(names)
        self._clock = clock
        self._counts: dict[str, int] = {}
        self._reported: set[str] = set()

    def from_line(self, line: str) -> list[Observation]:
        """Return what a line of standard output tells; metrics that the script reports itself are not read here."""
        values, step = parse_line(strip_escapes(line), self._names)
        return self._observed({n: v for n, v in values.items() if n not in self._reported}, step, self._clock())

    def from_report(self, line: str) -> list[Observation]:
        """Return what a line of the report file tells."""
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
            # What cannot be printed cannot be stored either: half a surrogate pair, a zero byte.
            if len(name) > LONGEST_NAME or not name.isprintable():
                continue
            self._counts[name] = self._counts.get(name, 0) + 1
            found.append(Observation(name, float(self._counts[name]) if step is None else step, value, at))
        return found


class ReportFile:
    """Reads a growing file line by line; a last line that is not finished yet waits for its end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._partial = b""

    def lines(self) -> list[str]:
        """Return the lines that came since the last call; none when the file is gone."""
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._offset)
                data = stream.read(LONGEST_REPORT_READ)
        except OSError:
            return []
        self._offset += len(data)
        *lines, rest = (self._partial + data).split(b"\n")
        self._partial = rest[-LONGEST_REPORT_READ:]
        return [line.decode(errors="replace") for line in lines if line.strip()]


def parse_line(line: str, names: Sequence[str]) -> tuple[dict[str, float], float | None]:
    """Return the numbers on a line that names one of the metrics, and the step on it; ({}, None) for any other line.

    Known forms: a JSON object; `name=0.41` and `name: 0.41`; `name 0.41` for the metrics asked for. Other numbers on
    such a line come along, so that a curve of the training loss is kept beside the validation loss.
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
