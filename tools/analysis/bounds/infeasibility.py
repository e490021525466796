"""Says which bounds on metrics no trial keeps, by how much they are missed, and what they would have to be."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.view import Constraint
from tunesmith.study.units import short_number
from tunesmith.tools.analysis.bounds.reach import reach_of

OUT_OF_REACH = "is out of reach"
"""What is said of a bound that nothing in the space keeps, by the model."""


def broken_bounds(trial: Trial, constraints: Sequence[Constraint]) -> str:
    """Return which bounds a trial breaks, such as "mem_gb is 8, above max = 6"; "" if it keeps them all."""
    parts = (_broken(constraint, trial.values.get(constraint.metric)) for constraint in constraints)
    return "; ".join(part for part in parts if part)


def infeasible_text(trials: Sequence[Trial], constraints: Sequence[Constraint], space: SearchSpace) -> str:
    """Return in sentences why no complete trial keeps every bound; "" if one does or none is complete.

    Args:
        trials: every trial.
        constraints: the bounds.
        space: the present space, over which a model of the trials says whether a bound can be kept at all.
    """
    complete = [t for t in trials if t.state is TrialState.COMPLETE]
    if not complete or any(not broken_bounds(t, constraints) for t in complete):
        return ""
    never = [c for c in constraints if not any(_keeps(c, t) for t in complete)]
    if never:
        return " ".join(_never_kept(c, complete, space) for c in never)
    return " ".join(_not_together(complete, constraints, space))


def out_of_reach_text(trials: Sequence[Trial], constraints: Sequence[Constraint], space: SearchSpace) -> str:
    """Return the same where the model rules a bound out; "" while it does not."""
    text = infeasible_text(trials, constraints, space)
    return text if OUT_OF_REACH in text else ""


def _never_kept(constraint: Constraint, complete: Sequence[Trial], space: SearchSpace) -> str:
    measured = [t for t in complete if math.isfinite(t.values.get(constraint.metric, math.nan))]
    if not measured:
        return f"No trial reports {constraint.metric}, which has a bound."
    nearest = min(measured, key=lambda t: constraint.violation(t.values[constraint.metric]))
    value = nearest.values[constraint.metric]
    is_over = constraint.max is not None and value > constraint.max
    bound, key = (constraint.max, "max") if is_over else (constraint.min, "min")
    missed = short_number(constraint.violation(value))
    sign, side = ("<=", "above") if is_over else (">=", "below")
    found = f"the nearest of {len(measured)} is {short_number(value)} (trial {nearest.number}), {missed} {side} it"
    head = f"The bound {constraint.metric} {sign} {bound:g}"
    reach = reach_of([constraint], complete, space)
    if reach is None or not reach.is_out_of_reach or bound is None:
        unsure = "" if reach is None else "; the model of these trials does not rule it out"
        return f"{head} is kept by no trial so far: {found}{unsure}; {key} would have to be {short_number(value)}."
    expected = bound + reach.violation if is_over else bound - reach.violation
    least = "less" if is_over else "more"
    return (
        f"{head} {OUT_OF_REACH}: {found}, and the model of these trials expects no {least} than "
        f"{short_number(expected)} anywhere in the space; {key} would have to be about {short_number(expected)}."
    )


def _not_together(complete: Sequence[Trial], constraints: Sequence[Constraint], space: SearchSpace) -> Iterator[str]:
    counts = ", ".join(f"{c.metric} by {sum(_keeps(c, t) for t in complete)}" for c in constraints)
    yield f"Each bound is kept by some of {len(complete)} trials ({counts}), but by none together."
    nearest = min(complete, key=lambda t: (sum(not _keeps(c, t) for c in constraints), t.number))
    yield f"Trial {nearest.number} comes nearest: {broken_bounds(nearest, constraints)}."
    reach = reach_of(constraints, complete, space)
    if reach is not None and reach.is_out_of_reach:
        yield f"Keeping them together {OUT_OF_REACH}, by the model of these trials; loosen one of them."


def _keeps(constraint: Constraint, trial: Trial) -> bool:
    return not _broken(constraint, trial.values.get(constraint.metric))


def _broken(constraint: Constraint, value: float | None) -> str:
    if value is None or math.isnan(value):
        return f"{constraint.metric} is not reported"
    if constraint.max is not None and value > constraint.max:
        return f"{constraint.metric} is {short_number(value)}, above max = {constraint.max:g}"
    if constraint.min is not None and value < constraint.min:
        return f"{constraint.metric} is {short_number(value)}, below min = {constraint.min:g}"
    return ""
