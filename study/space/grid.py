"""The values that a numeric parameter can have: a range, steps, multiples or powers, and their map to [0, 1].

A grid places its values on a scale by position: the value itself in a range, the index among steps and powers, the
quotient among multiples on a log scale. Knows no parameter type.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

from tunesmith.study.space.encoding import EXACT_BINS, Bins, Integers, Linear, Log, Scale


class Grid(Protocol):
    """Values, and the scale on which they lie by position; `at(position(x)) == x` for every value x."""

    @property
    def count(self) -> float:
        """The number of values; inf for a continuous range."""

    @property
    def scale(self) -> Scale:
        """The map from positions to [0, 1]."""

    def nearest(self, value: float) -> float:
        """Any number -> the nearest value."""

    def position(self, value: float) -> float:
        """Value -> its position on the scale."""

    def at(self, position: float) -> float:
        """Position -> value."""


@dataclass(frozen=True, slots=True)
class Continuous:
    """Every real number of a range."""

    low: float
    high: float
    log: bool

    @property
    def count(self) -> float:
        """Infinite."""
        return math.inf

    @property
    def scale(self) -> Scale:
        """Linear or log."""
        return Log(self.low, self.high) if self.log else Linear(self.low, self.high)

    def nearest(self, value: float) -> float:
        """Any number -> the nearest value."""
        return float(min(max(value, self.low), self.high))

    def position(self, value: float) -> float:
        """Value -> itself."""
        return value

    def at(self, position: float) -> float:
        """Position -> itself."""
        return float(position)


@dataclass(frozen=True, slots=True)
class RealSteps:
    """`first`, `first + step`, ..., as decimals of 15 digits, none outside [low, high]."""

    first: float
    step: float
    last_index: int
    low: float
    high: float

    @property
    def count(self) -> float:
        """The number of values."""
        return self.last_index + 1

    @property
    def scale(self) -> Scale:
        """By index."""
        return Bins(self.last_index + 1)

    def nearest(self, value: float) -> float:
        """Any number -> the nearest value."""
        return self.at(self.position(min(max(value, self.low), self.high)))

    def position(self, value: float) -> float:
        """Value -> its index."""
        return min(max(round((value - self.first) / self.step), 0), self.last_index)

    def at(self, position: float) -> float:
        """Index -> value."""
        # 0.1 * 3 is 0.30000000000000004; a grid of decimals should read 0.3.
        decimal = float(f"{self.first + min(max(position, 0), self.last_index) * self.step:.15g}")
        return float(min(max(decimal, self.low), self.high))


@dataclass(frozen=True, slots=True)
class WholeSteps:
    """`first`, `first + step`, ... up to `last`, all whole numbers; on a log scale, multiples of `step`."""

    first: int
    last: int
    step: int
    log: bool

    @property
    def count(self) -> float:
        """The number of values."""
        return (self.last - self.first) // self.step + 1

    @property
    def scale(self) -> Scale:
        """By index where that is exact; a log scale, and a very wide range, by quotient."""
        if self._by_index:
            return Bins(int(self.count))
        return Integers(self.first // self.step, self.last // self.step, self.log)

    def nearest(self, value: float) -> int:
        """Any number -> the nearest value; of two equally near ones the greater."""
        # Whole numbers only: a quotient of floats loses the last digits beyond 2^53.
        inside = min(max(round(value), self.first), self.last)
        index = (inside - self.first + self.step // 2) // self.step
        return self.first + min(index, (self.last - self.first) // self.step) * self.step

    def position(self, value: float) -> int:
        """Value -> its index or quotient."""
        return (int(value) - (self.first if self._by_index else 0)) // self.step

    def at(self, position: float) -> int:
        """Index or quotient -> value."""
        return (self.first if self._by_index else 0) + int(position) * self.step

    @property
    def _by_index(self) -> bool:
        return not self.log and (self.count <= EXACT_BINS or self.first % self.step != 0)


@dataclass(frozen=True, slots=True)
class Powers:
    """The powers of a base, by exponent, from base^first to base^last."""

    base: float
    first: int
    last: int

    @property
    def count(self) -> float:
        """The number of values."""
        return self.last - self.first + 1

    @property
    def scale(self) -> Scale:
        """By index, which is even on a log scale."""
        return Bins(self.last - self.first + 1)

    def nearest(self, value: float) -> float:
        """Any number -> the nearest value on a log scale; of two equally near ones the greater."""
        if value <= 0:
            return self.at(0)
        exponent = math.floor(math.log(value) / math.log(self.base) + 0.5)
        return self.at(min(max(exponent, self.first), self.last) - self.first)

    def position(self, value: float) -> float:
        """Value -> its index."""
        return round(math.log(value) / math.log(self.base)) - self.first

    def at(self, position: float) -> float:
        """Index -> value."""
        return _power(self.base, self.first + int(position))


@dataclass(frozen=True, slots=True)
class Numeric:
    """What a user gave for a Float or an Int; a grid is only made of it once it has been checked.

    Attributes:
        step: the values are low, low + step, ...
        multiple_of: the values are the multiples of this number in the range.
        power_of: the values are the powers of this number in the range.
    """

    low: Any
    high: Any
    default: Any
    step: Any
    multiple_of: Any
    power_of: Any
    log: bool

    @property
    def is_log(self) -> bool:
        """Whether the log scale applies; on a very narrow range it differs from the linear one by rounding only."""
        return bool(self.log and self.high / self.low > 1 + 1e-6)


def whole_grid(given: Numeric) -> Grid:
    """Return the grid of an Int."""
    if given.power_of is not None:
        return powers_between(given.power_of, given.low, given.high)
    if given.multiple_of is not None:
        unit = given.multiple_of
        return WholeSteps(-(-given.low // unit) * unit, given.high // unit * unit, unit, given.is_log)
    return WholeSteps(given.low, given.high, given.step or 1, given.is_log)


def real_grid(given: Numeric) -> Grid:
    """Return the grid of a Float."""
    if given.power_of is not None:
        return powers_between(given.power_of, given.low, given.high)
    step = given.multiple_of if given.multiple_of is not None else given.step
    if step is None:
        return Continuous(given.low, given.high, given.is_log)
    first = given.low if given.multiple_of is None else math.ceil(given.low / step - 1e-9) * step
    return RealSteps(first, step, count_steps(first, given.high, step) - 1, given.low, given.high)


def powers_between(base: float, low: float, high: float) -> Powers:
    """Return the powers of a base in [low, high], 0 < low; without any, `count` is 0 or less."""
    first = math.floor(math.log(low) / math.log(base)) - 1
    last = math.ceil(math.log(high) / math.log(base)) + 1
    # Logarithms are rounded, powers are not.
    while _power(base, first) < low:
        first += 1
    while _power(base, last) > high:
        last -= 1
    return Powers(base, first, last)


def _power(base: float, exponent: int) -> float:
    if isinstance(base, int) and exponent >= 0:
        return int(base**exponent)
    try:
        # 10.0 ** -5 is 1.0000000000000001e-05.
        return float(f"{base**exponent:.15g}")
    except OverflowError:
        return math.inf


def count_steps(low: float, high: float, step: float) -> int:
    """Return the number of values low, low + step, ... up to high."""
    # 0.1 to 0.7 by 0.1 has seven values, although (0.7 - 0.1) / 0.1 falls just short of 6.
    return math.floor((high - low) / step * (1 + 1e-12) + 1e-9) + 1
