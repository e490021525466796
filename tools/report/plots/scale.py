"""Chooses the range and scale of an axis so that a few outliers do not flatten the rest. Numbers in, numbers out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_LOG_HELPS_FROM = 6.0
_WILD_IQRS = 4.0
_PAD = 0.06


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisScale:
    """Range of an axis in its own units; values outside are drawn at the edge."""

    is_log: bool
    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Return whether the value lies inside."""
        return self.low <= value <= self.high

    def layout(self, *, most_ticks: int = 8) -> dict[str, object]:
        """Return the axis for plotly, which takes the exponents of a log axis."""
        ends = [math.log10(self.low), math.log10(self.high)] if self.is_log else [self.low, self.high]
        ticks = _log_ticks(self.low, self.high, most_ticks) if self.is_log else {"nticks": most_ticks}
        return {"type": "log" if self.is_log else "linear", "range": ends, **ticks}


def axis_scale(values: Sequence[float], *, sign: float) -> AxisScale:
    """Return the scale for at least one finite value; `sign` is 1 if smaller values are better.

    The best value is always inside; a linear axis omits outliers on the bad side.
    """
    ordered = sorted(values)
    low, high = ordered[0], ordered[-1]
    q25, q75 = _quantile(ordered, 0.25), _quantile(ordered, 0.75)
    if low > 0 and _quantile(ordered, 0.95) / _quantile(ordered, 0.05) >= _LOG_HELPS_FROM:
        pad = (high / low) ** _PAD
        return AxisScale(is_log=True, low=low / pad, high=high * pad)
    reach = _WILD_IQRS * (q75 - q25)
    if reach > 0:
        high = min(high, q75 + reach) if sign > 0 else high
        low = low if sign > 0 else max(low, q25 - reach)
    pad = (high - low) * _PAD or abs(high) * _PAD or 1.0
    return AxisScale(is_log=False, low=low - pad, high=high + pad)


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[round(share * (len(ordered) - 1))]


def _log_ticks(low: float, high: float, most: int) -> dict[str, object]:
    """Return ticks at 1, 2, 5 of each decade over few decades, at powers of ten over many."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for digits in ((1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        ticks = [d * 10.0**e for e in range(first, last + 1) for d in digits if low <= d * 10.0**e <= high]
        if len(ticks) <= most:
            break
    if len(ticks) < 2:
        return {"nticks": 5}
    ticks = ticks[:: math.ceil(len(ticks) / most)]
    return {"tickvals": ticks, "ticktext": [_tick(tick) for tick in ticks]}


def _tick(value: float) -> str:
    return f"{value:g}".replace("e-0", "e-").replace("e+0", "e") if not 1e-3 <= value < 1e5 else f"{value:g}"
