"""A trial and what it goes through: proposal, state, outcome. Snapshots; a change of state is a new Trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tunesmith.study.space.condition import Value


class TrialState(StrEnum):
    """Where a trial stands. Only the first two can still change."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_finished(self) -> bool:
        """Complete, stopped early, or failed."""
        return self not in (TrialState.WAITING, TrialState.RUNNING)


class FailureKind(StrEnum):
    """Why a trial failed; a closed list."""

    OOM = "oom"
    NAN = "nan"
    TIMEOUT = "timeout"
    CRASH = "crash"
    NO_METRIC = "no_metric"
    KILLED = "killed"
    TAMPERED = "tampered"
    LOST = "lost"


class Source(StrEnum):
    """Who proposed a trial.

    A fallback is the sampler's point in the place of another source that could not answer. What is imported ran
    elsewhere, in a study of its own.
    """

    DEFAULT = "default"
    USER = "user"
    SAMPLER = "sampler"
    LLM = "llm"
    FALLBACK = "fallback"
    CONFIRM = "confirm"
    IMPORT = "import"


EDITED = "edit-"
"""How the names of edited versions of the code begin; any other is a snapshot of the user's project."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failed trial's kind, a reason of one line for people, and the end of its log (at most 4,000 characters)."""

    kind: FailureKind
    reason: str
    tail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What the proposer expects of the first objective, in its own units."""

    mean: float
    std: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What is to be run, and why.

    Attributes:
        params: the active parameters, in the space's order.
        seed: the training seed that the script is given.
        fidelity: the fidelity to run at, in its own unit; None when the study has none.
        fallback_reason: why the planned source did not answer; "" unless source is FALLBACK.
        replicate_of: the number of the trial whose configuration is run again on a fresh seed; a replicate measures
            noise, so it neither teaches the sampler nor counts in the budget of trials.
        parent: the number of the trial from whose files it goes on; None when it begins anew.
        considered: why this one, and what became of the others, a sentence each.
        rival: what the sampler expected of its own next point when another source's was run; None when it had no model.
    """

    params: Mapping[str, Value]
    source: Source
    seed: int
    rationale: str = ""
    fidelity: float | None = None
    variant: str = "base"
    prediction: Prediction | None = None
    fallback_reason: str = ""
    replicate_of: int | None = None
    parent: int | None = None
    considered: tuple[str, ...] = ()
    rival: Prediction | None = None

    @property
    def code(self) -> str:
        """Which edited version of the code runs; "" for the user's project as it stands."""
        return self.variant if self.variant.startswith(EDITED) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one trial used: seconds, and GiB at the peak. `gpu_s` counts each GPU, a fraction as a fraction.

    Attributes:
        gpu_mem_gib: the peak of its GPU memory, on the GPU where it used most; None where that could not be measured,
            as with the next two.
        gpu_busy: how busy its GPUs were on average, from 0 to 1, whoever kept them so.
        energy_j: the energy of its GPUs in joules, divided among the trials that shared one.
    """

    wall_s: float = 0.0
    cpu_s: float = 0.0
    gpu_s: float = 0.0
    peak_rss_gib: float = 0.0
    gpu_mem_gib: float | None = None
    gpu_busy: float | None = None
    energy_j: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one evaluation returns: a value per metric, or a failure, or (stopped) the values so far.

    Attributes:
        state: COMPLETE, STOPPED or FAILED.
        values: the last value of each metric that was reported; may hold metrics beside the objectives.
        note: why it was stopped; "" otherwise.
        artifacts: paths of the files it kept, relative to the trial's folder.
    """

    state: TrialState
    values: Mapping[str, float] = field(default_factory=dict)
    failure: Failure | None = None
    note: str = ""
    usage: Usage = Usage()
    artifacts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A snapshot of one trial. Times are seconds since the epoch.

    Attributes:
        number: from 0, without gaps, in the order of proposal.
        attempt: 1, or 2 when its first process was lost with the loop and it was run again.
        slot: which of the `parallel` places it runs in; None while waiting.
    """

    number: int
    proposal: Proposal
    state: TrialState
    attempt: int = 1
    slot: int | None = None
    outcome: Outcome | None = None
    created_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None

    @property
    def params(self) -> Mapping[str, Value]:
        """The active parameters."""
        return self.proposal.params

    @property
    def values(self) -> Mapping[str, float]:
        """The last value of each metric; empty while it has none."""
        return self.outcome.values if self.outcome else {}

    @property
    def failure(self) -> Failure | None:
        """Why it failed; None when it did not."""
        return self.outcome.failure if self.outcome else None

    @property
    def is_replicate(self) -> bool:
        """Tell whether it repeats another trial's configuration to measure noise."""
        return self.proposal.replicate_of is not None
