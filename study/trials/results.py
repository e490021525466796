"""Results of a study's trials: the incumbent, the improvements, the Pareto front, the gain over the default."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tunesmith.study.trials.trial import Source, Trial
from tunesmith.study.trials.view import Constraint, Objective, objective_values


@dataclass(frozen=True, slots=True)
class Improvement:
    """At trial `number` the best value so far became `value`."""

    number: int
    value: float


def is_feasible(trial: Trial, constraints: Iterable[Constraint]) -> bool:
    """Return whether a trial meets every constraint; it does not if a constrained metric was not reported."""
    return all(c.metric in trial.values and c.violation(trial.values[c.metric]) <= 0 for c in constraints)


def candidates(
    trials: Iterable[Trial], objectives: Sequence[Objective], constraints: Sequence[Constraint]
) -> list[Trial]:
    """Return the complete and feasible trials that are not replicates, sorted by the first objective, best first.

    Of several fidelities only the highest counts, since values at different fidelities are not comparable.
    """
    able = [
        trial
        for trial in trials
        if not trial.is_replicate
        and objective_values(trial, objectives) is not None
        and is_feasible(trial, constraints)
    ]
    first = objectives[0]
    most = max((_fidelity(trial) for trial in able), default=0.0)
    able = [trial for trial in able if _fidelity(trial) >= most]
    return sorted(able, key=lambda trial: (first.sign * trial.values[first.metric], trial.number))


def _fidelity(trial: Trial) -> float:
    return math.inf if trial.proposal.fidelity is None else trial.proposal.fidelity


def incumbent(
    trials: Iterable[Trial], objectives: Sequence[Objective], constraints: Sequence[Constraint] = ()
) -> Trial | None:
    """Return the best trial by the first objective, of two equal ones the earlier; None if there are no candidates."""
    return next(iter(candidates(trials, objectives, constraints)), None)


def improvements(
    trials: Iterable[Trial], objectives: Sequence[Objective], constraints: Sequence[Constraint] = ()
) -> list[Improvement]:
    """Return each trial that improved on all before it, by number."""
    found: list[Improvement] = []
    first = objectives[0]
    for trial in sorted(candidates(trials, objectives, constraints), key=lambda t: t.number):
        value = trial.values[first.metric]
        if not found or first.sign * value < first.sign * found[-1].value:
            found.append(Improvement(trial.number, value))
    return found


def pareto_front(
    trials: Iterable[Trial], objectives: Sequence[Objective], constraints: Sequence[Constraint] = ()
) -> list[Trial]:
    """Return the trials that no other dominates, sorted by the first objective, best first."""
    able = candidates(trials, objectives, constraints)
    losses = {t.number: tuple(o.sign * t.values[o.metric] for o in objectives) for t in able}
    front: list[Trial] = []
    # In this order no trial is dominated by a later one.
    for trial in sorted(able, key=lambda t: (losses[t.number], t.number)):
        mine = losses[trial.number]
        if not any(all(a <= b for a, b in zip(losses[other.number], mine, strict=True)) for other in front):
            front.append(trial)
    return front


def default_trial(trials: Iterable[Trial]) -> Trial | None:
    """Return the trial of the default configuration; None if the study has none."""
    return next((trial for trial in trials if trial.proposal.source is Source.DEFAULT), None)


def relative_gain(best: float, default: float, objective: Objective) -> float | None:
    """Return the improvement over the default as a fraction of its absolute value; None if the default is 0."""
    return objective.sign * (default - best) / abs(default) if default else None
