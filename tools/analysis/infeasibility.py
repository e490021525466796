"""Says which bounds on metrics no trial keeps, by how much they are missed, and what they would have to be."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.view import Constraint
from tunesmith.study.units import short_number

EVIDENCE = 10
"""Number of complete trials from which a bound that none keeps is called out of reach."""


def broken_bounds(trial: Trial, constraints: Sequence[Constraint]) -> str:
    """Return which bounds a trial breaks, such as "mem_gb is 8, above max = 6"; "" if it keeps them all."""
    parts = (_broken(constraint, trial.values.get(constraint.metric)) for constraint in constraints)
    return "; ".join(part for part in parts if part)


def infeasible_text(trials: Sequence[Trial], constraints: Sequence[Constraint]) -> str:
    """Return in sentences why no complete trial keeps every bound; "" if one does or none is complete."""
    complete = [t for t in trials if t.state is TrialState.COMPLETE]
    if not complete or any(not broken_bounds(t, constraints) for t in complete):
        return ""
    never = [c for c in constraints if not any(_keeps(c, t) for t in complete)]
    if never:
        return " ".join(_never_kept(c, complete) for c in never)
    return " ".join(_not_together(complete, constraints))


def _never_kept(constraint: Constraint, complete: Sequence[Trial]) -> str:
    measured = [t for t in complete if math.isfinite(t.values.get(constraint.metric, math.nan))]
    if not measured:
        return f"No trial reports {constraint.metric}, which has a bound."
    nearest = min(measured, key=lambda t: constraint.violation(t.values[constraint.metric]))
    value = nearest.values[constraint.metric]
    is_over = constraint.max is not None and value > constraint.max
    bound, key = (constraint.max, "max") if is_over else (constraint.min, "min")
    missed = constraint.violation(value)
    reach = "is out of reach" if len(complete) >= EVIDENCE else "is kept by no trial so far"
    sign, side = ("<=", "above") if is_over else (">=", "below")
    return (
        f"The bound {constraint.metric} {sign} {bound:g} {reach}: the nearest of {len(measured)} is "
        f"{short_number(value)} (trial {nearest.number}), {short_number(missed)} {side} it; {key} would have to be "
        f"{short_number(value)}."
    )


def _not_together(complete: Sequence[Trial], constraints: Sequence[Constraint]) -> Iterator[str]:
    counts = ", ".join(f"{c.metric} by {sum(_keeps(c, t) for t in complete)}" for c in constraints)
    yield f"Each bound is kept by some of {len(complete)} trials ({counts}), but by none together."
    nearest = min(complete, key=lambda t: (sum(not _keeps(c, t) for c in constraints), t.number))
    yield f"Trial {nearest.number} comes nearest: {broken_bounds(nearest, constraints)}."


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
