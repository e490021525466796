"""Calibration of an LLM's predictions: how far off they were, and how much its order of candidates counts.

A prediction, without its usual bias, counts as a second measurement next to the sampler's, with the error that the LLM
has shown so far. Whose order of candidates decides follows from whose predictions ranked earlier outcomes better. Pure
functions of the trials.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.study.trials.trial import Prediction, Source, Trial
from tunesmith.study.trials.view import Objective, objective_values
from tunesmith.study.units import short_number
from tunesmith.tools.surrogate.acquisition import log_expected_improvement

_MAX_ERROR = 3.0
"""Largest error of one prediction that counts, in robust standard deviations of the values."""

_MIN_PREDICTIONS = 4
"""Number of predictions with a known outcome from which on predictions are used."""

_PRIOR_CORRELATION, _PRIOR_JUDGE_CORRELATION, _PRIOR_PREDICTIONS = 0.5, 0.3, 4.0
"""Rank correlations that an LLM and the sampler's model are given before any outcome, and the number of predictions
that they count as. A strong model's were .62 where those of the sampler's model for the same trials were .33."""

_BIAS_PREDICTIONS = 3.0
"""Number of predictions without a bias that an LLM is given before any outcome."""

_MIN_WEIGHT, _MAX_WEIGHT = 0.1, 0.9
"""Limits of the weight of the LLM's order."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackRecord:
    """How an LLM's predictions compare with outcomes.

    Attributes:
        count: number of its trials with a prediction and an outcome.
        correlation: rank correlation of its predictions with the outcomes, shrunk to the prior.
        judged: number of its trials with a prediction of the sampler's model and an outcome.
        judge_correlation: rank correlation of those predictions, shrunk as well.
        bias: mean of predicted minus measured, shrunk to 0, in the objective's unit.
        error: median distance of predicted and measured; nan without outcomes.
        found, judge_found: both correlations as measured; nan for fewer than three pairs.
        mean_miss: mean of predicted minus measured; nan without outcomes.
    """

    count: int
    correlation: float
    judged: int
    judge_correlation: float
    bias: float
    error: float
    found: float
    judge_found: float
    mean_miss: float

    @property
    def weight(self) -> float:
        """Weight of the LLM's order against the sampler's, in [0.1, 0.9]."""
        own, judge = max(self.correlation, 0.05), max(self.judge_correlation, 0.05)
        return min(max(own / (own + judge), _MIN_WEIGHT), _MAX_WEIGHT)

    @property
    def text(self) -> str:
        """The record as a line for the LLM; "" while too little is known."""
        if self.count < _MIN_PREDICTIONS or math.isnan(self.error):
            return ""
        judge = ""
        if self.judged >= _MIN_PREDICTIONS:
            judge = f" (the sampler's for the {self.judged} trials that it judged: {self.judge_found:.2f})"
        side = "too high" if self.mean_miss > 0 else "too low"
        miss = f"{short_number(abs(self.mean_miss), 2)} {side}"
        return (
            f"Of your {self.count} predictions with a result, the rank correlation with what was measured is "
            f"{self.found:.2f}{judge}; half of them miss by over {short_number(self.error, 2)}; on average they are "
            f"{miss}."
        )


def track_record(trials: Sequence[Trial], objective: Objective) -> TrackRecord:
    """Return the record of the LLM's predictions so far."""
    own = [t for t in trials if t.proposal.source is Source.LLM and t.state.is_finished and not t.is_replicate]
    pairs, judged = [], []
    for trial in own:
        values = objective_values(trial, (objective,))
        measured = values[0] if values is not None else math.nan
        if trial.proposal.prediction is not None:
            pairs.append((trial.proposal.prediction.mean, measured))
        if trial.proposal.judged is not None:
            judged.append((trial.proposal.judged.mean, measured))
    misses = [predicted - measured for predicted, measured in pairs if math.isfinite(predicted - measured)]
    found, judge_found = (_correlation(each, objective.sign) for each in (pairs, judged))
    return TrackRecord(
        count=len(pairs),
        correlation=_shrunk(found, len(pairs), _PRIOR_CORRELATION),
        judged=len(judged),
        judge_correlation=_shrunk(judge_found, len(judged), _PRIOR_JUDGE_CORRELATION),
        bias=sum(misses) / (len(misses) + _BIAS_PREDICTIONS),
        error=float(np.median(np.abs(misses))) if misses else math.nan,
        found=found,
        judge_found=judge_found,
        mean_miss=float(np.mean(misses)) if misses else math.nan,
    )


def _correlation(pairs: Sequence[tuple[float, float]], sign: float) -> float:
    """Return the rank correlation of predicted with measured values; a failed trial counts as the worst outcome.

    nan for fewer than three pairs: two values are always in some order.
    """
    if len(pairs) < 3:  # noqa: PLR2004  # see above
        return math.nan
    losses = [math.inf if math.isnan(measured) else sign * measured for _, measured in pairs]
    first, second = _ranks([sign * predicted for predicted, _ in pairs]), _ranks(losses)
    spread = float(first.std() * second.std())
    return float(((first - first.mean()) * (second - second.mean())).mean()) / spread if spread else 0.0


def _shrunk(found: float, count: int, usual: float) -> float:
    """Return a correlation of so many pairs, shrunk to the usual one."""
    if math.isnan(found):
        return usual
    return (count * found + usual * _PRIOR_PREDICTIONS) / (count + _PRIOR_PREDICTIONS)


def _ranks(values: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the ranks of values; equal ones share their mean rank."""
    ordered = sorted(values)
    first = [ordered.index(value) for value in values]
    return np.array([f + 0.5 * (ordered.count(v) - 1) for f, v in zip(first, values, strict=True)], dtype=float)


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
