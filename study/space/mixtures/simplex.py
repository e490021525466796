"""Arithmetic of shares that sum to 1, each within bounds. Pure functions of lists; knows no parameter.

Shares are whole millionths, so that their decimals sum to exactly 1 and equal mixtures are equal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

MILLION = 1_000_000
"""Number of steps from 0 to 1."""

RATE = 4.0
"""The coordinate of an excess of part w of what the minima leave is 1 - exp(-RATE w)."""

_TINY = 1e-9
_HALVINGS = 100


def excess(coordinate: float) -> float:
    """Return the size, from 0 on, that a coordinate in [0, 1] has among those of its mixture.

    Of coordinates drawn uniformly the sizes are exponentially distributed, and their parts of the sum are uniform on
    the simplex (Devroye 1986, Non-Uniform Random Variate Generation, chapter V.2).
    """
    return -math.log1p(-min(coordinate, 1.0 - 1e-16))


def from_sizes(sizes: Sequence[float], lows: Sequence[float], highs: Sequence[float]) -> list[float]:
    """Return shares in millionths: what the lows leave of 1, in proportion to the sizes; none above its high.

    Args:
        sizes: (k,) at least 0; all equal if all are 0.
        lows: (k,) of sum below 1.
        highs: (k,) of sum above 1. What exceeds one is divided among the others.
    """
    capped: set[int] = set()
    shares = list(lows)
    sizes = sizes if sum(sizes) > 0.0 else [1.0] * len(sizes)
    while len(capped) < len(sizes):
        free = [i for i in range(len(sizes)) if i not in capped]
        total = sum(sizes[i] for i in free)
        left = 1.0 - sum(highs[i] for i in capped) - sum(lows[i] for i in free)
        for i in free:
            shares[i] = lows[i] + left * (sizes[i] / total if total > 0.0 else 1.0 / len(free))
        over = [i for i in free if shares[i] > highs[i] + _TINY]
        if not over:
            break
        for i in over:
            shares[i] = highs[i]
        capped.update(over)
    return rounded(shares, lows, highs)


def scaled(values: Sequence[float], lows: Sequence[float], highs: Sequence[float]) -> list[float]:
    """Return shares in millionths that are in proportion to the values, except where a bound forbids it.

    Args:
        values: (k,) at least 0.
        lows: (k,) of sum at most 1.
        highs: (k,) of sum at least 1.
    """
    weights = [max(value, _TINY) for value in values]

    def at(factor: float) -> list[float]:
        return [min(max(factor * w, low), high) for w, low, high in zip(weights, lows, highs, strict=True)]

    if abs(sum(at(1.0)) - 1.0) < _TINY:
        return rounded(at(1.0), lows, highs)
    # On a log scale: a weight may be tiny, and its factor huge.
    low, high = math.log(_TINY), math.log(2.0 / _TINY)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if sum(at(math.exp(middle))) < 1.0 else (low, middle)
    return rounded(at(math.exp(high)), lows, highs)


def rounded(shares: Sequence[float], lows: Sequence[float], highs: Sequence[float]) -> list[float]:
    """Return shares as whole millionths that sum to 1, each within its bounds and next to what it was."""
    least = [math.ceil(low * MILLION - 1e-3) for low in lows]
    most = [math.floor(high * MILLION + 1e-3) for high in highs]
    whole = [min(max(round(s * MILLION), a), b) for s, a, b in zip(shares, least, most, strict=True)]
    missing = MILLION - sum(whole)
    step = 1 if missing > 0 else -1
    # Those that rounding moved farthest the other way take what is missing; of equals the first.
    order = sorted(range(len(whole)), key=lambda i: step * (whole[i] - shares[i] * MILLION))
    while missing:
        movable = [i for i in order if (whole[i] < most[i] if step > 0 else whole[i] > least[i])]
        if not movable:
            break
        each = max(abs(missing) // len(movable), 1)
        for i in movable[: abs(missing)]:
            moved = min(each, most[i] - whole[i] if step > 0 else whole[i] - least[i])
            whole[i] += step * moved
            missing -= step * moved
    return [count / MILLION for count in whole]
