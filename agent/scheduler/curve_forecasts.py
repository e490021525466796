"""Curve forecasts of a study's trials at one moment: for the scheduler, and as pseudo-observations for the sampler.

The forecast itself is curve_model.py; this module applies it to trials. Pure; knows no process.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tunesmith.agent.scheduler.curve_model import STEP_TOLERANCE, Curve, CurveModel, EndForecast
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.view import ForecastPoint, Objective, run_key

PRIOR_STD_FACTOR = 2.0
"""Factor on the std of the sampler's prediction before it joins a forecast: the sampler underestimates noise."""

MAX_PSEUDO_STEPS = 4
"""Maximum number of steps at which pseudo-observations are taken from complete curves."""

_PART_BASE = 27.0
"""Fraction 1 / _PART_BASE of a full run has the part 0 on the log scale of `ForecastPoint.part`."""


class CurveForecasts:
    """Curve forecasts of a study's trials at one moment.

    Args:
        trials: all trials of the study.
        curves: by trial number, the curve of the first objective, to be minimized.
        objective: the first objective.

    Attributes:
        stopped: trials that ended before the full length and were not resumed yet.
        complete_values: the values of each complete curve.
        model: forecasts final values.
    """

    def __init__(self, trials: Sequence[Trial], curves: Mapping[int, Curve], objective: Objective) -> None:
        own = [t for t in trials if not t.is_replicate and t.number in curves and curves[t.number].steps]
        latest = {run_key(t): t.number for t in trials if not t.is_replicate}
        self._objective, self._curves = objective, curves
        self._max_length = max((_length(t) for t in own), default=0.0)
        self._complete = [t for t in own if self.ran_in_full(t)]
        ended = (TrialState.STOPPED, TrialState.COMPLETE)
        self.stopped = [
            t for t in own if t.state in ended and not self.ran_in_full(t) and latest[run_key(t)] == t.number
        ]
        self.complete_values = [curves[t.number].values for t in self._complete]
        self.model = CurveModel([curves[t.number] for t in self._complete], [curves[t.number] for t in self.stopped])

    def ran_in_full(self, trial: Trial) -> bool:
        """Return whether a trial is complete and as long as the longest trial of the study."""
        return trial.state is TrialState.COMPLETE and _length(trial) >= self._max_length * (1 - STEP_TOLERANCE)

    def curve(self, trial: Trial) -> Curve:
        """Return a trial's curve so far; an empty one if it has none."""
        return self._curves.get(trial.number, Curve())

    def reached(self, trial: Trial) -> float:
        """Return the last step of a trial's curve; -inf if it has none."""
        return self.curve(trial).reached

    def final_value(self, trial: Trial) -> float | None:
        """Return the final value of a trial, measured or forecast, to be minimized; None if neither is known."""
        if self.ran_in_full(trial):
            return self._objective.sign * trial.values.get(self._objective.metric, math.nan)
        forecast = self.forecast(trial)
        return None if forecast is None else forecast.value

    def p_below(self, trial: Trial, value: float) -> float:
        """Return the probability that a trial ends below `value`, to be minimized; 0 if nothing is known."""
        forecast = self.forecast(trial)
        return 0.0 if forecast is None else forecast.p_below(value)

    def forecast(self, trial: Trial) -> EndForecast | None:
        """Return the forecast from a trial's curve and from the sampler's prediction; None if nothing is known."""
        forecast = self.model.forecast(self.curve(trial))
        predicted = trial.proposal.prediction
        if forecast is None or predicted is None or not predicted.std > 0.0:
            return forecast
        return forecast.with_prior(self._objective.sign * predicted.mean, PRIOR_STD_FACTOR * predicted.std)

    def pseudo_observations(self) -> dict[int, tuple[ForecastPoint, ...]]:
        """Return forecasts for the sampler, by trial number: of stopped trials, and of complete ones at the same steps.

        They follow from curves only: with the sampler's prediction in them, the sampler would learn from itself.
        """
        steps = _evenly_spaced(sorted({self.reached(trial) for trial in self.stopped}))
        found = {trial.number: self._points(self.curve(trial)) for trial in self.stopped}
        for trial in self._complete if steps else ():
            found[trial.number] = [point for step in steps for point in self._points(self.curve(trial).until(step))]
        return {number: tuple(points) for number, points in found.items() if points}

    def _points(self, curve: Curve) -> list[ForecastPoint]:
        forecast = self.model.forecast(curve)
        if forecast is None:
            return []
        part = 1.0 + math.log(max(curve.reached, 1e-12) / self.model.end) / math.log(_PART_BASE)
        return [ForecastPoint(max(part, 0.0), self._objective.sign * forecast.value)]


def _length(trial: Trial) -> float:
    return math.inf if trial.proposal.fidelity is None else trial.proposal.fidelity


def _evenly_spaced(steps: Sequence[float]) -> Sequence[float]:
    """Return at most `MAX_PSEUDO_STEPS` of the steps, evenly spaced by rank."""
    if len(steps) <= MAX_PSEUDO_STEPS:
        return steps
    return [steps[round(i * (len(steps) - 1) / (MAX_PSEUDO_STEPS - 1))] for i in range(MAX_PSEUDO_STEPS)]
