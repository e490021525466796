"""Races configurations on instances: which runs next on which instance, so that few runs go to bad configurations.

A new configuration is a challenger and runs on one of the incumbent's instances. It runs on further ones as long as it
may be the best by what is expected of it, and drops out once it is clearly worse on the instances that both ran on. The
incumbent gains an instance when a challenger ran on as many (SMAC, Hutter et al. 2011; irace, López-Ibáñez et al.
2016). The part of the runs that tries new configurations shrinks in time. Everything follows from the trials, so a race
resumes after a crash where it was.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from tunesmith.agent.scheduler.repeats.replicates import as_replicate
from tunesmith.study.config.changes import Steering
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.replicates.broken_instances import broken_instances
from tunesmith.study.trials.replicates.configurations import is_instance_run, runs_by_configuration
from tunesmith.study.trials.replicates.instances import aggregated
from tunesmith.study.trials.replicates.seeds import instance_seed
from tunesmith.study.trials.trial import InstanceRuns, Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import Constraint
from tunesmith.study.trials.winner import leaderboard

MAX_ATTEMPTS = 3
"""Runs of one configuration on one instance after which it is given up, if all failed for reasons of the study."""
WORSE = 1.645
"""Standard errors by which a challenger drops out: worse with a probability of 95%."""
NEW_AT_FIRST, NEW_GROWTH = 2.0, 2.0 / 3.0
"""New configurations among the first runs: this factor times the number of runs to this power.

43 of 100 runs, 109 of 400: at first it pays to look around, later the leading ones differ by less than one run shows.
"""
CONTENDERS = 10
"""Number of leading configurations of which one may run again."""
_MIN_RACERS = 2
"""Fewest configurations for a race."""
_P95_EXCEPTIONS = 0.05
"""Share of the instances on which a challenger may be worse than the incumbent's 95% quantile."""
_MIN_RUNS_FOR_SPREAD = 2
_PRIOR_FREEDOM = 4.0
"""Degrees of freedom that the noise of all configurations is worth next to a pair's own differences."""


@dataclass(frozen=True, slots=True)
class Racer:
    """A configuration in a race.

    Attributes:
        trial: its first trial.
        expected: its loss over all instances.
        losses: of the runs that ended, by instance.
        started: the instances that it ran on, runs on, waits for, or is given up on.
    """

    trial: Trial
    expected: float
    losses: Mapping[str, float]
    started: frozenset[str]


class Race:
    """The runs on instances that one study still needs.

    Args:
        spec: the study; without [instances] nothing is due.

    Attributes:
        steering: the pins and vetoes; what contradicts them does not run again.
    """

    def __init__(self, spec: StudySpec) -> None:
        self._spec = spec
        self._instances = spec.instance_set
        self._known: tuple[int, int, int] = (-1, 0, 0)
        self._ranked: list[Trial] = []
        self._undecided: list[Trial] = []
        self.steering = Steering({})

    def placed(self, proposal: Proposal, trials: Sequence[Trial]) -> Proposal:
        """Return a proposal with the instance and the seed of its first run; unchanged if it has an instance."""
        if self._instances is None or proposal.instance:
            return proposal
        best = next(iter(self._ranking(trials)), None)
        if best is None or best.runs is None:
            # All begin on the same one, so that they can be compared; after a failure there, on the next one.
            failed = sum(t.state is TrialState.FAILED and is_instance_run(t) and not t.is_unlisted for t in trials)
            return self._on(proposal, self._instances.tuning[failed % len(self._instances.tuning)])
        # Each challenger begins on another one, so that all instances become known.
        names = list(best.runs.values)
        return self._on(proposal, names[len(trials) % len(names)])

    def next_run(self, trials: Sequence[Trial]) -> Proposal | None:
        """Return the run of an earlier configuration on another instance that is due now; None if none is."""
        if self._instances is None:
            return None
        racers = self._racers(trials)
        if len(racers) < _MIN_RACERS or self._has_enough_repeats(trials):
            return None
        leader, others = racers[0], sorted(racers[1:], key=lambda racer: racer.expected)
        noise = leader.trial.runs.noise if leader.trial.runs is not None else None
        contenders = [r for r in others[:CONTENDERS] if not self._is_dropped(r, leader, noise)]
        if len(leader.started) < math.isqrt(len(racers)):
            return self._leader_again(leader)
        for racer in contenders:
            missing = [name for name in self._toughest_first(leader) if name not in racer.started]
            if missing:
                return self._again(racer.trial, missing[0], f"#{racer.trial.number} against #{leader.trial.number}")
            if further := self._leader_again(leader):
                return further  # a challenger has caught up
        return None

    def _toughest_first(self, leader: Racer) -> list[str]:
        """Return the incumbent's instances in the order in which a challenger runs on them.

        Where the worst value counts, those come first that the incumbent is worst on: only there it can be improved on.
        """
        assert self._instances is not None  # noqa: S101  # `next_run` checked it
        if self._instances.aggregate == "mean":
            return list(leader.losses)
        return sorted(leader.losses, key=lambda name: -leader.losses[name])

    def _leader_again(self, leader: Racer) -> Proposal | None:
        """Return the incumbent's run on its next instance; None if it ran on all."""
        assert self._instances is not None  # noqa: S101  # `next_run` checked it
        name = next((name for name in self._instances.tuning if name not in leader.started), None)
        why = f"#{leader.trial.number}, the incumbent, on one more instance"
        return None if name is None else self._again(leader.trial, name, why)

    def _has_enough_repeats(self, trials: Sequence[Trial]) -> bool:
        """Return whether a new configuration is due."""
        runs = [t for t in trials if is_instance_run(t)]
        configurations = sum(not t.is_replicate for t in runs)
        return configurations < NEW_AT_FIRST * math.pow(len(runs), NEW_GROWTH)

    def _is_dropped(self, racer: Racer, leader: Racer, noise: float | None) -> bool:
        """Return whether a challenger is clearly worse than the incumbent on the instances that both ran on."""
        assert self._instances is not None  # noqa: S101  # `next_run` checked it
        shared = [name for name in racer.losses if name in leader.losses]
        if not shared:
            return False
        if self._instances.aggregate == "mean":
            return is_worse([racer.losses[name] - leader.losses[name] for name in shared], noise)
        # More instances only make the worst one worse; a quantile allows for a few of them.
        bound = aggregated(list(leader.losses.values()), self._instances.aggregate)
        allowed = int(_P95_EXCEPTIONS * len(self._instances.tuning)) if self._instances.aggregate == "p95" else 0
        return sum(racer.losses[name] > bound for name in shared) > allowed

    def _racers(self, trials: Sequence[Trial]) -> list[Racer]:
        """Return the configurations that may run on further instances, the best expected one first."""
        assert self._instances is not None  # noqa: S101  # the callers checked it
        objective = self._spec.objectives[0]
        started = _started(trials, runs_by_configuration(trials, self._instances))
        feasible = self._ranking(trials)
        return [
            Racer(
                t,
                objective.sign * t.values[objective.metric],
                {name: objective.sign * value for name, value in t.runs.values.items()},
                started[t.number],
            )
            for t in [*feasible, *self._undecided]
            if t.runs is not None and not self.steering.objection(t.params)
        ]

    def _perhaps_feasible(self, trials: Sequence[Trial], feasible: Sequence[Trial]) -> list[Trial]:
        """Return the trials that break a bound by their mean, but perhaps only by chance; none without an incumbent.

        They run on further instances until they keep the bound or break it with a probability of 95%.
        """
        bounds = self._spec.metric_constraints
        if not bounds or not feasible:
            return []
        single = {bound.metric: _spread_of_runs(trials, bound.metric) for bound in bounds}
        known = {trial.number for trial in feasible}
        return [
            trial
            for trial in leaderboard(trials, self._spec.model_copy(update={"constraints": []}))
            if trial.number not in known
            and trial.runs is not None
            and not any(_breaks(trial.runs, bound, single[bound.metric]) for bound in bounds)
        ]

    def _ranking(self, trials: Sequence[Trial]) -> list[Trial]:
        """Return the leaderboard; it and the undecided are made anew when a trial was added, ended or left out."""
        key = (len(trials), sum(t.state.is_finished for t in trials), sum(t.counts for t in trials))
        if key != self._known:
            self._known, self._ranked = key, leaderboard(trials, self._spec)
            self._undecided = self._perhaps_feasible(trials, self._ranked)
        return self._ranked

    def _again(self, trial: Trial, instance: str, why: str) -> Proposal:
        replicate = as_replicate(trial, trial.proposal.seed, why)
        return self._on(replace(replicate, source=Source.RACE, judged=None), instance)

    def _on(self, proposal: Proposal, instance: str) -> Proposal:
        return replace(proposal, instance=instance, seed=instance_seed(self._spec.study.seed, instance))


def is_worse(differences: Sequence[float], noise: float | None) -> bool:
    """Return whether the losses are worse than the incumbent's with a probability of 95%.

    Args:
        differences: loss minus the incumbent's loss on each instance that both ran on.
        noise: standard deviation of one run without its instance's effect; None while it is not known. Then one
            difference says nothing yet.
    """
    count = len(differences)
    mean = math.fsum(differences) / count
    prior = _PRIOR_FREEDOM if noise is not None else 0.0
    freedom = prior + count - 1.0
    if freedom < 1.0:
        return False
    squares = prior * 2.0 * (noise or 0.0) ** 2 + math.fsum((d - mean) ** 2 for d in differences)
    return mean > WORSE * math.sqrt(squares / freedom / count)


def _breaks(runs: InstanceRuns, bound: Constraint, spread: float | None) -> bool:
    """Return whether a configuration breaks a bound with a probability of 95%; by its mean while no spread is known."""
    excess = [bound.violation(value) for value in runs.others.get(bound.metric, ())]
    if not excess or (spread is None and len(excess) < _MIN_RUNS_FOR_SPREAD):
        return not excess or math.fsum(excess) > 0.0
    return is_worse(excess, None if spread is None else spread / math.sqrt(2.0))


def _spread_of_runs(trials: Sequence[Trial], metric: str) -> float | None:
    """Return the standard deviation of a metric between a configuration's runs, pooled; None while none ran twice."""
    groups = [trial.runs.others.get(metric, ()) for trial in trials if trial.runs is not None]
    freedom = sum(len(values) - 1 for values in groups if values)
    if not freedom:
        return None
    return math.sqrt(math.fsum((v - fmean(values)) ** 2 for values in groups for v in values) / freedom)


def _started(trials: Sequence[Trial], groups: Mapping[int, Sequence[Trial]]) -> dict[int, frozenset[str]]:
    """Return the instances of each configuration that need no further start."""
    attempts = Counter(
        (t.number if t.proposal.replicate_of is None else t.proposal.replicate_of, t.proposal.instance)
        for t in trials
        if is_instance_run(t)
    )
    given_up = [key for key, times in attempts.items() if times >= MAX_ATTEMPTS]
    broken = broken_instances(trials)
    return {
        number: frozenset(
            [
                *(t.proposal.instance for t in runs if _is_of_now(t)),
                *(name for n, name in given_up if n == number),
                *broken,
            ]
        )
        for number, runs in groups.items()
    }


def _is_of_now(run: Trial) -> bool:
    """Return whether a run was on its instance as it is now; a first trial's own run may be on an earlier one."""
    return run.runs is None or run.proposal.instance in run.runs.values
