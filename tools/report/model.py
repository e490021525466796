"""What a report is made from. Plain data; whoever writes a report reads the history first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from tunesmith.study.command import command_line
from tunesmith.study.observation import Observation
from tunesmith.study.record import Event, Lesson, StudyRecord
from tunesmith.study.trial import Trial
from tunesmith.tools.final_test import FinalTest
from tunesmith.tools.summary import Summary, summarize


@dataclass(frozen=True, kw_only=True)
class ReportInput:
    """A study at one moment.

    Attributes:
        curves: the reported values of each trial, by its number; trials without any may be missing.
        lessons: what the LLM learned, the most useful first.
        tests: what [test] gave, in order; for people alone.
        generated_at: seconds since the epoch.
    """

    record: StudyRecord
    trials: Sequence[Trial]
    curves: Mapping[int, Sequence[Observation]] = field(default_factory=dict)
    events: Sequence[Event] = ()
    lessons: Sequence[Lesson] = ()
    tests: Sequence[FinalTest] = ()
    generated_at: float

    @cached_property
    def summary(self) -> Summary:
        """What the study amounts to; worked out once, as it takes half a second for thousands of trials."""
        return summarize(self.record, self.trials)

    @property
    def command(self) -> str:
        """The best configuration as a command line ready to paste; "" when there is none."""
        best = self.summary.best
        return command_line(self.record.spec, best.params) if best else ""

    @property
    def for_models(self) -> ReportInput:
        """The same without what no model may see, so that nothing is ever chosen by it."""
        return replace(self, tests=(), events=())
