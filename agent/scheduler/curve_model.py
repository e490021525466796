"""Forecasts where a learning curve will end, with a standard deviation, from its first part and from complete curves.

The values of complete curves at a step are regressed on their final values, and the regression is inverted: it gives
the likelihood of the value at this step for every possible final value. In this direction the forecast also holds for
later proposals, which are better than those that it was learned from; a regression of final values on values would
shrink good ones towards the average. The sampler's prediction of the final value joins by `EndForecast.with_prior`.
Stopping by the probability of becoming the best is the idea of Domhan, Springenberg and Hutter 2015, "Speeding up
automatic hyperparameter optimization of deep neural networks by extrapolation of learning curves".

Plain curves in, numbers out; values are to be minimized. Knows no trial, no process and no clock.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MIN_CURVES = 3
"""Number of complete curves below which nothing is forecast."""
STEP_TOLERANCE = 1e-9
"""Relative difference below which two steps count as the same step."""

_PRIOR_STD = 0.3
"""Prior standard deviation of values about the regression, in standard deviations of the final values."""
_MIN_SLOPE = 0.25
"""Lower bound of the slope of values on final values; it keeps the inverted regression from exploding."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Finite values at increasing steps; smaller is better."""

    steps: tuple[float, ...] = ()
    values: tuple[float, ...] = ()

    @classmethod
    def from_points(cls, points: Iterable[tuple[float, float]]) -> Curve:
        """Return the curve through (step, value) pairs in any order; the last value of a step counts.

        Pairs that are not finite are left out.
        """
        kept = {step: value for step, value in points if math.isfinite(value) and math.isfinite(step)}
        steps = sorted(kept)
        return cls(tuple(steps), tuple(kept[step] for step in steps))

    @property
    def reached(self) -> float:
        """The last step; -inf for an empty curve."""
        return self.steps[-1] if self.steps else -math.inf

    def at(self, step: float) -> float:
        """Return the last value at `step` or before it; nan if there is none."""
        index = bisect_right(self.steps, step + STEP_TOLERANCE * abs(step))
        return self.values[index - 1] if index else math.nan

    def until(self, step: float) -> Curve:
        """Return the part up to `step`."""
        index = bisect_right(self.steps, step + STEP_TOLERANCE * abs(step))
        return Curve(self.steps[:index], self.values[:index])


@dataclass(frozen=True, slots=True)
class Scale:
    """The logarithm of the distance to a value slightly below the best: it resolves small differences near the best."""

    low: float
    offset: float

    @classmethod
    def fit(cls, ends: Array, lowest: float) -> Scale:
        """Fit to the final values (n,), n >= 1, and the lowest value of any curve at any step."""
        typical = float(np.median(ends) - ends.min()) or float(ends.max() - ends.min())
        smallest = max(1e-12, 1e-9 * float(np.abs(ends).max()))
        return cls(min(lowest, float(ends.min())), max(0.5 * typical, smallest))

    def apply(self, values: Array) -> Array:
        """(n,) values -> (n,) on the scale."""
        return np.asarray(np.log(np.maximum(values - self.low, 0.0) + self.offset))

    def apply_scalar(self, value: float) -> float:
        """Return a single value on the scale."""
        return math.log(max(value - self.low, 0.0) + self.offset)

    def invert(self, scaled: float) -> float:
        """Return the value of a point on the scale."""
        return self.low - self.offset + math.exp(min(scaled, 300.0))


@dataclass(frozen=True, slots=True)
class EndForecast:
    """A normal distribution of a curve's final value, on a scale."""

    scale: Scale
    mean: float
    std: float

    @property
    def value(self) -> float:
        """The median of the final value, in the values' units."""
        return self.scale.invert(self.mean)

    def with_prior(self, mean: float, std: float) -> EndForecast:
        """Return the product with a normal prior of the final value; `mean` and `std` are in the values' units."""
        prior_mean = self.scale.apply_scalar(mean)
        prior_std = 0.5 * (self.scale.apply_scalar(mean + std) - self.scale.apply_scalar(mean - std))
        precision, prior_precision = self.std**-2, max(prior_std, 1e-3) ** -2
        total = precision + prior_precision
        return EndForecast(self.scale, (precision * self.mean + prior_precision * prior_mean) / total, total**-0.5)

    def p_below(self, value: float) -> float:
        """Return the probability of a final value below `value`."""
        return 0.5 * math.erfc((self.mean - self.scale.apply_scalar(value)) / (math.sqrt(2.0) * self.std))


class CurveModel:
    """Forecasts final values; learned from complete curves.

    Args:
        complete: complete curves; where one is shorter than the longest, its last value is its final value.
        partial: other curves; only their lowest value is used.

    Attributes:
        end: the last step of the longest complete curve; 0 without any.
        can_forecast: whether there are enough complete curves.
    """

    def __init__(self, complete: Sequence[Curve], partial: Sequence[Curve] = ()) -> None:
        self._complete = [curve for curve in complete if curve.steps]
        self.end = max((curve.reached for curve in self._complete), default=0.0)
        self.can_forecast = len(self._complete) >= MIN_CURVES and self.end > 0.0
        if self.can_forecast:
            ends = np.array([curve.values[-1] for curve in self._complete])
            lowest = min(min(curve.values) for curve in [*self._complete, *partial] if curve.steps)
            self._scale = Scale.fit(ends, lowest)
            self._ends = self._scale.apply(ends)
            self._ends_std = float(self._ends.std()) or 1.0
            self._regressions: dict[float, _Regression] = {}

    def forecast(self, curve: Curve) -> EndForecast | None:
        """Return the forecast of a partial curve's final value; None for a complete one, or if nothing is known."""
        step = curve.reached
        if not self.can_forecast or not curve.steps or step >= self.end * (1 - STEP_TOLERANCE):
            return None
        regression = self._regression_at(step)
        if regression is None:
            return None
        return regression.forecast(self._scale, self._scale.apply_scalar(curve.at(step)))

    def _regression_at(self, step: float) -> _Regression | None:
        if step not in self._regressions:
            values = np.array([curve.at(step) for curve in self._complete])
            known = np.isfinite(values)
            if known.sum() < MIN_CURVES:
                return None
            self._regressions[step] = _Regression.fit(
                self._ends[known], self._scale.apply(values[known]), self._ends_std
            )
        return self._regressions[step]


@dataclass(frozen=True, slots=True)
class _Regression:
    """Bayesian linear regression of (value - end) on (1, end - centre), all on the scale; good ends weigh more."""

    centre: float
    coefficients: Array
    covariance: Array
    variance: float
    max_offset: float

    @classmethod
    def fit(cls, ends: Array, values: Array, ends_std: float) -> _Regression:
        """Fit to the final values (n,) and the values at one step (n,)."""
        centre = float(np.quantile(ends, 0.25))
        # Which trials stop is decided near the good ends; bad ends tell little about those.
        weight = 1.0 / (1.0 + (np.maximum(ends - centre, 0.0) / ends_std) ** 2)
        x = np.stack([np.ones(len(ends)), ends - centre], axis=1)
        gap = values - ends
        covariance = np.asarray(np.linalg.inv(x.T @ (x * weight[:, None]) + np.diag([0.02, 0.5])), dtype=np.float64)
        coefficients = covariance @ (x.T @ (weight * gap))
        residual = gap - x @ coefficients
        prior = (_PRIOR_STD * ends_std) ** 2
        variance = (prior + float(weight @ residual**2)) / max(float(weight.sum()) - 1.0, 1.0)
        return cls(centre, coefficients, covariance, variance, 3.0 * ends_std)

    def forecast(self, scale: Scale, value: float) -> EndForecast:
        """Return the distribution of the final value, given a value at this step; both on the scale."""
        slope = max(1.0 + float(self.coefficients[1]), _MIN_SLOPE)
        mean = (value - float(self.coefficients[0]) + float(self.coefficients[1]) * self.centre) / slope
        x = np.array([1.0, min(max(mean - self.centre, -self.max_offset), self.max_offset)])
        variance = self.variance * (1.0 + float(x @ self.covariance @ x))
        return EndForecast(scale, mean, math.sqrt(variance) / slope)
