"""How far the sampler's own predictions missed so far: a spread that is added to that of its next ones.

A model of few trials is sure of itself where it extrapolates, a proposal is where it promised most, and what comes of
it is more often much worse than much better. What was predicted and what came of it is in the trials. Knows no model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tunesmith.study.trials.trial import Source, Trial, TrialState
from tunesmith.study.trials.view import Objective

_USUAL_WEIGHT = 2.0
"""Number of tested predictions that the spread of all values counts as, before any was tested."""

_FADE = 0.9
"""Weight of a miss relative to that of the next one: models of many trials miss by less than those of few."""

_USUAL_PART = 0.5
"""The usual miss, in units of the spread of the better half of the values."""


def usual_miss(trials: Sequence[Trial], objective: Objective) -> float:
    """Return the root mean square of the recent misses, in the objective's unit; 0 without complete trials.

    A miss counts at most as far as the values of the trials before it reach above the median, so that one diverged run
    does not decide.
    """
    square, weight = 0.0, 0.0
    values: list[float] = []
    for trial in trials:
        value = objective.sign * trial.values.get(objective.metric, math.nan)
        if trial.state is not TrialState.COMPLETE or trial.is_replicate or not math.isfinite(value):
            continue
        prediction = trial.proposal.prediction
        if prediction is not None and trial.proposal.source is Source.SAMPLER and values:
            if not weight:
                square, weight = _USUAL_WEIGHT * (_USUAL_PART * _spread(values)) ** 2, _USUAL_WEIGHT
            miss = abs(value - objective.sign * prediction.mean)
            miss = min(miss, max(3.0 * _spread(values), 1e-300))
            square, weight = _FADE * square + miss**2, _FADE * weight + 1.0
        values.append(value)
    if not weight:
        return _USUAL_PART * _spread(values) if values else 0.0
    return math.sqrt(square / weight)


def _spread(values: Sequence[float]) -> float:
    """Return the distance from the best value to the median: values far above it say little of good ones."""
    ordered = sorted(values)
    middle = ordered[len(ordered) // 2] - ordered[0]
    return middle if middle > 0 else ordered[-1] - ordered[0]
