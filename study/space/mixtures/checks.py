"""Finds mistakes in the names, bounds and default of a mixture. Knows no parameter type."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tunesmith.study.errors import Mistake
from tunesmith.study.formatting import render_literal
from tunesmith.study.names import did_you_mean

ROUNDED = 0.005
"""How far from 1 the sum of shares may be that were rounded to print them; they are scaled to 1."""

MOST_SOURCES = 200
_NAME = re.compile(r"[^\W\d][\w-]*")
_SLACK = 1e-6
_PERCENT = 100.0


def bound_of(given: Any, name: str, otherwise: float) -> float:
    """Return the bound of one source: of a table its entry, or what holds without one."""
    return float(given.get(name, otherwise) if isinstance(given, Mapping) else given)


def shares_mistakes(of: Any, low: Any, high: Any, default: Any) -> list[Mistake]:
    """Return what is wrong; bounds are only added up if each is valid, a default is only compared with valid bounds."""
    found = list(_name_mistakes(of))
    if found:
        return found
    found = [*_bound_mistakes("min", low, of), *_bound_mistakes("max", high, of)]
    found = found or list(_room_mistakes(of, low, high))
    if not found and default is not None:
        found = list(_default_mistakes(of, low, high, default))
    return found


def sum_mistake(total: float, shares: Mapping[str, float]) -> str:
    """Return in words that shares do not sum to 1, with ones in proportion that do."""
    if total <= 0.0:
        return "is 0 for every source; shares sum to 1"
    if abs(total - _PERCENT) < _PERCENT * ROUNDED:
        return "sums to 100; write parts of 1, for example 0.25 for 25%"
    nearest = ", ".join(f"{name} = {value / total:.4g}" for name, value in list(shares.items())[:6])
    return f"sums to {total:.6g}, and shares sum to 1; in proportion: {nearest}{', …' if len(shares) > 6 else ''}"  # noqa: PLR2004  # listed above


def _name_mistakes(of: Any) -> Iterator[Mistake]:
    if isinstance(of, str) or not isinstance(of, Sequence):
        yield Mistake(
            "of", f'{render_literal(of)} is not valid here; expected a list of names such as ["code", "prose"]'
        )
        return
    if len(of) < 2:  # noqa: PLR2004  # one source has all of it
        what = "has one name, whose share is always 1" if of else "is empty"
        yield Mistake("of", f"{what}; expected at least two names")
    elif len(of) > MOST_SOURCES:
        yield Mistake("of", f"has {len(of)} names; expected at most {MOST_SOURCES}")
    for index, name in enumerate(of):
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            expected = "expected letters, digits, _ and -, and a letter first"
            yield Mistake("of", f"{render_literal(name)} is not a valid name; {expected}")
        elif name in of[:index]:
            yield Mistake("of", f"{render_literal(name)} is listed twice; remove one")


def _bound_mistakes(key: str, given: Any, of: Sequence[str]) -> Iterator[Mistake]:
    if not isinstance(given, Mapping):
        if not _is_share(given):
            yield Mistake(key, f"{render_literal(given)} is not valid here; expected a number from 0 to 1, or a table")
        return
    for name, value in given.items():
        if name not in of:
            yield Mistake(key, f"{name} is not in `of`{did_you_mean(str(name), of)}")
        elif not _is_share(value):
            yield Mistake(f"{key}.{name}", f"{render_literal(value)} is not valid here; expected a number from 0 to 1")


def _is_share(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and 0.0 <= value <= 1.0


def _room_mistakes(of: Sequence[str], low: Any, high: Any) -> Iterator[Mistake]:
    lows, highs = [bound_of(low, n, 0.0) for n in of], [bound_of(high, n, 1.0) for n in of]
    for name, least, most in zip(of, lows, highs, strict=True):
        if least > most - 10 * _SLACK:
            what = "equal to" if math.isclose(least, most) else "above" if least > most else "too close to"
            fix = "leave a fixed source out of `of`, or widen the range"
            yield Mistake("min", f"of {name}, {least!r}, is {what} its max, {most!r}; {fix}")
            return
    if sum(lows) > 1.0 - 10 * _SLACK:
        room = f"; with {len(of)} sources it has to be below {1.0 / len(of):.4g}"
        what = f"adds up to {sum(lows):.6g} over {len(of)} sources, which leaves nothing to divide"
        yield Mistake("min", f"{what}{'' if isinstance(low, Mapping) else room}")
    elif sum(highs) < 1.0 + 10 * _SLACK:
        yield Mistake("max", f"adds up to {sum(highs):.6g} over {len(of)} sources; it has to be above 1 in sum")


def _default_mistakes(of: Sequence[str], low: Any, high: Any, default: Any) -> Iterator[Mistake]:
    example = ", ".join(f"{name} = {1.0 / len(of):.3g}" for name in of[:3])
    if isinstance(default, str) or not isinstance(default, Mapping | Sequence):
        yield Mistake(
            "default", f"{render_literal(default)} is not valid here; expected shares by name, such as {{ {example} }}"
        )
        return
    if not isinstance(default, Mapping):
        if len(default) != len(of):
            yield Mistake("default", f"has {len(default)} shares for {len(of)} sources; expected one for each name")
            return
        default = dict(zip(of, default, strict=True))
    found = [Mistake("default", f"{n} is not in `of`{did_you_mean(str(n), of)}") for n in default if n not in of]
    found += [
        Mistake("default", f"has no share for {name}; give one for each name") for name in of if name not in default
    ]
    for name, value in default.items():
        if name in of and not _is_share(value) and not (_is_number(value) and value > 1.0):
            found.append(
                Mistake(f"default.{name}", f"{render_literal(value)} is not valid here; expected a number from 0 to 1")
            )
    yield from found or _sum_and_range_mistakes(of, low, high, default)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _sum_and_range_mistakes(of: Sequence[str], low: Any, high: Any, default: Mapping[str, float]) -> Iterator[Mistake]:
    total = math.fsum(default.values())
    if abs(total - 1.0) > ROUNDED:
        yield Mistake("default", sum_mistake(total, default))
        return
    for name in of:
        least, most, share = bound_of(low, name, 0.0), bound_of(high, name, 1.0), default[name] / total
        if not least - ROUNDED * least - _SLACK <= share <= most + ROUNDED * most + _SLACK:
            yield Mistake(f"default.{name}", f"{default[name]!r} is not between min = {least!r} and max = {most!r}")
