"""Events that the loop emits while a study runs, one frozen value each. Knows no terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from tunesmith.study.config.budget import Budget, Spent
from tunesmith.study.config.record import StudyRecord
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.winner import Winner


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The study is open and its first trials are about to start.

    Attributes:
        slots: number of trials that run at once.
        finished: number of trials that earlier runs finished.
        requeued: number of trials of earlier runs that run again.
        best: the first trial of the configuration that the study would choose; None if no trial is complete.
        winner: that configuration with its certainty.
        default: the trial of the default configuration, if gains are measured against it.
        estimate: the LLM's expected calls, tokens and cost as text; "" without an LLM.
        front: the Pareto front of several objectives; empty for one.
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
    winner: Winner | None = None
    front: tuple[Trial, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A trial started."""

    trial: Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The latest values of a running trial, by metric; emitted a few times a second at most per trial."""

    trial: Trial
    latest: Mapping[str, float]
    step: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A trial ended.

    Attributes:
        best: the incumbent now.
        improved: whether this trial became it.
        front: the Pareto front of several objectives; empty for one.
    """

    trial: Trial
    best: Trial | None
    improved: bool
    spent: Spent
    winner: Winner | None = None
    front: tuple[Trial, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A line of text for the user."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The run ended. `by` is the limit that was reached, "exhausted", "interrupted" or "failures".

    Attributes:
        pause_reason: why the run paused, if trials failed for every configuration; "" otherwise.
        finished: number of trials that ended in this run.
        budget: the limits of the run.
    """

    record: StudyRecord
    by: str
    best: Trial | None
    winner: Winner | None = None
    pause_reason: str = ""
    finished: int = 0
    budget: Budget = Budget()


LoopEvent: TypeAlias = Opened | Started | Observed | Finished | Note | Ended
