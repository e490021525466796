"""What a report is made from. Plain data; whoever writes a report reads the history first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tunesmith.study.observation import Observation
from tunesmith.study.record import Event, Lesson, StudyRecord
from tunesmith.study.trial import Trial


@dataclass(frozen=True, kw_only=True)
class ReportInput:
    """A study at one moment.

    Attributes:
        curves: the reported values of each trial, by its number; trials without any may be missing.
        lessons: what the LLM learned, the most useful first.
        command: the best configuration as a command line ready to paste; "" when there is none.
        generated_at: seconds since the epoch.
    """

    record: StudyRecord
    trials: Sequence[Trial]
    curves: Mapping[int, Sequence[Observation]] = field(default_factory=dict)
    events: Sequence[Event] = ()
    lessons: Sequence[Lesson] = ()
    command: str = ""
    generated_at: float
