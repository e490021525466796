"""Maps the values of one parameter to [0, 1] and back, exactly in both directions. Knows no search space.

Doubles cannot represent every value of a range at even spacing, so each scale has a *grid*: `snap` moves a value to the
nearest point that survives the round trip. The grid keeps about 12 significant digits, more than a training run can
distinguish, and keeps values short enough to paste.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

EXACT_BINS = 2**48
"""Largest number of values whose bin centres are exact doubles; integers of wider ranges are snapped."""


class Scale(Protocol):
    """A map between a range and [0, 1]: `decode(encode(x)) == x` for snapped x, and `decode` stays in range."""

    def encode(self, value: float) -> float:
        """Value in range -> coordinate in [0, 1]."""

    def decode(self, coordinate: float) -> float:
        """Coordinate, clipped to [0, 1] -> snapped value in range."""

    def snap(self, value: float) -> float:
        """Value in range -> the nearest value that survives the round trip."""


@dataclass(frozen=True, slots=True)
class Linear:
    """A continuous range on a linear scale."""

    low: float
    high: float

    def encode(self, value: float) -> float:
        """Value in range -> coordinate in [0, 1]."""
        return _clip01((value - self.low) / (self.high - self.low))

    def decode(self, coordinate: float) -> float:
        """Coordinate -> value in range."""
        u = _clip01(coordinate)
        if u in (0.0, 1.0):
            return self.high if u else self.low
        # Measuring from the nearer end keeps the rounding error small.
        value = self.low + u * (self.high - self.low) if u <= 0.5 else self.high - (1 - u) * (self.high - self.low)
        return self.snap(value)

    def snap(self, value: float) -> float:
        """Value -> the nearest decimal of the grid, or an end of the range if that is nearer."""
        widest = max(abs(self.low), abs(self.high))
        quantum = max((self.high - self.low) * 1e-12, 16 * math.ulp(widest))
        found = _between(self.low, _round_to(value, -math.ceil(math.log10(quantum))), self.high)
        # Next to a tiny end, such as 1e-279 in [-1, 1e-279], the grid point and the end have the same coordinate.
        coordinate = self.encode(found)
        return found if 0.0 < coordinate < 1.0 else self.high if coordinate else self.low


@dataclass(frozen=True, slots=True)
class Log:
    """A continuous range above 0 on a log scale."""

    low: float
    high: float

    def encode(self, value: float) -> float:
        """Value in range -> coordinate in [0, 1]."""
        low, high = math.log(self.low), math.log(self.high)
        if value in (self.low, self.high):
            return float(value == self.high)
        return _clip01((math.log(value) - low) / (high - low))

    def decode(self, coordinate: float) -> float:
        """Coordinate -> value in range."""
        u = _clip01(coordinate)
        if u in (0.0, 1.0):
            return self.high if u else self.low
        low, high = math.log(self.low), math.log(self.high)
        return self.snap(math.exp(low + u * (high - low)))

    def snap(self, value: float) -> float:
        """Value -> the nearest number with 11 significant digits, or an end of the range if that is nearer."""
        return _between(self.low, _round_to(value, 10 - math.floor(math.log10(value))), self.high)


@dataclass(frozen=True, slots=True)
class Bins:
    """`count` values, by index: index i is the centre of the i-th of `count` equal bins."""

    count: int

    def encode(self, value: float) -> float:
        """Index -> coordinate."""
        return (value + 0.5) / self.count

    def decode(self, coordinate: float) -> float:
        """Coordinate -> index."""
        return min(math.floor(_clip01(coordinate) * self.count), self.count - 1)

    def snap(self, value: float) -> float:
        """Every index survives the round trip."""
        return round(value)


@dataclass(frozen=True, slots=True)
class Integers:
    """Integers on a continuous scale that extends half a step beyond both ends, so that both ends get a full bin."""

    low: int
    high: int
    log: bool

    def encode(self, value: float) -> float:
        """Integer in range -> coordinate."""
        if self._wide and value in (self.low, self.high):
            return float(value == self.high)
        return self._scale.encode(self.snap(value))

    def decode(self, coordinate: float) -> float:
        """Coordinate -> integer in range."""
        if coordinate <= 0 or coordinate >= 1:
            return self.high if coordinate > 0 else self.low
        return self.snap(self._scale.decode(coordinate))

    def snap(self, value: float) -> float:
        """Value -> the nearest integer; large ones keep the leading 11 digits, the ends of the range all digits."""
        whole = min(max(round(value), self.low), self.high)
        if whole in (self.low, self.high) or abs(whole) < 10**11:
            return whole
        widest = max(abs(self.low), abs(self.high))
        return min(max(round(whole, 11 - len(str(abs(whole) if self.log else widest))), self.low), self.high)

    @property
    def _wide(self) -> bool:
        return self.high - self.low >= EXACT_BINS

    @property
    def _scale(self) -> Linear | Log:
        return Log(self.low - 0.5, self.high + 0.5) if self.log else Linear(self.low - 0.5, self.high + 0.5)


def _round_to(value: float, digits: int) -> float:
    # round() overflows when the rounded number exceeds the largest double.
    try:
        return round(value, min(digits, 400))
    except OverflowError:
        return value


def _between(low: float, value: float, high: float) -> float:
    return min(max(value, low), high)


def _clip01(coordinate: float) -> float:
    return _between(0.0, coordinate, 1.0)
