"""Maps one parameter's values to [0, 1] and back, exactly both ways. Numbers in, numbers out; knows no space.

A double cannot hold every value of a range at even spacing, so each scale has a *grid*: `snap` moves a value to the
nearest point that survives the round trip. The grid keeps about 12 significant digits, far below what a training
run can tell apart, and makes values short enough to paste.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

EXACT_BINS = 2**48
"""Up to this many values a bin's centre is exact in a double with room to spare; beyond, integers are snapped."""


class Scale(Protocol):
    """One parameter's way to the unit interval; for snapped x, `decode(encode(x)) == x`, and decode stays in range."""

    def encode(self, value: float) -> float:
        """Value in range -> coordinate in [0, 1]."""

    def decode(self, coordinate: float) -> float:
        """Coordinate, clipped to [0, 1] -> snapped value in range."""

    def snap(self, value: float) -> float:
        """Value in range -> the nearest value that the round trip keeps."""


@dataclass(frozen=True, slots=True)
class Linear:
    """A continuous range at even spacing."""

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
        # The error is smallest near the end that the value is measured from.
        value = self.low + u * (self.high - self.low) if u <= 0.5 else self.high - (1 - u) * (self.high - self.low)
        return self.snap(value)

    def snap(self, value: float) -> float:
        """Value -> the nearest decimal of the grid, or an end of the range when it is nearer."""
        widest = max(abs(self.low), abs(self.high))
        quantum = max((self.high - self.low) * 1e-12, 16 * math.ulp(widest))
        found = _between(self.low, _round_to(value, -math.ceil(math.log10(quantum))), self.high)
        # Beside an end that is tiny, as 1e-279 in [-1, 1e-279], a coordinate cannot tell the grid's point from it.
        place = self.encode(found)
        return found if 0.0 < place < 1.0 else self.high if place else self.low


@dataclass(frozen=True, slots=True)
class Log:
    """A continuous range above 0 at even spacing of the logarithm."""

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
        """Value -> the nearest number of 11 significant digits, or an end of the range when it is nearer."""
        return _between(self.low, _round_to(value, 10 - math.floor(math.log10(value))), self.high)


@dataclass(frozen=True, slots=True)
class Bins:
    """`count` values at even spacing, by index: index i lies at the centre of the i-th of `count` bins."""

    count: int

    def encode(self, value: float) -> float:
        """Index -> coordinate."""
        return (value + 0.5) / self.count

    def decode(self, coordinate: float) -> float:
        """Coordinate -> index."""
        return min(math.floor(_clip01(coordinate) * self.count), self.count - 1)

    def snap(self, value: float) -> float:
        """Every index survives."""
        return round(value)


@dataclass(frozen=True, slots=True)
class Integers:
    """Integers on a continuous scale that reaches half a step beyond both ends, so that all get their share."""

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
        """Value -> nearest integer; wide ranges keep the leading 11 digits, the ends of the range always."""
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
