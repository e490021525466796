"""The values of one share and their map to [0, 1], which its mixture's other shares do not change."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tunesmith.study.space.encoding import Scale
from tunesmith.study.space.mixtures.simplex import MILLION, RATE, excess


@dataclass(frozen=True, slots=True)
class ExcessScale:
    """Shares from `low` on: an excess over `base` of part w of `width` has the coordinate 1 - exp(-RATE w).

    Attributes:
        low: smallest share.
        high: largest share.
        base: the minimum that was given.
        width: what the minima of all shares leave of 1.
    """

    low: float
    high: float
    base: float
    width: float

    def encode(self, value: float) -> float:
        """Share in range -> coordinate in [0, 1]."""
        return -math.expm1(-RATE * max(value - self.base, 0.0) / self.width)

    def decode(self, coordinate: float) -> float:
        """Coordinate, clipped to [0, 1] -> share in range, in millionths."""
        return self.snap(self.base + self.width * excess(min(max(coordinate, 0.0), 1.0)) / RATE)

    def snap(self, value: float) -> float:
        """Share -> the nearest millionth in range."""
        return min(max(round(value * MILLION) / MILLION, self.low), self.high)


@dataclass(frozen=True, slots=True)
class ShareGrid:
    """The millionths in a range; counted as continuous."""

    own_scale: ExcessScale

    @property
    def count(self) -> float:
        """Infinite, since neighbouring values are practically the same."""
        return math.inf

    @property
    def scale(self) -> Scale:
        """The map to [0, 1]."""
        return self.own_scale

    def nearest(self, value: float) -> float:
        """Any number -> the nearest share in range."""
        return self.own_scale.snap(value)

    def position(self, value: float) -> float:
        """Share -> itself."""
        return value

    def at(self, position: float) -> float:
        """Position -> itself."""
        return position
