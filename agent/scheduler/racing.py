"""Races configurations on instances: which runs next on which instance, so that few runs go to bad configurations.

A new configuration is a challenger. It runs on 1, 2, 4, ... of the incumbent's instances and drops out as soon as it is
clearly worse on the instances that both ran on. The incumbent gains an instance as it is challenged, so that it is
known the better the longer it leads (SMAC, Hutter et al. 2011; irace, López-Ibáñez et al. 2016). Everything follows
from the trials, so a race goes on after a crash where it was.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tunesmith.study.config.changes import Steering
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.configurations import is_instance_run, runs_by_configuration
from tunesmith.study.trials.instances import aggregated
from tunesmith.study.trials.results import present_trials
from tunesmith.study.trials.seeds import instance_seed
from tunesmith.study.trials.trial import Proposal, Source, Trial
from tunesmith.study.trials.winner import incumbent

MAX_ATTEMPTS = 3
"""Runs of one configuration on one instance after which it is given up, if all failed for reasons of the study."""
WORSE = 1.645
"""Standard errors by which a challenger drops out: worse with a probability of 95%."""
_PRIOR_FREEDOM = 4.0
"""Degrees of freedom that the noise of all configurations is worth beside a pair's own differences."""


@dataclass(frozen=True, slots=True)
class Racer:
    """A configuration in a race.

    Attributes:
        trial: its first trial.
        losses: of the runs that ended, by instance.
        started: the instances that it ran on, runs on, waits for, or is given up on.
    """

    trial: Trial
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
        self.steering = Steering({})

    def placed(self, proposal: Proposal, trials: Sequence[Trial]) -> Proposal:
        """Return a proposal with the instance and the seed of its first run; unchanged if it has an instance."""
        if self._instances is None or proposal.instance:
            return proposal
        best = incumbent(trials, self._spec)
        names = list(best.runs.values) if best is not None and best.runs is not None else self._instances.tuning[:1]
        # Each challenger begins on another one, so that all instances become known.
        return self._on(proposal, names[len(trials) % len(names)])

    def next_run(self, trials: Sequence[Trial]) -> Proposal | None:
        """Return the run of an earlier configuration on another instance that is due now; None if none is."""
        if self._instances is None:
            return None
        racers = self._racers(trials)
        best = incumbent(trials, self._spec)
        leader = next((r for r in racers if best is not None and r.trial.number == best.number), None)
        if leader is None or best is None or best.runs is None:
            return None
        if len(leader.started) < min(self._instances_due(racers, trials), len(self._instances.tuning)):
            name = next(n for n in self._instances.tuning if n not in leader.started)
            return self._again(leader.trial, name, f"#{best.number}, the incumbent, on one more instance")
        for racer in reversed(racers):
            if racer is not leader and (name := self._next_instance(racer, leader, best.runs.noise)):
                return self._again(racer.trial, name, f"#{racer.trial.number} against #{best.number}, the incumbent")
        return None

    def _instances_due(self, racers: Sequence[Racer], trials: Sequence[Trial]) -> int:
        """Return how many instances the incumbent has run on by now: one more for each challenger."""
        return len(racers)

    def _next_instance(self, racer: Racer, leader: Racer, noise: float | None) -> str:
        """Return the instance that a challenger runs on next; "" if it is through, dropped or waits for its runs."""
        assert self._instances is not None  # noqa: S101  # `next_run` checked it
        missing = [name for name in leader.losses if name not in racer.started]
        if not missing or self._is_dropped(racer, leader, noise):
            return ""
        ended, stage = len(racer.losses), 1
        while stage <= ended:
            stage *= 2
        return missing[0] if len(racer.started) < stage else ""

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
        allowed = int(0.05 * len(self._instances.tuning)) if self._instances.aggregate == "p95" else 0
        return sum(racer.losses[name] > bound for name in shared) > allowed

    def _racers(self, trials: Sequence[Trial]) -> list[Racer]:
        """Return the configurations that may run on further instances, by the number of their first trial."""
        assert self._instances is not None  # noqa: S101  # the callers checked it
        sign = self._spec.objectives[0].sign
        present = present_trials(trials, self._spec.space)
        own = {t.number: t for t in present if t.runs is not None and not self.steering.objection(t.params)}
        started = _started(trials, runs_by_configuration(trials, self._instances))
        return [
            Racer(t, {name: sign * value for name, value in t.runs.values.items()}, started[number])
            for number, t in own.items()
            if t.runs is not None
        ]

    def _again(self, trial: Trial, instance: str, why: str) -> Proposal:
        again = replace(
            trial.proposal,
            source=Source.RACE,
            rationale=why,
            prediction=None,
            rival=None,
            judged=None,
            considered=(),
            fallback_reason="",
            replicate_of=trial.number,
            parent=None,
        )
        return self._on(again, instance)

    def _on(self, proposal: Proposal, instance: str) -> Proposal:
        return replace(proposal, instance=instance, seed=instance_seed(self._spec.study.seed, instance))


def is_worse(differences: Sequence[float], noise: float | None) -> bool:
    """Return whether the losses are worse than the incumbent's with a probability of 95%.

    Args:
        differences: loss minus the incumbent's loss on each instance that both ran on.
        noise: standard deviation of one run without its instance's effect; None while it is not known, when any loss
            above the incumbent's is worse.
    """
    count = len(differences)
    mean = math.fsum(differences) / count
    if noise is None:
        return mean > 0.0
    squares = _PRIOR_FREEDOM * 2.0 * noise * noise + math.fsum((d - mean) ** 2 for d in differences)
    deviation = math.sqrt(squares / (_PRIOR_FREEDOM + count - 1.0))
    return mean > WORSE * deviation / math.sqrt(count)


def _started(trials: Sequence[Trial], groups: Mapping[int, Sequence[Trial]]) -> dict[int, frozenset[str]]:
    """Return the instances of each configuration that need no further start."""
    attempts = Counter(
        (t.number if t.proposal.replicate_of is None else t.proposal.replicate_of, t.proposal.instance)
        for t in trials
        if is_instance_run(t)
    )
    given_up = [key for key, times in attempts.items() if times >= MAX_ATTEMPTS]
    return {
        number: frozenset([*(t.proposal.instance for t in runs), *(name for n, name in given_up if n == number)])
        for number, runs in groups.items()
    }
