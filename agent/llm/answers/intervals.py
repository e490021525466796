"""The free parameters of a model's candidate: the ranges within which the sampler chooses their values."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from tunesmith.study.errors import Mistake, ProposalError
from tunesmith.study.names import did_you_mean
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import Bool, Choice, Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.space.values import own_value


@dataclass(frozen=True, slots=True)
class Interval:
    """A range of a free parameter, in its own units; of a choice, all of its values."""

    low: float
    high: float


def free_intervals(given: Any, space: SearchSpace) -> dict[str, Interval]:
    """Return the free parameters with their ranges, cut to the space's.

    Raises:
        ProposalError: a name is not a parameter, or a range does not overlap the parameter's.
    """
    if isinstance(given, Mapping):
        given = [{"name": name, **(bounds if isinstance(bounds, Mapping) else {})} for name, bounds in given.items()]
    if not isinstance(given, Sequence) or isinstance(given, str):
        return {}
    free: dict[str, Interval] = {}
    mistakes: list[Mistake] = []
    for item in given:
        name = str(item.get("name")) if isinstance(item, Mapping) else str(item)
        bounds = item if isinstance(item, Mapping) else {}
        if name in space.mixtures:
            free |= {part: Interval(p.low, p.high) for part, p in space.shares_of(name).items()}
            continue
        parameter = space.parameters.get(name)
        if parameter is None:
            mistakes.append(Mistake(f"free.{name[:60]}", f"is not a parameter{did_you_mean(name, space.names)}"))
            continue
        interval = _interval(parameter, bounds.get("low"), bounds.get("high"))
        if interval is None:
            mistakes.append(Mistake(f"free.{name}", "is a range outside the search space"))
        else:
            free[name] = interval
    if mistakes:
        raise ProposalError(mistakes)
    return free


def _interval(parameter: Parameter, low: Any, high: Any) -> Interval | None:
    if isinstance(parameter, Choice | Bool):
        return Interval(0.0, 1.0)
    ends = [float(end) if is_number(end) else None for end in (low, high)]
    bottom = parameter.low if ends[0] is None else max(ends[0], parameter.low)
    top = parameter.high if ends[1] is None else min(ends[1], parameter.high)
    return Interval(float(bottom), float(top)) if bottom <= top else None


def value_within(parameter: Parameter, value: Any, interval: Interval) -> Value:
    """Return a base's value moved into a free range; its middle on the parameter's scale where there is no value."""
    if isinstance(parameter, Choice | Bool):
        return value if is_valid(parameter, value) else parameter.from_unit(0.5)
    low, high = parameter.clip(interval.low), parameter.clip(interval.high)
    if is_number(value):
        return parameter.clip(min(max(value, interval.low), interval.high))
    ends = [parameter.to_unit(end) for end in (low, high)]  # type: ignore[arg-type]  # its own type
    return parameter.from_unit(sum(ends) / 2)


def is_number(value: Any) -> TypeGuard[float]:
    """Return whether a value is a finite number that a float can be; JSON may spell 1e999 and 400 digits."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def is_valid(parameter: Parameter | None, value: Value) -> bool:
    """Return whether a value is one of the parameter's; False where there is no parameter."""
    return parameter is not None and parameter.invalid_reason(own_value(parameter, value)) is None
