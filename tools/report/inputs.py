"""What a report is made from. Plain data; whoever writes a report reads the history first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from tunesmith.study.config.record import Event, Lesson, StudyRecord
from tunesmith.study.trials.observation import Observation
from tunesmith.study.trials.trial import Trial
from tunesmith.study.variant import Variant
from tunesmith.tools.analysis.held_out_test import HeldOutTest
from tunesmith.tools.analysis.summary import Summary, summarize
from tunesmith.tools.variants.run_command import run_line


@dataclass(frozen=True, kw_only=True)
class ReportInput:
    """A study at one moment.

    Attributes:
        curves: the reported values of each trial, by its number; trials without any may be missing.
        lessons: what the LLM learned, the most useful first.
        tests: what [test] gave, in order; for people alone.
        versions: the versions of the code, the user's own among them.
        generated_at: seconds since the epoch.
    """

    record: StudyRecord
    trials: Sequence[Trial]
    curves: Mapping[int, Sequence[Observation]] = field(default_factory=dict)
    events: Sequence[Event] = ()
    lessons: Sequence[Lesson] = ()
    tests: Sequence[HeldOutTest] = ()
    versions: Sequence[Variant] = ()
    generated_at: float

    @cached_property
    def summary(self) -> Summary:
        """What the study amounts to; worked out once, as it takes half a second for thousands of trials."""
        return summarize(self.record, self.trials)

    @property
    def command(self) -> str:
        """The best configuration as a command line ready to paste; "" when there is none."""
        best = self.summary.best
        return run_line(self.record.spec, best.params, self.best_code, self.versions) if best else ""

    @property
    def best_code(self) -> str:
        """Which edited version of the code the best configuration ran with; "" for the user's own."""
        best = self.summary.best
        return next((t.proposal.code for t in self.trials if best is not None and t.number == best.number), "")

    @property
    def for_models(self) -> ReportInput:
        """The same without what no model may see, so that nothing is ever chosen by it."""
        return replace(self, tests=(), events=())
