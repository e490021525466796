"""Finds mistakes in the bounds, step and default of a numeric parameter. Knows no parameter type."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tunesmith.study.errors import Mistake
from tunesmith.study.formatting import render_literal

_WIDEST_FLOAT_RANGE = 1e300
_WIDEST_INT_RANGE = 10**18


@dataclass(frozen=True, slots=True)
class Numeric:
    """What the user gave for a Float or an Int; nothing has been checked yet, so every field may hold anything."""

    low: Any
    high: Any
    default: Any
    step: Any
    log: bool
    is_int: bool


def numeric_mistakes(given: Numeric) -> list[Mistake]:
    """Return what is wrong; bounds and step are only compared if all are finite numbers, a default if they fit."""
    found = [*_type_mistakes(given)]
    if not found:
        found = [*_bound_mistakes(given), *_step_mistakes(given)] or [*_default_mistakes(given)]
    return found + [*_fraction_mistakes(given)]


def near(a: float, b: float) -> bool:
    """Return whether two numbers are equal up to rounding."""
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)


def _type_mistakes(given: Numeric) -> Iterator[Mistake]:
    for key in ("low", "high", "default", "step"):
        value = getattr(given, key)
        if value is None and key in ("default", "step"):
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            kind = "whole" if given.is_int else "finite"
            yield Mistake(key, f"{render_literal(value)} is not valid here; expected a {kind} number")


def _fraction_mistakes(given: Numeric) -> Iterator[Mistake]:
    for key in ("low", "high", "default", "step") if given.is_int else ():
        value = getattr(given, key)
        if isinstance(value, float) and math.isfinite(value):
            yield Mistake(key, f'{value!r} is not a whole number; write {round(value)} or type = "float"')


def _bound_mistakes(given: Numeric) -> Iterator[Mistake]:
    low, high = given.low, given.high
    widest = _WIDEST_INT_RANGE if given.is_int else _WIDEST_FLOAT_RANGE
    if low >= high:
        fix = "widen the range, or write a fixed value into the command"
        yield Mistake("low", f"{low!r} is not below high = {high!r}; {fix}")
    elif high - low > widest:
        yield Mistake(
            "high",
            f"{high!r} is too far from low = {low!r}; a range can be {f'{widest:.0e}'.replace('+', '')} wide at most",
        )
    if given.log and (low < 1 if given.is_int else low <= 0):
        expected = "a whole number of at least 1" if given.is_int else "a number above 0, for example 1e-5"
        yield Mistake("low", f"{low!r} is not valid with log = true; expected {expected}")


def _step_mistakes(given: Numeric) -> Iterator[Mistake]:
    step, width = given.step, given.high - given.low
    if step is None:
        return
    if given.log:
        yield Mistake("step", "cannot be combined with log = true; remove one of the two")
    if not 0 < step <= max(width, 0):
        expected = f"a number above 0 and at most high - low = {width!r}"
        yield Mistake("step", f"{step!r} is not valid here; expected {expected}")


def _default_mistakes(given: Numeric) -> Iterator[Mistake]:
    low, high, default, step = given.low, given.high, given.default, given.step
    if default is None:
        return
    if not low <= default <= high:
        yield Mistake("default", f"{default!r} is out of range; expected a number from {low!r} to {high!r}")
    elif step is not None:
        nearest = low + round((default - low) / step) * step
        if not near(nearest, default):
            problem = f"{default!r} is not on the grid of step = {step!r}"
            yield Mistake("default", f"{problem}; the nearest value is {nearest:g}")
