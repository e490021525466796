"""What the loop tells whoever watches it: one frozen value per event. Knows no terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from tunesmith.study.config.budget import Budget, Spent
from tunesmith.study.config.record import StudyRecord
from tunesmith.study.trials.trial import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The study is open and trials will start.

    Attributes:
        finished: trials that a resumed study brought along, as `requeued` those that run again.
        estimate: what the LLM's part is expected to take; "" without an LLM.
    """

    record: StudyRecord
    slots: int
    gpus: tuple[str, ...]
    finished: int
    requeued: int
    best: Trial | None
    default: Trial | None
    budget: Budget
    estimate: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A trial runs."""

    trial: Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A running trial's latest values, by metric; at most a few times a second per trial."""

    trial: Trial
    latest: Mapping[str, float]
    step: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A trial ended. `best` is the incumbent now; `improved` tells whether this trial made it so."""

    trial: Trial
    best: Trial | None
    improved: bool
    spent: Spent


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something a person should know, in one line."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The study ended, by a limit, "exhausted" or "interrupted"."""

    record: StudyRecord
    by: str
    best: Trial | None


LoopEvent: TypeAlias = Opened | Started | Observed | Finished | Note | Ended
