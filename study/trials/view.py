"""The study as proposers see it: space, objectives and all trials so far. Plain data, one consistent snapshot."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from tunesmith.study.space.condition import Value
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.earlier import EarlierStudy
from tunesmith.study.trials.replicates.seeds import is_fresh
from tunesmith.study.trials.trial import Trial, TrialState


class Direction(StrEnum):
    """Whether smaller or larger values are better."""

    MINIMIZE = "minimize"
    MAXIMIZE = "maximize"


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric to minimize or maximize."""

    metric: str
    direction: Direction = Direction.MINIMIZE

    @property
    def sign(self) -> float:
        """1 if smaller is better, -1 if larger is: `sign * value` is always minimized."""
        return 1.0 if self.direction is Direction.MINIMIZE else -1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """A metric that must lie between min and max for a trial to count as feasible."""

    metric: str
    min: float | None = None
    max: float | None = None

    def violation(self, value: float) -> float:
        """Return by how much `value` violates the constraint; 0 or less if it is met."""
        over = value - self.max if self.max is not None else float("-inf")
        under = self.min - value if self.min is not None else float("-inf")
        return max(over, under)


@dataclass(frozen=True, slots=True)
class Fidelity:
    """The setting that makes a trial cheaper, such as epochs: its name and range, 0 < min < max."""

    name: str
    min: float
    max: float

    def to_unit(self, value: float | None) -> float:
        """Return a fidelity on a log scale from 0 (min) to 1 (max); None means full fidelity."""
        if value is None:
            return 1.0
        return min(max(math.log(value / self.min) / math.log(self.max / self.min), 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class ForecastPoint:
    """A forecast of a trial's final value from the first part of its learning curve.

    Attributes:
        part: how far that part reaches, on a log scale, in [0, 1).
        value: the forecast of the first objective, in its own units.
    """

    part: float
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyView:
    """A study at one moment.

    Attributes:
        trials: every trial that counts, including replicates, by number.
        number: the number of the trial to propose.
        seed: the study's seed; proposals depend on it and on the other fields only.
        fidelity: the fidelity of the study; proposals run at full fidelity.
        earlier: the studies that this one learns from.
        scale: what makes its runs large and is fixed in this study, such as {"width": 1024}.
        cost_exponent: exponent of a trial's seconds in the acquisition, from 0 (ignored) to 1 (gain per second).
        runs_left: full runs that the budget allows after the running ones; inf without a limit.
        fidelity_rises: whether a schedule raises the fidelity of promising trials; proposals then do not repeat them.
        curve_forecasts: forecasts of the final value from part of a curve, by trial number: from a stopped trial's
            whole curve, and from a complete trial's curve up to the steps at which others stopped.
        set_aside: the trials that teach nothing and count nowhere: forgotten ones, failures of the study itself, and
            unlisted ones.
        excluded_arms: the values of the algorithm choice that pins and vetoes exclude.
        script: the source of the edited code that proposals are for; "" for the project's own.
    """

    space: SearchSpace
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()
    trials: Sequence[Trial] = ()
    number: int = 0
    seed: int = 0
    fidelity: Fidelity | None = None
    earlier: tuple[EarlierStudy, ...] = ()
    scale: Mapping[str, float] = field(default_factory=dict)
    cost_exponent: float = 0.0
    curve_forecasts: Mapping[int, Sequence[ForecastPoint]] = field(default_factory=dict)
    runs_left: float = math.inf
    fidelity_rises: bool = False
    set_aside: Sequence[Trial] = ()
    excluded_arms: tuple[Value, ...] = ()
    script: str = ""

    @property
    def every_trial(self) -> Sequence[Trial]:
        """All trials by number, also those that are set aside."""
        if not self.set_aside:
            return self.trials
        return sorted([*self.trials, *self.set_aside], key=lambda t: t.number)

    @property
    def metric_constraints(self) -> tuple[Constraint, ...]:
        """The constraints, by the name that a StudySpec has for them."""
        return self.constraints

    def counts_as_tried(self, trial: Trial) -> bool:
        """Return whether a trial's configuration needs no further proposal: it ran in full, or may be resumed."""
        return trial.counts and (self.fidelity_rises or self.fidelity_of(trial) >= 1.0)

    def fidelity_of(self, trial: Trial) -> float:
        """Return the fidelity of a trial in [0, 1]; 1 is full fidelity."""
        return self.fidelity.to_unit(trial.proposal.fidelity) if self.fidelity else 1.0

    @property
    def finished(self) -> list[Trial]:
        """Finished trials to learn from: without replicates, trials that continued, and those outside the space."""
        done = continued_trials(self.trials)
        return [
            t
            for t in self.trials
            if t.state.is_finished
            and t.counts
            and not t.is_replicate
            and t.number not in done
            and self.space.contains(t.params)
        ]

    @property
    def repeats(self) -> list[Trial]:
        """Complete replicates on tuning seeds, from which noise is estimated; none with [instances].

        There a trial's value is that of all its runs, and `Trial.runs` has the noise.
        """
        return [
            t
            for t in self.trials
            if t.is_replicate
            and not t.proposal.instance
            and t.counts
            and not is_fresh(t.proposal.seed)
            and t.state is TrialState.COMPLETE
            and self.space.contains(t.params)
        ]

    @property
    def pending(self) -> list[Trial]:
        """Trials that wait or run."""
        return [
            t for t in self.trials if not t.state.is_finished and not t.is_replicate and self.space.contains(t.params)
        ]


def continued_trials(trials: Sequence[Trial]) -> set[int]:
    """Return the numbers of stopped trials that a later trial continues."""
    if not any(t.state is TrialState.STOPPED for t in trials):
        return set()
    last = {run_key(t): t.number for t in trials if not t.is_replicate}
    return {t.number for t in trials if t.state is TrialState.STOPPED and last.get(run_key(t), -1) > t.number}


def ancestors(trial: Trial, trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials that a trial continues from, through its parent and the parent's parent; oldest first."""
    by_number = {t.number: t for t in trials}
    found: list[Trial] = []
    parent = trial.proposal.parent
    while parent is not None and parent in by_number and parent < (found[-1] if found else trial).number:
        found.append(by_number[parent])
        parent = found[-1].proposal.parent
    return found[::-1]


def run_key(trial: Trial) -> tuple[object, ...]:
    """Return a key that all trials of one continued run share: training seed, edited code and parameters.

    The user's files are not part of it: study.toml changes when a user raises the maximum fidelity.
    """
    return (trial.proposal.seed, trial.proposal.code, *sorted(trial.params.items()))


def objective_values(trial: Trial, objectives: Sequence[Objective]) -> tuple[float, ...] | None:
    """Return the trial's value for each objective, in its own direction; None unless it completed with all of them."""
    if trial.state is not TrialState.COMPLETE or any(o.metric not in trial.values for o in objectives):
        return None
    return tuple(trial.values[o.metric] for o in objectives)
