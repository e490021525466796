"""Turns measured values into targets that a Gaussian process can fit, and predictions back into values.

Values are to be minimized. Knows no model and no trial.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Warp:
    """An increasing map from values to targets with mean 0 and standard deviation 1 over those it was fitted to.

    The logarithm of the distance to a little below the best value: near the best, where it matters, small differences
    are told apart; among the bad ones large differences count little. What is worse than `high` is clipped, so that
    one diverged run does not flatten the rest.
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
        """(n,) values -> (n,) by how much a target grows with its value, per unit."""
        clipped = np.clip(values, self.low, self.high)
        return np.asarray(1.0 / ((clipped - self.low + self.offset) * self.scale))

    def invert(self, targets: Array) -> Array:
        """(m,) targets -> (m,) values; what lies outside the values that were seen is kept near them."""
        most = np.log(self.high - self.low + self.offset) + 1.0
        return np.asarray(self.low - self.offset + np.exp(np.minimum(targets * self.scale + self.centre, most)))


def warp_for(values: Array, *, softness: float, reach: float = 3.0) -> Warp:
    """Fit the map to (n,) finite values, n >= 1.

    Args:
        values: smaller is better.
        softness: the offset below the best, as a share of the distance from the best to the median; the larger, the
            closer the map is to a straight line.
        reach: how many such distances above the median bad values are clipped.
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
    for share in (0.5, 0.75, 0.9, 1.0):
        distance = float(np.quantile(values, share)) - low
        if distance > 1e-12 * max(abs(low), 1e-200):
            return distance
    return 0.0


def squash(violations: Array) -> Array:
    """(n,) finite violations -> (n,) in [-3, 3] with the sign kept, in units of their median size."""
    size = float(np.median(np.abs(violations)))
    size = size if size > 0.0 else float(np.abs(violations).max())
    return np.clip(violations / size, -3.0, 3.0) if size > 0.0 else violations
