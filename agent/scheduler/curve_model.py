"""Where a learning curve will end: a forecast with its spread, from the curve so far and from curves that ran through.

What complete curves showed at a step is regressed on where they ended, and the regression is turned round: it says how
likely this value at this step is for any end. That way round the forecast holds for whatever is proposed, although
later proposals are better than those it was learned from; a regression of ends on values would pull good ones back
towards the crowd. What else is known of the end, the sampler's prediction, joins by `Forecast.with_prior`. To stop by
the chance of becoming best is the idea of Domhan, Springenberg and Hutter 2015, "Speeding up automatic hyperparameter
optimization of deep neural networks by extrapolation of learning curves".

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

FEWEST = 3
"""Nothing is foretold from fewer curves that ran through."""
SAME = 1e-9
"""Steps that differ by a smaller share are one step."""

_DOUBT = 0.3
"""The spread of values about the regression before any curve was seen, in units of the spread of the ends."""
_FLATTEST = 0.25
"""However little values follow the ends, they are taken to follow them by this much."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Finite values at rising steps; smaller is better."""

    steps: tuple[float, ...] = ()
    values: tuple[float, ...] = ()

    @classmethod
    def of(cls, points: Iterable[tuple[float, float]]) -> Curve:
        """Return the curve through (step, value) pairs in any order, the last of a step's values counting.

        What is no finite number is left out.
        """
        kept = {step: value for step, value in points if math.isfinite(value) and math.isfinite(step)}
        steps = sorted(kept)
        return cls(tuple(steps), tuple(kept[step] for step in steps))

    @property
    def reached(self) -> float:
        """The last step; -inf while there is none."""
        return self.steps[-1] if self.steps else -math.inf

    def at(self, step: float) -> float:
        """Return the last value at `step` or before it; nan where there is none."""
        index = bisect_right(self.steps, step + SAME * abs(step))
        return self.values[index - 1] if index else math.nan

    def until(self, step: float) -> Curve:
        """Return the part up to `step`."""
        index = bisect_right(self.steps, step + SAME * abs(step))
        return Curve(self.steps[:index], self.values[:index])


@dataclass(frozen=True, slots=True)
class Scale:
    """The logarithm of the distance to a little below the best: near the best small differences are told apart."""

    low: float
    offset: float

    @classmethod
    def of(cls, ends: Array, lowest: float) -> Scale:
        """Fit to the values (n,) at the end, n >= 1, and the lowest value of any curve at any step."""
        typical = float(np.median(ends) - ends.min()) or float(ends.max() - ends.min())
        smallest = max(1e-12, 1e-9 * float(np.abs(ends).max()))
        return cls(min(lowest, float(ends.min())), max(0.5 * typical, smallest))

    def apply(self, values: Array) -> Array:
        """(n,) -> (n,)."""
        return np.asarray(np.log(np.maximum(values - self.low, 0.0) + self.offset))

    def one(self, value: float) -> float:
        """Return a single value on the scale."""
        return math.log(max(value - self.low, 0.0) + self.offset)

    def invert(self, scaled: float) -> float:
        """Return the value of a point on the scale."""
        return self.low - self.offset + math.exp(min(scaled, 300.0))


@dataclass(frozen=True, slots=True)
class Forecast:
    """A normal distribution of where a curve ends, on a scale."""

    scale: Scale
    mean: float
    std: float

    @property
    def value(self) -> float:
        """The median end."""
        return self.scale.invert(self.mean)

    @property
    def spread(self) -> float:
        """Half the width of the middle 68%, in the values' units."""
        return 0.5 * (self.scale.invert(self.mean + self.std) - self.scale.invert(self.mean - self.std))

    def with_prior(self, mean: float, std: float) -> Forecast:
        """Return the forecast joined with what was expected before the first step, in the values' units."""
        middle = self.scale.one(mean)
        spread = 0.5 * (self.scale.one(mean + std) - self.scale.one(mean - std))
        mine, other = self.std**-2, max(spread, 1e-3) ** -2
        return Forecast(self.scale, (mine * self.mean + other * middle) / (mine + other), (mine + other) ** -0.5)

    def chance_below(self, value: float) -> float:
        """Return the probability of an end below `value`."""
        return 0.5 * math.erfc((self.mean - self.scale.one(value)) / (math.sqrt(2.0) * self.std))


class CurveModel:
    """What curves that ran through teach about others.

    Args:
        full: curves that ran through; where one is shorter than the longest, its last value is where it ended.
        parts: others, which only tell how low values get.

    Attributes:
        end: the last step of the longest full curve; 0 without any.
        is_able: whether there are enough full curves.
    """

    def __init__(self, full: Sequence[Curve], parts: Sequence[Curve] = ()) -> None:
        self._full = [curve for curve in full if curve.steps]
        self.end = max((curve.reached for curve in self._full), default=0.0)
        self.is_able = len(self._full) >= FEWEST and self.end > 0.0
        if self.is_able:
            ends = np.array([curve.values[-1] for curve in self._full])
            lowest = min(min(curve.values) for curve in [*self._full, *parts] if curve.steps)
            self.scale = Scale.of(ends, lowest)
            self._ends = self.scale.apply(ends)
            self._spread = float(self._ends.std()) or 1.0
            self._lines: dict[float, _Line] = {}

    def foretell(self, curve: Curve) -> Forecast | None:
        """Return where `curve` will end as far as its values tell; None while nothing can be said."""
        step = curve.reached
        if not self.is_able or not curve.steps or step >= self.end * (1 - SAME):
            return None
        line = self._line(step)
        return None if line is None else line.end_given(self.scale, self.scale.one(curve.at(step)))

    def _line(self, step: float) -> _Line | None:
        if step not in self._lines:
            at = np.array([curve.at(step) for curve in self._full])
            seen = np.isfinite(at)
            if seen.sum() < FEWEST:
                return None
            self._lines[step] = _Line.learn(self._ends[seen], self.scale.apply(at[seen]), self._spread)
        return self._lines[step]


@dataclass(frozen=True, slots=True)
class _Line:
    """A Bayesian regression of (value - end) on (1, end - centre), all on the scale; better ends weigh more."""

    centre: float
    coefficients: Array
    covariance: Array
    variance: float
    widest: float

    @classmethod
    def learn(cls, ends: Array, values: Array, spread: float) -> _Line:
        centre = float(np.quantile(ends, 0.25))
        # Good ends decide who is stopped; how bad ones came about says little of them.
        weight = 1.0 / (1.0 + (np.maximum(ends - centre, 0.0) / spread) ** 2)
        x = np.stack([np.ones(len(ends)), ends - centre], axis=1)
        gap = values - ends
        covariance = np.asarray(np.linalg.inv(x.T @ (x * weight[:, None]) + np.diag([0.02, 0.5])), dtype=np.float64)
        coefficients = covariance @ (x.T @ (weight * gap))
        residual = gap - x @ coefficients
        variance = ((_DOUBT * spread) ** 2 + float(weight @ residual**2)) / max(float(weight.sum()) - 1.0, 1.0)
        return cls(centre, coefficients, covariance, variance, 3.0 * spread)

    def end_given(self, scale: Scale, value: float) -> Forecast:
        """Return which ends are likely for a value at this step."""
        slope = max(1.0 + float(self.coefficients[1]), _FLATTEST)
        mean = (value - float(self.coefficients[0]) + float(self.coefficients[1]) * self.centre) / slope
        x = np.array([1.0, min(max(mean - self.centre, -self.widest), self.widest)])
        variance = self.variance * (1.0 + float(x @ self.covariance @ x))
        return Forecast(scale, mean, math.sqrt(variance) / slope)
