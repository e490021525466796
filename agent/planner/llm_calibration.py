"""How far an LLM's predicted values can be trusted: as far as those of its trials that ran were right.

A prediction counts as a second measurement beside the model's, with the error that the LLM has shown, and moves the
expected gain of a candidate by no more than a fixed amount. Pure functions of the trials.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tunesmith.agent.sampler.surrogate.acquisition import log_expected_improvement
from tunesmith.study.trials.trial import Prediction, Source, Trial
from tunesmith.study.trials.view import Objective, objective_values

_FARTHEST = 3.0
"""No error counts for more than so many spreads; nor does the one made-up prediction with which every LLM starts."""

_HEARD_FROM = 4
"""Before so many of its predictions came out nothing is made of them: promising much is easy."""

_MOST = 2.0
"""By so much, in log expected gain, a prediction moves a candidate at most."""


def shown_error(trials: Sequence[Trial], objective: Objective) -> float | None:
    """Return the error that the LLM's predictions have shown, in the objective's unit.

    Root mean square over the LLM's trials and a made-up one that was three times the spread of all values off.
    None while too few came out, and for predictions that tell less than the mean of what came out would have told:
    who always promises the best is right now and then.
    """
    values = [v[0] for t in trials if not t.is_replicate and (v := objective_values(t, (objective,))) is not None]
    spread = _spread(values)
    told = [
        (found[0], t.proposal.prediction.mean)
        for t in trials
        if t.proposal.source is Source.LLM
        and t.proposal.prediction is not None
        and (found := objective_values(t, (objective,))) is not None
    ]
    if spread == 0.0 or len(told) < _HEARD_FROM:
        return None
    middle = sum(value for value, _ in told) / len(told)
    errors = [min(abs(value - predicted), _FARTHEST * spread) for value, predicted in told]
    if sum(e * e for e in errors) >= sum((value - middle) ** 2 for value, _ in told):
        return None
    return math.sqrt(((_FARTHEST * spread) ** 2 + sum(e * e for e in errors)) / (1 + len(errors)))


def gain_by_prediction(model: Prediction, predicted: float, error: float, *, best: float, sign: float) -> float:
    """Return by how much a predicted value raises a candidate's log expected gain, in [-2, 2].

    Args:
        model: what the sampler's model expects of the candidate.
        predicted: what the LLM expects.
        error: as of `shown_error`.
        best: the best value so far.
        sign: the objective's; 1 to minimize, -1 to maximize.
    """
    if not math.isfinite(predicted):
        return 0.0
    variance = max(model.std, 1e-12) ** 2
    weight = variance / (variance + error**2)
    both = Prediction(mean=model.mean + weight * (predicted - model.mean), std=math.sqrt(variance * (1.0 - weight)))
    shift = _log_gain(both, best, sign) - _log_gain(model, best, sign)
    return min(max(shift, -_MOST), _MOST)


def _log_gain(prediction: Prediction, best: float, sign: float) -> float:
    mean, std = np.array([sign * prediction.mean]), np.array([max(prediction.std, 1e-12)])
    return float(log_expected_improvement(mean, std, sign * best)[0])


def _spread(values: Sequence[float]) -> float:
    """Return a standard deviation that a few far-off values do not spoil; 0 when there is none."""
    finite = np.array([v for v in values if math.isfinite(v)])
    if len(finite) < 2:  # noqa: PLR2004  # one value has no spread
        return 0.0
    around = np.abs(finite - np.median(finite))
    return float(1.4826 * np.median(around)) or float(finite.std())
