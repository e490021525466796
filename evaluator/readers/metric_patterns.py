"""Reads metrics by the regular expressions of [metrics], and takes what counts as a trial's value of each metric."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence

from tunesmith.evaluator.output.numerals import read_value
from tunesmith.evaluator.output.output_line import OutputLine
from tunesmith.evaluator.readers.metric_names import search_word
from tunesmith.study.config.line_pattern import LinePattern
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.tables.metrics import MetricTable
from tunesmith.study.formatting import strip_escapes
from tunesmith.study.trials.view import Direction


def line_words(spec: StudySpec) -> list[str]:
    """Return texts, one of which is in every line of output that may hold a metric of the study."""
    patterns = {name: table.regex for name, table in spec.metric_tables.items() if table.regex}
    words = {LinePattern(pattern).word.lower() for pattern in patterns.values()}
    return sorted(words | {search_word(name) for name in spec.reported_metrics if name not in patterns})


class PatternReader:
    """Finds metrics in lines of output by the regular expressions of [metrics].

    Args:
        tables: [metrics] of the study.
    """

    def __init__(self, tables: Mapping[str, MetricTable]) -> None:
        self._patterns = {name: LinePattern(table.regex) for name, table in tables.items() if table.regex}
        self._sources = {name: table.sources for name, table in tables.items()}

    @property
    def names(self) -> frozenset[str]:
        """The metrics that are only read by their expression."""
        return frozenset(self._patterns)

    def read(self, line: OutputLine) -> dict[str, float]:
        """Return the value of each metric on a line; where the matching text is not a number, there is none."""
        values = {}
        text = strip_escapes(line.text)
        for name, pattern in self._patterns.items():
            sources = self._sources[name]
            if sources and line.stream not in sources:
                continue
            if found := pattern.search(text):
                reading = read_value(text[: found[1]], found[0])
                if reading.value is not None:
                    values[name] = reading.value
        return values


class TakenValues:
    """Keeps of each metric what counts as a trial's value: the last, the best, or a mean of the last ones.

    Args:
        tables: [metrics] of the study.
        directions: of the objectives, by metric.
    """

    def __init__(self, tables: Mapping[str, MetricTable], directions: Mapping[str, Direction]) -> None:
        self._tables = tables
        self._directions = directions
        self._last: dict[str, deque[float]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._last

    def __len__(self) -> int:
        return len(self._last)

    def add(self, name: str, value: float) -> None:
        """Take in the next value of a metric."""
        table = self._tables.get(name)
        kept = self._last.setdefault(name, deque(maxlen=1 if table is None else table.mean_of))
        if table is not None and table.is_best and kept and not self._is_better(name, value, kept[0]):
            return
        kept.append(value)

    @property
    def values(self) -> dict[str, float]:
        """The value of each metric."""
        return {name: _mean(kept) for name, kept in self._last.items()}

    def _is_better(self, name: str, value: float, best: float) -> bool:
        if math.isnan(value) or math.isnan(best):
            return math.isnan(best)
        return value > best if self._directions.get(name) is Direction.MAXIMIZE else value < best


def _mean(kept: Sequence[float]) -> float:
    return kept[-1] if len(kept) == 1 else math.fsum(kept) / len(kept) if all(map(math.isfinite, kept)) else kept[-1]
