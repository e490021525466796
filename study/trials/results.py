"""Which trials count as results: those of the present space, the candidates, the improvements, the Pareto front.

Which of the candidates the study would choose is decided in winner.py.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.replicates.instances import InstanceSet
from tunesmith.study.trials.replicates.unlisted import unlisted_text
from tunesmith.study.trials.trial import Source, Trial, TrialState
from tunesmith.study.trials.view import Constraint, Objective, objective_values, run_key
from tunesmith.study.units import short_number

MAX_RELATIVE_GAIN = 100.0
"""Gain, in sizes of the default, beyond which the default counts as nearly 0."""


_LATEST: deque[tuple[tuple[Trial, ...], SearchSpace, list[Trial]]] = deque(maxlen=2)
"""The latest answers of `present_trials` about views, whose trials cannot change."""


class StudyQuestion(Protocol):
    """What a study asks: a StudySpec or a StudyView."""

    @property
    def space(self) -> SearchSpace:
        """The present space."""

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What is optimized; the first decides."""

    @property
    def metric_constraints(self) -> tuple[Constraint, ...]:
        """Bounds on metrics."""


@dataclass(frozen=True, slots=True)
class Improvement:
    """At trial `number` the best value so far became `value`."""

    number: int
    value: float


def present_trials(trials: Sequence[Trial], space: SearchSpace) -> list[Trial]:
    """Return the trials that belong to the present space: its names, ranges, choices and conditions as of now.

    A replicate counts only with the configuration that it repeats, which must belong to the space as well. Edited code
    may have parameters of its own: names that never occur with the user's code. Forgotten trials and failures
    of the study itself are left out.
    """
    if not isinstance(trials, tuple):
        return _present(trials, space)
    # A prompt or a status asks six times for the trials of one view, and ten thousand trials take a second each time.
    for known, known_space, found in tuple(_LATEST):  # a question to a model is rendered in another thread
        if known is trials and known_space is space:
            return list(found)
    found = _present(trials, space)
    _LATEST.append((trials, space, found))
    return list(found)


def _present(trials: Sequence[Trial], space: SearchSpace) -> list[Trial]:
    trials = [t for t in trials if t.counts]
    once = {name for t in trials if not t.proposal.code for name in t.params}
    belongs = {t.number for t in trials if _is_present(t, space, once)}
    by_number = {t.number: t for t in trials}
    return [t for t in trials if t.number in belongs and _repeats_exactly(t, by_number, belongs)]


def is_present(trial: Trial, trials: Sequence[Trial], space: SearchSpace) -> bool:
    """Return whether one trial of a study belongs to the present space; see `present_trials`."""
    once = {name for t in trials if not t.proposal.code for name in t.params} if trial.proposal.code else set()
    pair = [t for t in trials if t.number == trial.proposal.replicate_of]
    belongs = {t.number for t in [*pair, trial] if _is_present(t, space, once)}
    return trial.number in belongs and _repeats_exactly(trial, {t.number: t for t in pair}, belongs)


def left_out_count(trials: Sequence[Trial], space: SearchSpace) -> int:
    """Return how many trials lie outside the present space; replicates and trials that count nowhere are left out."""
    present = sum(not t.is_replicate for t in present_trials(trials, space))
    return sum(t.counts and not t.is_replicate for t in trials) - present


def left_out_text(outside: int, trials: Iterable[Trial], instances: InstanceSet | None) -> str:
    """Return which earlier trials do not count, for people; "" if all do.

    Args:
        outside: how many lie outside the present space; see `left_out_count`.
        trials: those of the study; unlisted ones are counted.
        instances: the instances that the study has now.
    """
    space = f"{outside} earlier trial{' lies' if outside == 1 else 's lie'} outside the present space"
    return "; ".join(part for part in (space if outside else "", unlisted_text(trials, instances)) if part)


def _is_present(trial: Trial, space: SearchSpace, once: set[str]) -> bool:
    if not trial.proposal.code:
        return space.contains(trial.params)
    known = {name: value for name, value in trial.params.items() if name in space.parameters or name in once}
    return space.contains(known)


def _repeats_exactly(trial: Trial, by_number: Mapping[int, Trial], belongs: set[int]) -> bool:
    if trial.proposal.replicate_of is None:
        return True
    original = by_number.get(trial.proposal.replicate_of)
    if original is None or original.number not in belongs:
        return False
    mine, theirs = trial.proposal, original.proposal
    is_as_long = mine.fidelity is None or mine.fidelity == theirs.fidelity
    return is_as_long and (dict(mine.params), mine.code) == (dict(theirs.params), theirs.code)


def is_feasible(trial: Trial, constraints: Iterable[Constraint]) -> bool:
    """Return whether a trial meets every constraint; it does not if a constrained metric is missing or nan."""
    return all(
        not math.isnan(trial.values.get(c.metric, math.nan)) and c.violation(trial.values[c.metric]) <= 0
        for c in constraints
    )


def candidates(
    trials: Iterable[Trial], objectives: Sequence[Objective], constraints: Sequence[Constraint]
) -> list[Trial]:
    """Return the complete and feasible trials that are not replicates, sorted by the first objective, best first.

    Every objective must be finite. Of several fidelities only the highest counts, since values at different fidelities
    are not comparable.
    """
    able = [
        trial
        for trial in trials
        if trial.counts
        and not trial.is_replicate
        and (values := objective_values(trial, objectives)) is not None
        and all(math.isfinite(value) for value in values)
        and is_feasible(trial, constraints)
    ]
    first = objectives[0]
    most = max((_fidelity(trial) for trial in able), default=0.0)
    able = [trial for trial in able if _fidelity(trial) >= most]
    return sorted(able, key=lambda trial: (first.sign * trial.values[first.metric], trial.number))


def last_stages(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials without those that another of them continued: of a run in stages the last one."""
    longest: dict[tuple[object, ...], float] = {}
    for trial in trials:
        longest[run_key(trial)] = max(longest.get(run_key(trial), 0.0), _fidelity(trial))
    return [trial for trial in trials if _fidelity(trial) >= longest[run_key(trial)]]


def _fidelity(trial: Trial) -> float:
    return math.inf if trial.proposal.fidelity is None else trial.proposal.fidelity


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


def present_improvements(trials: Sequence[Trial], asked: StudyQuestion) -> list[Improvement]:
    """Return the improvements among the trials of the present space."""
    return improvements(present_trials(trials, asked.space), asked.objectives, asked.metric_constraints)


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


def study_front(trials: Sequence[Trial], asked: StudyQuestion) -> tuple[Trial, ...]:
    """Return the Pareto front among the trials of the present space; empty for one objective."""
    if len(asked.objectives) == 1:
        return ()
    return tuple(pareto_front(present_trials(trials, asked.space), asked.objectives, asked.metric_constraints))


def default_trial(trials: Sequence[Trial], space: SearchSpace) -> Trial | None:
    """Return the trial of the default configuration; None if no trial of the present space is one.

    Of several, such as after an edited default or a failure, one with the present default comes first, then one that
    completed, then the longest run, then the earliest.
    """
    present = present_trials([t for t in trials if not t.is_replicate], space)
    found = [t for t in present if t.proposal.source is Source.DEFAULT]
    now = space.default
    return min(
        found,
        key=lambda t: (dict(t.params) != now, t.state is not TrialState.COMPLETE, -_fidelity(t), t.number),
        default=None,
    )


def is_baseline(default: Trial, constraints: Iterable[Constraint]) -> bool:
    """Return whether gains may be measured against a default's trial: it is complete, and keeps every bound.

    What may not be chosen is nothing to compare with.
    """
    return default.state is TrialState.COMPLETE and is_feasible(default, constraints)


def baseline_trial(trials: Sequence[Trial], asked: StudyQuestion) -> Trial | None:
    """Return the default's trial if gains may be measured against it, else None."""
    default = default_trial(trials, asked.space)
    return default if default is not None and is_baseline(default, asked.metric_constraints) else None


def relative_gain(best: float, default: float, objective: Objective) -> float | None:
    """Return the improvement over the default as a fraction of its absolute value; None where that says nothing.

    That is so around zero: for a default of 0 or near it, and where one value is above 0 and the other below.
    """
    if not default or best * default < 0:
        return None
    # The difference of two finite values may be infinite, that of their ratios is not unless the default is tiny.
    gain = objective.sign * (math.copysign(1.0, default) - best / abs(default))
    return gain if abs(gain) <= MAX_RELATIVE_GAIN else None


def percent_text(gain: float) -> str:
    """Return a gain in percent: "51%", "3.4%", "-0.3%", "1,200%"."""
    percent = gain * 100
    return f"{percent:,.0f}%" if abs(percent) >= 10 else f"{percent:.1f}%"  # noqa: PLR2004  # two digits, however large


def gain_over_text(best: float, default: float, objective: Objective) -> str:
    """Return the improvement over the default: "51%", or "0.31 in reward" where a fraction says nothing."""
    gain = relative_gain(best, default, objective)
    if gain is not None:
        return percent_text(gain)
    return f"{short_number(objective.sign * (default - best))} in {objective.metric}"
