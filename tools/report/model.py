"""What a report is made from. Plain data; whoever writes a report reads the history first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tunesmith.study.observation import Observation
from tunesmith.study.record import Event, Lesson, StudyRecord
from tunesmith.study.trial import Trial
from tunesmith.study.variant import Variant
from tunesmith.tools.final_test import FinalTest


@dataclass(frozen=True, kw_only=True)
class ReportInput:
    """A study at one moment.

    Attributes:
        curves: the reported values of each trial, by its number; trials without any may be missing.
        lessons: what the LLM learned, the most useful first.
        tests: what [test] gave, in order; for people alone.
        versions: the versions of the code, the user's own among them.
        command: the best configuration as a command line ready to paste; "" when there is none.
        generated_at: seconds since the epoch.
    """

    record: StudyRecord
    trials: Sequence[Trial]
    curves: Mapping[int, Sequence[Observation]] = field(default_factory=dict)
    events: Sequence[Event] = ()
    lessons: Sequence[Lesson] = ()
    tests: Sequence[FinalTest] = ()
    versions: Sequence[Variant] = ()
    command: str = ""
    generated_at: float

    @property
    def for_models(self) -> ReportInput:
        """The same without what no model may see, so that nothing is ever chosen by it."""
        return replace(self, tests=(), events=())
