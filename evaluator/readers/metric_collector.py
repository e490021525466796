"""Collects the metrics of one trial from its output and its files, within limits. Knows no command."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tunesmith.evaluator.output.output_line import OutputLine
from tunesmith.evaluator.readers.metric_files import MetricFiles
from tunesmith.evaluator.readers.metric_patterns import PatternReader, TakenValues
from tunesmith.evaluator.readers.metrics import DEFAULT_SOURCES, MetricReader
from tunesmith.evaluator.readers.report_file import ReportFile
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.observed.observation import Observation

MAX_METRICS = 200
"""Number of a trial's metrics beyond which only those that the study needs are kept."""
MAX_OBSERVATIONS = 200_000
"""Number of a trial's observations that are passed on; of later ones only the last of each metric is kept."""


class MetricCollector:
    """Keeps the value of each metric, as [metrics] says, and passes observations on.

    Args:
        spec: the study.
        on_observation: called with each observation.
    """

    def __init__(self, spec: StudySpec, on_observation: Callable[[Observation], None]) -> None:
        self._metrics, self._resources = spec.reported_metrics, spec.resources
        self._on_observation = on_observation
        directions = {objective.metric: objective.direction for objective in spec.objectives}
        self._patterns = PatternReader(spec.metric_tables)
        self._sources = {n: tuple(t.sources) for n, t in spec.metric_tables.items() if t.sources and not t.regex}
        self._values = TakenValues(spec.metric_tables, directions)
        self._count = 0

    @property
    def values(self) -> Mapping[str, float]:
        """The value of each metric, without those that the output gives under several names."""
        ambiguous = {f"{self._prefix}{name}" for name in self._reader.ambiguous}
        return {name: value for name, value in self._values.values.items() if name not in ambiguous}

    @property
    def unread(self) -> Mapping[str, str]:
        """Where metrics were named without a number that could be taken, and why; by metric."""
        missing = [name for name in self._metrics if name not in self._reader.unread]
        problem = self._files.problem
        return {**self._reader.unread, **(dict.fromkeys(missing, problem) if problem else {})}

    def limit_note(self, lines_left_out: int = 0) -> str:
        """Return what the limits on its output left out; "" for nothing.

        Args:
            lines_left_out: number of lines of output with metrics that were not handed over.
        """
        parts = []
        if self._count > MAX_OBSERVATIONS:
            count = f"the first {MAX_OBSERVATIONS:,} of its {self._count:,} reported numbers"
            parts.append(f"kept {count}, and the last of each metric")
        lines = lines_left_out + self._report.left_out
        if lines:
            parts.append(
                f"it wrote too fast: {lines:,} lines with numbers were left out, but not the last of each kind"
            )
        if self._report.skipped_bytes:
            skipped = f"{self._report.skipped_bytes / 2**20:,.0f} MiB of its report"
            parts.append(f"it had written too much when it ended: {skipped} were passed over, but not the end")
        return "; ".join(parts)

    def follow(
        self,
        report: Path,
        *,
        prefix: str = "",
        sources: Sequence[str] = DEFAULT_SOURCES,
        files: MetricFiles | None = None,
    ) -> None:
        """Collect from another command.

        Args:
            report: the command's report file.
            prefix: put before the name of each metric.
            sources: where numbers are read in addition to the report file, the first counting most.
            files: the files among the sources.
        """
        self._reader = MetricReader(self._metrics, time.time, sources, only_from=self._sources, patterns=self._patterns)
        self._report = ReportFile(report)
        self._files = files or MetricFiles((), {})
        self._prefix = prefix

    def collect(self, lines: Iterable[OutputLine]) -> bool:
        """Read what is new in the report file and in these lines of output; return whether the report may have more."""
        found = [o for line in self._report.lines() for o in self._reader.from_report(line)]
        for line in lines:
            found += self._reader.from_line(line) or self._reader.telemetry_from_line(line)
        found += self._from_files(is_over=False)
        self._pass_on(found)
        return self._report.has_more

    def skip_to_end(self) -> None:
        """Pass over what the report file still holds, except its end."""
        self._report.skip_to_end()

    def finish(self) -> None:
        """Read what is only complete when nothing is written any more: a last line without its end, and files."""
        found = [o for line in self._report.last_line() for o in self._reader.from_report(line)]
        self._pass_on([*found, *self._from_files(is_over=True)])

    def _from_files(self, *, is_over: bool) -> list[Observation]:
        points = self._files.new_points(is_over=is_over)
        return [o for source, point in points for o in self._reader.from_points(source, point.values, point.step)]

    def _pass_on(self, found: Iterable[Observation]) -> None:
        for observation in found:
            name = f"{self._prefix}{observation.metric}"
            if name in self._resources:
                continue  # it is measured; what the script says of it does not count
            is_known = name in self._values or observation.metric in self._metrics
            if not is_known and len(self._values) >= MAX_METRICS:
                continue
            self._values.add(name, observation.value)
            self._count += 1
            if self._count <= MAX_OBSERVATIONS:
                self._on_observation(replace(observation, metric=name))
