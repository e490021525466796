"""Collects the metrics of one trial from its output and its report file, within limits. Knows no command."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tunesmith.evaluator.metrics import MetricReader, ReportFile
from tunesmith.study.trials.observation import Observation

MAX_METRICS = 200
"""Number of a trial's metrics beyond which only those that the study needs are kept."""
MAX_OBSERVATIONS = 200_000
"""Number of a trial's observations that are passed on; of later ones only the last of each metric is kept."""


class MetricCollector:
    """Keeps the last value of each metric and passes observations on.

    Args:
        metrics: the metrics that the study needs.
        on_observation: called with each observation.
    """

    def __init__(self, metrics: Sequence[str], on_observation: Callable[[Observation], None]) -> None:
        self._metrics = metrics
        self._on_observation = on_observation
        self._values: dict[str, float] = {}
        self._count = 0

    @property
    def values(self) -> Mapping[str, float]:
        """The last value of each metric."""
        return self._values

    def follow(self, report: Path, *, prefix: str = "") -> None:
        """Collect from another command.

        Args:
            report: the command's report file.
            prefix: put before the name of each metric.
        """
        self._reader = MetricReader(self._metrics, time.time)
        self._report = ReportFile(report)
        self._prefix = prefix

    def collect(self, lines: Iterable[str]) -> None:
        """Read what is new in the report file and in these lines of output."""
        found = [o for line in self._report.lines() for o in self._reader.from_report(line)]
        found += [o for line in lines for o in self._reader.from_line(line)]
        for observation in found:
            name = f"{self._prefix}{observation.metric}"
            is_known = name in self._values or observation.metric in self._metrics
            if not is_known and len(self._values) >= MAX_METRICS:
                continue
            self._values[name] = observation.value
            self._count += 1
            if self._count <= MAX_OBSERVATIONS:
                self._on_observation(replace(observation, metric=name))
