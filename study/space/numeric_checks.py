"""Finds mistakes in the bounds, step and default of a numeric parameter. Knows no parameter type."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tunesmith.study.errors import Mistake
from tunesmith.study.formatting import render_literal
from tunesmith.study.space.grid import Numeric, real_grid, whole_grid

_WIDEST_FLOAT_RANGE = 1e300
_WIDEST_INT_RANGE = 10**18
_MOST_STEPS = 1e18


_GRIDS = ("step", "multiple_of", "power_of")
_OPTIONAL = ("default", *_GRIDS)
_KEYS = ("low", "high", *_OPTIONAL)


def numeric_mistakes(given: Numeric, *, is_int: bool) -> list[Mistake]:
    """Return what is wrong; bounds and grid are only compared if all are finite numbers, a default if they fit."""
    found = [*_type_mistakes(given, is_int)]
    if not found:
        found = [*_bound_mistakes(given, is_int), *_step_mistakes(given)]
    found = found or [*_factor_mistakes(given)] or [*_empty_grid_mistakes(given, is_int)]
    found = found or [*_default_mistakes(given, is_int)]
    return found + [*_fraction_mistakes(given, is_int)]


def off_grid(given: Numeric, value: float, nearest: float) -> str:
    """Return why a value within the range is none of the grid's values."""
    grid = next(key for key in _GRIDS if getattr(given, key) is not None)
    size = getattr(given, grid)
    what = {"step": f"on the grid of step = {size!r}", "multiple_of": f"a multiple of {size!r}"}
    return f"{value!r} is not {what.get(grid, f'a power of {size!r}')}; the nearest value is {nearest!r}"


def near(a: float, b: float) -> bool:
    """Return whether two numbers are equal up to rounding."""
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)


def _type_mistakes(given: Numeric, is_int: bool) -> Iterator[Mistake]:
    for key in _KEYS:
        value = getattr(given, key)
        if value is None and key in _OPTIONAL:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            kind = "whole" if is_int else "finite"
            yield Mistake(key, f"{render_literal(value)} is not valid here; expected a {kind} number")


def _fraction_mistakes(given: Numeric, is_int: bool) -> Iterator[Mistake]:
    for key in _KEYS if is_int else ():
        value = getattr(given, key)
        if isinstance(value, float) and math.isfinite(value):
            yield Mistake(key, f'{value!r} is not a whole number; write {round(value)} or type = "float"')


def _bound_mistakes(given: Numeric, is_int: bool) -> Iterator[Mistake]:
    low, high = given.low, given.high
    widest = _WIDEST_INT_RANGE if is_int else _WIDEST_FLOAT_RANGE
    if low >= high:
        fix = "widen the range, or write a fixed value into the command"
        yield Mistake("low", f"{low!r} is not below high = {high!r}; {fix}")
    elif high - low > widest:
        yield Mistake(
            "high",
            f"{high!r} is too far from low = {low!r}; a range can be {f'{widest:.0e}'.replace('+', '')} wide at most",
        )
    if given.log and (low < 1 if is_int else low <= 0):
        expected = "a whole number of at least 1" if is_int else "a number above 0, for example 1e-5"
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


def _factor_mistakes(given: Numeric) -> Iterator[Mistake]:
    used = [key for key in _GRIDS if getattr(given, key) is not None]
    for key in ("step", "multiple_of"):
        size = getattr(given, key)
        if size is not None and size > 0 and (given.high - given.low) / size > _MOST_STEPS:
            yield Mistake(key, f"{size!r} is too small for a range from {given.low!r} to {given.high!r}; remove it")
    if len(used) > 1:
        yield Mistake(used[1], f"cannot be combined with {used[0]}; remove one of the two")
    if given.multiple_of is not None and given.multiple_of <= 0:
        yield Mistake("multiple_of", f"{given.multiple_of!r} is not valid here; expected a number above 0")
    if given.power_of is not None:
        if given.power_of <= 1:
            yield Mistake("power_of", f"{given.power_of!r} is not valid here; expected a number above 1, for example 2")
        if given.low <= 0:
            yield Mistake("low", f"{given.low!r} is not valid with power_of; expected a number above 0, for example 1")


def _empty_grid_mistakes(given: Numeric, is_int: bool) -> Iterator[Mistake]:
    key = next((key for key in ("multiple_of", "power_of") if getattr(given, key) is not None), None)
    if key is None or any(isinstance(getattr(given, k), float) for k in _KEYS if is_int):
        return
    grid = whole_grid(given) if is_int else real_grid(given)
    if grid.count > 1:
        return
    what = f"{key.split('_')[0]}s of {getattr(given, key)!r}"
    few = f"only one of the {what} lies" if grid.count == 1 else f"none of the {what} lies"
    yield Mistake(key, f"{few} between low = {given.low!r} and high = {given.high!r}; widen the range")


def _default_mistakes(given: Numeric, is_int: bool) -> Iterator[Mistake]:
    low, high, default = given.low, given.high, given.default
    if default is None:
        return
    if not low <= default <= high:
        yield Mistake("default", f"{default!r} is out of range; expected a number from {low!r} to {high!r}")
    elif any(getattr(given, key) is not None for key in _GRIDS):
        nearest = (whole_grid(given) if is_int else real_grid(given)).nearest(default)
        if not near(nearest, default):
            yield Mistake("default", off_grid(given, default, nearest))
