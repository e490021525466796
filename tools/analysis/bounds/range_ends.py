"""Tells where the best value is at an end of its range, and whether that end could be moved or is a natural one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import Float, Int
from tunesmith.study.space.space import SearchSpace

EDGE = 0.02
"""A value within this part of its range, on its scale, is at the end."""
NEARLY_ONE = 0.9
"""Upper end from which on a range of non-negative numbers up to 1 is that of a fraction, such as momentum."""


@dataclass(frozen=True, slots=True)
class RangeEnd:
    """A parameter whose value is at an end of its range: "lower" or "upper", and the bound there."""

    name: str
    value: float
    end: str
    bound: float


def reached_ends(space: SearchSpace, params: Mapping[str, Value]) -> Iterator[RangeEnd]:
    """Yield the ends that a configuration has reached and that could be moved."""
    for name, value in params.items():
        parameter = space.parameters.get(name)
        if not isinstance(parameter, Float | Int) or not isinstance(value, int | float):
            continue
        position = parameter.to_unit(value)  # type: ignore[arg-type]  # of an Int it is an int
        if (position <= EDGE or value == parameter.low) and not has_natural_low(parameter):
            yield RangeEnd(name, value, "lower", parameter.low)
        elif (position >= 1.0 - EDGE or value == parameter.high) and not has_natural_high(parameter):
            yield RangeEnd(name, value, "upper", parameter.high)


def has_natural_low(parameter: Float | Int) -> bool:
    """Tell whether smaller values make no sense: below a rate, probability or strength of 0, or a count of 1."""
    return parameter.low == 0 or (isinstance(parameter, Int) and parameter.low == 1)


def has_natural_high(parameter: Float | Int) -> bool:
    """Tell whether larger values make no sense: above a fraction of 1. A range on a log scale is none of a fraction."""
    return (
        isinstance(parameter, Float) and not parameter.log and parameter.low >= 0 and NEARLY_ONE <= parameter.high <= 1
    )
