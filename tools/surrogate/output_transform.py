"""Transforms measured values into targets for a Gaussian process, and predictions back into values.

Smaller values are better. Knows no model and no trial.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Warp:
    """An increasing map from values to targets with mean 0 and standard deviation 1 over those it was fitted to.

    The target is the standardized logarithm of the distance to a point slightly below the best value. That spreads
    values near the best apart and compresses bad ones. Values above `high` are clipped, so that one diverged run does
    not flatten the rest.
    """

    low: float
    high: float
    offset: float
    centre: float
    scale: float

    def apply(self, values: Array) -> Array:
        """(n,) values -> (n,) targets."""
        clipped = np.clip(values, self.low, self.high)
        return np.asarray((np.log(clipped - self.low + self.offset) - self.centre) / self.scale)

    def slope(self, values: Array) -> Array:
        """(n,) values -> (n,) derivative of the target with respect to the value."""
        clipped = np.clip(values, self.low, self.high)
        return np.asarray(1.0 / ((clipped - self.low + self.offset) * self.scale))

    def invert(self, targets: Array) -> Array:
        """(m,) targets -> (m,) values, bounded a little above the largest fitted value."""
        most = np.log(self.high - self.low + self.offset) + 1.0
        return np.asarray(self.low - self.offset + np.exp(np.minimum(targets * self.scale + self.centre, most)))


def fit_warp(values: Array, *, softness: float, reach: float = 3.0) -> Warp:
    """Fit the map to (n,) finite values, n >= 1.

    Args:
        values: smaller is better.
        softness: the offset below the best value, as a fraction of the distance from the best to the median. The
            larger it is, the closer the map is to a straight line.
        reach: values are clipped at this number of such distances above the median.
    """
    low = float(values.min())
    typical = _typical_distance(values, low)
    if typical <= 0.0:
        return Warp(low, low, 1.0, 0.0, 1.0)
    high = min(float(values.max()), low + (1.0 + reach) * typical)
    offset = softness * typical
    logs = np.log(np.clip(values, low, high) - low + offset)
    spread = float(logs.std())
    return Warp(low, high, offset, float(logs.mean()), spread if spread > 1e-12 else 1.0)


def _typical_distance(values: Array, low: float) -> float:
    """Return the distance from the best to the median, or to the first higher quantile that differs from the best."""
    for level in (0.5, 0.75, 0.9, 1.0):
        distance = float(np.quantile(values, level)) - low
        if distance > 1e-12 * max(abs(low), 1e-200):
            return distance
    return 0.0


def scale_violations(violations: Array) -> Array:
    """(n,) finite violations -> (n,) in units of their median size, clipped to [-3, 3]; signs are kept."""
    size = float(np.median(np.abs(violations)))
    size = size if size > 0.0 else float(np.abs(violations).max())
    return np.clip(violations / size, -3.0, 3.0) if size > 0.0 else violations
