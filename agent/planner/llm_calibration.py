"""Calibration of an LLM's predictions: how far off they were, and how much one may shift a candidate's expected gain.

A prediction counts as a second measurement, next to the model's, with the error that the LLM has shown so far. Pure
functions of the trials.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tunesmith.agent.sampler.surrogate.acquisition import log_expected_improvement
from tunesmith.study.trials.trial import Prediction, Source, Trial
from tunesmith.study.trials.view import Objective, objective_values

_MAX_ERROR = 3.0
"""Largest error of one prediction that counts, in robust standard deviations of the values."""

_MIN_PREDICTIONS = 4
"""Number of predictions with a known outcome from which on predictions are used."""

_MAX_SHIFT = 2.0
"""Largest shift of a candidate's log expected improvement by a prediction."""


def prediction_error(trials: Sequence[Trial], objective: Objective) -> float | None:
    """Return the error of the LLM's predictions, in the objective's unit.

    It is the root mean square over the LLM's trials and one pseudo-prediction with the largest error that counts. None
    while too few outcomes are known, and if the predictions are no better than the mean of the outcomes: an LLM that
    always predicts the best is right now and then.
    """
    values = [v[0] for t in trials if not t.is_replicate and (v := objective_values(t, (objective,))) is not None]
    std = _robust_std(values)
    pairs = [
        (measured[0], t.proposal.prediction.mean)
        for t in trials
        if t.proposal.source is Source.LLM
        and t.proposal.prediction is not None
        and (measured := objective_values(t, (objective,))) is not None
    ]
    if std == 0.0 or len(pairs) < _MIN_PREDICTIONS:
        return None
    mean = sum(value for value, _ in pairs) / len(pairs)
    errors = [min(abs(value - predicted), _MAX_ERROR * std) for value, predicted in pairs]
    if sum(e * e for e in errors) >= sum((value - mean) ** 2 for value, _ in pairs):
        return None
    return math.sqrt(((_MAX_ERROR * std) ** 2 + sum(e * e for e in errors)) / (1 + len(errors)))


def log_ei_shift(model: Prediction, predicted: float, error: float, *, best: float, sign: float) -> float:
    """Return the shift of a candidate's log expected improvement by the LLM's prediction, in [-2, 2].

    Args:
        model: the prediction of the sampler's model.
        predicted: the LLM's prediction; without effect unless it is finite.
        error: the error of the LLM's predictions, as of `prediction_error`.
        best: the best value so far.
        sign: the objective's; 1 to minimize, -1 to maximize.
    """
    if not math.isfinite(predicted):
        return 0.0
    variance = max(model.std, 1e-12) ** 2
    weight = variance / (variance + error**2)
    both = Prediction(mean=model.mean + weight * (predicted - model.mean), std=math.sqrt(variance * (1.0 - weight)))
    shift = _log_ei(both, best, sign) - _log_ei(model, best, sign)
    return min(max(shift, -_MAX_SHIFT), _MAX_SHIFT)


def _log_ei(prediction: Prediction, best: float, sign: float) -> float:
    mean, std = np.array([sign * prediction.mean]), np.array([max(prediction.std, 1e-12)])
    return float(log_expected_improvement(mean, std, sign * best)[0])


def _robust_std(values: Sequence[float]) -> float:
    """Return the standard deviation estimated from the median absolute deviation; 0 for fewer than two values."""
    finite = np.array([v for v in values if math.isfinite(v)])
    if len(finite) < 2:  # noqa: PLR2004  # one value does not vary
        return 0.0
    deviations = np.abs(finite - np.median(finite))
    return float(1.4826 * np.median(deviations)) or float(finite.std())
