"""Where a learning curve will end: a forecast with its spread, from the curve so far and from other curves.

A chain of small regressions: from one rung of steps to the next, what is still to come is linear in the value and in its
last change, and other curves teach how. Every curve teaches the rungs that it passed, so that one that was stopped teaches
too; since it was stopped for what it had shown by then, the rungs after it are not biased (missing at random, Rubin 1976).
The idea to stop by the chance to become best: Domhan, Springenberg and Hutter 2015, "Speeding up automatic hyperparameter
optimization of deep neural networks by extrapolation of learning curves". Plain curves in, numbers out; values are to be
minimized. Knows no trial, no process and no clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RATIO = 1.5
"""Each rung lies so many times further than the one before it."""
FEWEST = 4
"""Nothing is foretold from fewer curves that reached the end."""

_PRIOR_STD = 0.5
"""How much of the curves' spread may be gained or lost on one rung, before any curve was seen; a standard deviation."""
_PRIOR_WEIGHT = 2.0
"""How many curves that guess counts for."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Values (n,) at steps (n,), the steps rising; smaller is better. A step that came twice counts with its last value."""

    steps: tuple[float, ...]
    values: tuple[float, ...]

    @classmethod
    def of(cls, points: Iterable[tuple[float, float]]) -> Curve:
        """Return the curve through (step, value) pairs in any order; values that are no finite numbers are left out."""
        kept = {step: value for step, value in points if math.isfinite(value) and math.isfinite(step)}
        steps = sorted(kept)
        return cls(tuple(steps), tuple(kept[step] for step in steps))

    @property
    def reached(self) -> float:
        """The last step; -inf while there is none."""
        return self.steps[-1] if self.steps else -math.inf

    def at(self, step: float) -> float:
        """Return the last value at `step` or before it; nan where there is none."""
        index = int(np.searchsorted(np.asarray(self.steps), step * (1 + 1e-9), side="right"))
        return self.values[index - 1] if index else math.nan

    def until(self, step: float) -> Curve:
        """Return the curve's part up to `step`."""
        count = sum(s <= step * (1 + 1e-9) for s in self.steps)
        return Curve(self.steps[:count], self.values[:count])


@dataclass(frozen=True, slots=True)
class Forecast:
    """The value at the end: a median with a standard deviation; `log_like` as the model sees it, see `Scale`."""

    median: float
    std: float
    warped_mean: float
    warped_std: float

    def chance_below(self, warped: float) -> float:
        """Return the probability that the end lies below a value, given as the scale sees it."""
        return 0.5 * math.erfc((self.warped_mean - warped) / (math.sqrt(2.0) * max(self.warped_std, 1e-12)))


@dataclass(frozen=True, slots=True)
class Scale:
    """The logarithm of the distance to a little below the best: near it small differences are told apart."""

    low: float
    offset: float

    @classmethod
    def of(cls, ends: Array, lowest: float) -> Scale:
        """Fit to the values (n,) at the end, n >= 1, and the lowest value of any curve at any step."""
        typical = float(np.median(ends)) - float(ends.min())
        typical = typical if typical > 0.0 else max(float(ends.max() - ends.min()), abs(float(ends.min())) * 1e-3, 1e-12)
        return cls(min(lowest, float(ends.min())), 0.5 * typical)

    def apply(self, values: Array) -> Array:
        """(n,) -> (n,)."""
        return np.asarray(np.log(np.maximum(values - self.low, 0.0) + self.offset))

    def invert(self, warped: float) -> float:
        """Return the value."""
        return self.low - self.offset + math.exp(min(warped, 700.0))


class CurveModel:
    """What curves that ran teach about one that still runs.

    Args:
        curves: the others'; empty ones teach nothing.
        end: the step at which a full run ends.

    Attributes:
        is_able: whether enough curves reached the end.
    """

    def __init__(self, curves: Sequence[Curve], end: float) -> None:
        self._curves = [curve for curve in curves if curve.steps]
        self.end = end
        ends = np.array([c.at(end) for c in self._curves if c.reached >= end * (1 - 1e-9)])
        self.is_able = len(ends) >= FEWEST
        if self.is_able:
            self.scale = Scale.of(ends, min(min(c.values) for c in self._curves))
            self._known: dict[tuple[float, float], _Rung] = {}
            self._spread = float(np.std(self.scale.apply(ends))) or 1.0

    def forecast(self, curve: Curve) -> Forecast | None:
        """Return where `curve` will end; None while too little is known, or when it has not begun."""
        if not self.is_able or not curve.steps:
            return None
        step = min(curve.reached, self.end)
        mean = float(self.scale.apply(np.array([curve.at(step)]))[0])
        before = curve.at(step / RATIO)
        change = mean - float(self.scale.apply(np.array([before]))[0]) if math.isfinite(before) else 0.0
        variance = 0.0
        for low, high in self._rungs(step):
            rung = self._rung(low, high)
            ahead, slope, noise = rung.ahead(mean, change)
            # Further on only the mean of the last change is known; its spread is part of the value's.
            variance = slope * slope * variance + noise
            mean, change = mean + ahead, ahead
        std = math.sqrt(variance)
        middle = self.scale.invert(mean)
        spread = 0.5 * (self.scale.invert(mean + std) - self.scale.invert(mean - std))
        return Forecast(middle, spread, mean, std)

    def _rungs(self, step: float) -> list[tuple[float, float]]:
        """Return the pairs of steps from here to the end; rungs are counted down from the end, the same for all."""
        marks = [self.end]
        while marks[-1] / RATIO > step * (1 + 1e-9):
            marks.append(marks[-1] / RATIO)
        marks = [step, *reversed(marks)]
        if step >= self.end * (1 - 1e-9):
            return []
        # A first stretch that is short is joined to the next.
        if len(marks) > 2 and marks[1] / marks[0] < math.sqrt(RATIO):
            del marks[1]
        return list(zip(marks, marks[1:], strict=False))

    def _rung(self, low: float, high: float) -> _Rung:
        key = (round(low, 9), round(high, 9))
        if key not in self._known:
            passed = [c for c in self._curves if c.reached >= high * (1 - 1e-9) and c.steps[0] <= low * (1 + 1e-9)]
            at, to = (self.scale.apply(np.array([c.at(s) for c in passed])) for s in (low, high))
            before = np.array([c.at(low / RATIO) for c in passed])
            change = np.where(np.isfinite(before), at - self.scale.apply(np.where(np.isfinite(before), before, 0.0)), 0.0)
            self._known[key] = _Rung.learn(at, change, to - at, self._spread)
        return self._known[key]


@dataclass(frozen=True, slots=True)
class _Rung:
    """A Bayesian linear regression of what is gained on a rung on [1, value, last change]; better curves weigh more."""

    centre: float
    coefficients: Array
    covariance: Array
    variance: float

    @classmethod
    def learn(cls, at: Array, change: Array, gained: Array, spread: float) -> _Rung:
        centre = float(np.quantile(at, 0.25)) if len(at) else 0.0
        x = np.stack([np.ones(len(at)), at - centre, change], axis=1)
        # The better half decides who is stopped; a bad curve says little about good ones.
        weight = 1.0 / (1.0 + (np.maximum(at - centre, 0.0) / spread) ** 2)
        guess = (_PRIOR_STD * spread) ** 2
        precision = np.diag([1.0, 4.0, 4.0])
        root = x * weight[:, None]
        inverse = np.linalg.inv(x.T @ root + precision * 0.1)
        coefficients = inverse @ (root.T @ gained)
        residual = gained - x @ coefficients
        count = float(weight.sum())
        variance = (_PRIOR_WEIGHT * guess * 0.05 + float(weight @ residual**2)) / max(_PRIOR_WEIGHT + count - 2.0, 1.0)
        return cls(centre, coefficients, inverse, variance)

    def ahead(self, value: float, change: float) -> tuple[float, float, float]:
        """Return the mean of what is gained, the slope of the next value in this one, and the variance about it."""
        x = np.array([1.0, value - self.centre, change])
        slope = 1.0 + float(self.coefficients[1])
        return float(x @ self.coefficients), max(slope, 0.0), self.variance * (1.0 + float(x @ self.covariance @ x))
