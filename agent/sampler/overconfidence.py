"""How far the sampler's own predictions missed so far: a spread that is added to that of its next ones.

A model of few trials is sure of itself where it extrapolates, a proposal is where it promised most, and what comes of
it is more often much worse than much better. What was predicted and what came of it is in the trials. Knows no model.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence

from tunesmith.study.trials.trial import Source, Trial, TrialState
from tunesmith.study.trials.view import Objective

_USUAL_WEIGHT = 3.0
"""Number of tested predictions that the spread of all values counts as, before any was tested."""

_FADE = 0.9
"""Weight of a miss relative to that of the next one: models of many trials miss by less than those of few."""

_MOST = 30.0
"""Largest miss that counts, in units of the spread of the better half of the values."""

_USUAL_PART = 1.0
"""The usual miss, in units of the spread of the better half of the values."""


def usual_miss(trials: Sequence[Trial], objective: Objective) -> float:
    """Return the root mean square of the recent misses, in the objective's unit; 0 without complete trials."""
    square, weight = 0.0, 0.0
    values: list[float] = []  # sorted
    for trial in trials:
        value = objective.sign * trial.values.get(objective.metric, math.nan)
        if trial.state is not TrialState.COMPLETE or trial.is_replicate or not math.isfinite(value):
            continue
        prediction = trial.proposal.prediction
        if prediction is not None and trial.proposal.source is Source.SAMPLER and values:
            if not weight:
                square, weight = _USUAL_WEIGHT * (_USUAL_PART * _spread(values)) ** 2, _USUAL_WEIGHT
            miss = abs(value - objective.sign * prediction.mean)
            miss = min(miss, _MOST * _spread(values))
            square, weight = _FADE * square + miss**2, _FADE * weight + 1.0
        insort(values, value)
    if not weight:
        return _USUAL_PART * _spread(values) if values else 0.0
    return math.sqrt(square / weight)


def _spread(values: Sequence[float]) -> float:
    """Return the distance from the best of sorted values to the median: values far above it say little of good ones."""
    middle = values[len(values) // 2] - values[0]
    return middle if middle > 0 else values[-1] - values[0]
