"""A trial with its proposal, state and outcome. Immutable: a change of state makes a new Trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tunesmith.study.space.condition import Value
from tunesmith.study.trials.hidden import HiddenValues
from tunesmith.study.trials.replicates.instances import Aggregate


class TrialState(StrEnum):
    """The state of a trial; only the first two can change."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_finished(self) -> bool:
        """Whether it is complete, stopped early or failed."""
        return self not in (TrialState.WAITING, TrialState.RUNNING)


class FailureKind(StrEnum):
    """The kinds of failure."""

    OOM = "oom"
    NAN = "nan"
    TIMEOUT = "timeout"
    CRASH = "crash"
    NO_METRIC = "no_metric"
    KILLED = "killed"
    TAMPERED = "tampered"
    WRONG = "wrong"
    LOST = "lost"


class FailureScope(StrEnum):
    """What a failure says something about: the configuration that failed, or the study, for every configuration.

    A failure of the study, such as a missing package, teaches nothing and counts nowhere.
    """

    CONFIGURATION = "configuration"
    STUDY = "study"


class Source(StrEnum):
    """Who proposed a trial.

    FALLBACK is a point of the sampler that replaces another source without an answer. RACE runs an earlier trial's
    configuration on another instance. IMPORT marks trials that ran
    outside Tunesmith.
    """

    DEFAULT = "default"
    USER = "user"
    SAMPLER = "sampler"
    LLM = "llm"
    FALLBACK = "fallback"
    CONFIRM = "confirm"
    RACE = "race"
    IMPORT = "import"


EDITED = "edit-"
"""Prefix of the ids of edited versions of the code; other ids are snapshots of the user's project."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a trial failed: the kind, a reason in one line, and the end of its log (at most 4,000 characters).

    Attributes:
        scope: what it says something about; decided from all trials of the study (failure_scope.py), so that later
            trials may change it.
    """

    kind: FailureKind
    reason: str
    tail: str = ""
    scope: FailureScope = FailureScope.CONFIGURATION


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The proposer's prediction of the first objective, in its own units."""

    mean: float
    std: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What to run, and why.

    Attributes:
        params: the active parameters, in the space's order.
        seed: the training seed for the script.
        fidelity: the fidelity to run at, in its own unit; None if the study has none.
        fallback_reason: why the planned source did not answer; "" unless source is FALLBACK.
        replicate_of: the number of the trial whose configuration runs again on a fresh seed; a replicate measures
            noise, so the sampler does not learn from it and the budget of trials does not count it.
        parent: the number of the trial whose files it continues from; None if it starts from scratch.
        instance: the instance that it runs on; "" for a study without [instances].
        considered: why this candidate was chosen and why others were not, one sentence each.
        rival: the sampler's prediction for its own next point if another source's point runs; None without a model.
        judged: the sampler's prediction for the LLM's candidate that runs; None without a model.
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
    instance: str = ""
    considered: tuple[str, ...] = ()
    rival: Prediction | None = None
    judged: Prediction | None = None

    @property
    def code(self) -> str:
        """The id of the edited code that runs; "" for the user's project."""
        return self.variant if self.variant.startswith(EDITED) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The resources that a trial used: seconds, and peak memory in GiB. `gpu_s` adds up GPUs; half a GPU counts half.

    Attributes:
        gpu_mem_gib: peak GPU memory on the GPU where it was highest; None if not measured, like the next two.
        gpu_busy: mean utilization of its GPUs in [0, 1], by all processes.
        energy_j: energy of its GPUs in joules, divided among the trials that shared a GPU.
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
    """The outcome of an evaluation: a value per metric, or a failure, or (stopped) the values so far.

    Attributes:
        state: COMPLETE, STOPPED or FAILED.
        values: the last value of every reported metric; objectives and others.
        note: why it was stopped, or what is odd about a complete trial; "" otherwise.
        artifacts: paths of the files that it kept, relative to the trial's folder.
    """

    state: TrialState
    values: Mapping[str, float] = field(default_factory=dict)
    failure: Failure | None = None
    note: str = ""
    usage: Usage = Usage()
    artifacts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRuns:
    """A configuration's runs on the instances that choices are made on. Values are of the first objective.

    Attributes:
        values: what was measured, by instance.
        adjusted: the same in the same order, without the effect of each instance; their mean is the trial's value.
        noise: standard deviation of one of them, pooled over configurations; None while it is not known.
        aggregate: what counts of the values on all instances.
        others: the values of every further metric that all complete runs report, one a run.
    """

    values: Mapping[str, float]
    adjusted: tuple[float, ...]
    noise: float | None = None
    aggregate: Aggregate = "mean"
    others: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A snapshot of one trial. Times are seconds since the epoch.

    Attributes:
        number: from 0, without gaps, in the order of proposal.
        attempt: 1, or 2 if the loop died with the first process and the trial ran again.
        slot: the index of its slot, below `parallel`; None while waiting.
        forgotten: whether a person asked that it teach nothing and count nowhere.
        is_unlisted: whether it ran on what the study has no longer: an instance that was removed or replaced, an
            instance in a study without [instances] now, or none in a study that has them now. It does not count, but
            the budget counts it.
        runs: what its configuration reached on each instance; `outcome` then has the aggregate, unless one of the runs
            failed. None without [instances], for replicates, and before the first result.
        hidden: its values on data that the search never saw, while the choice by them holds; None otherwise.
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
    forgotten: bool = False
    is_unlisted: bool = False
    runs: InstanceRuns | None = None
    hidden: HiddenValues | None = None

    @property
    def params(self) -> Mapping[str, Value]:
        """The active parameters."""
        return self.proposal.params

    @property
    def values(self) -> Mapping[str, float]:
        """The last value of each metric; empty before the first."""
        return self.outcome.values if self.outcome else {}

    @property
    def failure(self) -> Failure | None:
        """Why it failed; None if it did not."""
        return self.outcome.failure if self.outcome else None

    @property
    def has_failed(self) -> bool:
        """Whether its own run failed. The first trial of a configuration is also failed where another run of it was."""
        completed = self.runs is not None and self.proposal.instance in self.runs.values
        return self.state is TrialState.FAILED and not completed

    @property
    def has_completed(self) -> bool:
        """Whether its own run completed, also where another run of its configuration failed."""
        return self.state is TrialState.COMPLETE or (self.state is TrialState.FAILED and not self.has_failed)

    @property
    def is_replicate(self) -> bool:
        """Whether it repeats another trial's configuration to measure noise."""
        return self.proposal.replicate_of is not None

    @property
    def counts(self) -> bool:
        """Whether it is evidence about its configuration: not forgotten or unlisted, and no failure of the study."""
        return not (self.is_unlisted or self.is_set_aside)

    @property
    def is_set_aside(self) -> bool:
        """Whether it is forgotten or a failure of the study, so that the budget does not count it either."""
        of_study = self.failure is not None and self.failure.scope is FailureScope.STUDY
        return self.forgotten or of_study
