"""The 95% interval of a mean over seeds. Plain Python, because doors that only read a study must not load numerics."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tunesmith.study.units import short_number

_MARGIN_DIGITS = 3
_NORMAL = 1.959963984540
"""Quantile .975 of the normal distribution."""
_STUDENT = (
    12.706204736175, 4.302652729749, 3.182446305284, 2.776445105198, 2.570581835636,
    2.446911851145, 2.364624251593, 2.306004135204, 2.262157162798, 2.228138851986,
    2.200985160092, 2.178812829667, 2.160368656463, 2.144786687918, 2.131449545560,
    2.119905299221, 2.109815577833, 2.100922040241, 2.093024054408, 2.085963447266,
)  # fmt: skip
"""Quantile .975 of Student's t distribution with 1, 2, ... degrees of freedom."""


def interval_margin(std: float, count: int) -> float:
    """Return half the width of the 95% interval of a mean, in the unit of the values.

    Args:
        std: standard deviation of single values (n - 1).
        count: the number of values, at least 2.
    """
    return _t_quantile(count - 1) * std / math.sqrt(count)


def mean_margin(values: Sequence[float]) -> float | None:
    """Return half the width of the 95% interval of the values' mean; None for fewer than two values."""
    if len(values) < 2:  # noqa: PLR2004  # one value has no spread
        return None
    if len(set(values)) == 1:
        return 0.0  # a mean of copies would be off by rounding
    mean = sum(value / len(values) for value in values)
    std = math.hypot(*(value - mean for value in values)) / math.sqrt(len(values) - 1)
    return interval_margin(std, len(values)) if math.isfinite(std) else None


def margin_text(mean: float, margin: float | None) -> str:
    """Return "0.2049 ± 0.0021", both with the same decimals, of which the margin has three digits at most.

    Only the mean without a margin. Wherever a measured mean has a ±, it is this one.
    """
    shown = short_number(mean)
    if margin is None:
        return shown
    if "e" in shown:
        return f"{shown} ± {short_number(margin, 2)}"
    decimals = len(shown.partition(".")[2])
    if margin > 0:
        decimals = max(min(decimals, _MARGIN_DIGITS - 1 - math.floor(math.log10(margin))), 0)
    return f"{mean:.{decimals}f} ± {margin:.{decimals}f}"


def _t_quantile(freedom: int) -> float:
    """Return quantile .975 of Student's t; beyond the table by its expansion (Abramowitz and Stegun 26.7.5)."""
    if freedom <= len(_STUDENT):
        return _STUDENT[freedom - 1]
    z = _NORMAL
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
