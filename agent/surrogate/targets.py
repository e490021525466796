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
    """An increasing map from values to targets with mean 0 and standard deviation 1.

    The logarithm of the distance to (a little below) the best value: near the best, where it matters, small
    differences are told apart; among the bad ones large differences count little. What lies further above the median
    than `reach` times the best lies below it is clipped, so that one diverged run does not flatten the rest.
    """

    low: float
    high: float
    offset: float
    centre: float
    scale: float

    def apply(self, values: Array) -> Array:
        """(n,) values -> (n,) targets."""
        return (np.log(self._clipped(values) - self.low + self.offset) - self.centre) / self.scale

    def invert(self, targets: Array) -> Array:
        """(m,) targets -> (m,) values; never below the lowest that the map knows."""
        room = np.log(self.high - self.low + self.offset)
        return self.low - self.offset + np.exp(np.minimum(targets * self.scale + self.centre, room + 1.0))

    def _clipped(self, values: Array) -> Array:
        return np.clip(values, self.low, self.high)


def warp_for(values: Array, *, softness: float = 0.1, reach: float = 3.0) -> Warp:
    """Fit the map to (n,) finite values, n >= 1.

    Args:
        values: smaller is better.
        softness: offset below the best, as a share of the distance from the best to the median; large values make
            the map linear.
        reach: where the bad values are clipped.
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
        if distance > 1e-12 * max(abs(low), 1e-300):
            return distance
    return 0.0
