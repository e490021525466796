"""How far the sampler's own predictions missed so far: a spread that is added to that of its next ones.

A model of few trials is sure of itself where it extrapolates, a proposal is where it promised most, and what comes of
it is more often much worse than much better. What was predicted and what came of it is in the trials. Knows no model.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

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


_COVERED = 0.68
"""Share of the recent misses that are no larger than the typical one: that of one standard deviation."""


@dataclass(frozen=True, slots=True)
class Misses:
    """How far predictions missed, in the objective's unit. Few misses are large, so the two numbers differ.

    Attributes:
        rms: the root mean square, which a few large misses decide.
        typical: about two thirds of the recent misses are no larger.
    """

    rms: float = 0.0
    typical: float = 0.0


def recent_misses(trials: Sequence[Trial], objective: Objective) -> Misses:
    """Return how far the sampler's recent predictions missed; zeros without complete trials."""
    misses: list[float] = []  # the usual one, then those of predictions
    values: list[float] = []  # sorted
    for trial in trials:
        value = objective.sign * trial.values.get(objective.metric, math.nan)
        if trial.state is not TrialState.COMPLETE or trial.is_replicate or not math.isfinite(value):
            continue
        prediction = trial.proposal.prediction
        if prediction is not None and trial.proposal.source is Source.SAMPLER and values:
            if not misses:
                misses.append(_USUAL_PART * _spread(values))
            misses.append(min(abs(value - objective.sign * prediction.mean), _MOST * _spread(values)))
        insort(values, value)
    if not misses:
        usual = _USUAL_PART * _spread(values) if values else 0.0
        return Misses(usual, usual)
    weights = [_USUAL_WEIGHT * _FADE ** (len(misses) - 1), *(_FADE**age for age in reversed(range(len(misses) - 1)))]
    return Misses(
        math.sqrt(sum(weight * miss**2 for miss, weight in zip(misses, weights, strict=True)) / sum(weights)),
        _quantile(misses, weights, _COVERED),
    )


def _quantile(values: Sequence[float], weights: Sequence[float], share: float) -> float:
    """Return the smallest value up to which this share of the weight lies."""
    ranked = sorted(zip(values, weights, strict=True))
    covered = accumulate(weight for _, weight in ranked)
    enough = share * sum(weights) - 1e-12
    return next(v for (v, _), sum_ in zip(ranked, covered, strict=True) if sum_ >= enough)


def _spread(values: Sequence[float]) -> float:
    """Return the distance from the best of sorted values to the median: values far above it say little of good ones."""
    middle = values[len(values) // 2] - values[0]
    return middle if middle > 0 else values[-1] - values[0]
