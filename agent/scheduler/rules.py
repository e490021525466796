"""Rules of early stopping that need no model: the user's bounds, patience and divergence.

Plain numbers in, answers out; curves are to be minimized. Knows no trial, no process and no clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

DIVERGED_RANGES = 10.0
"""Distance above all complete curves, in multiples of their value range, from which on a curve has diverged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A rule of [[stop.rules]]: a trial stops when `metric` is above or below a number, from step `after` on."""

    metric: str
    above: float | None = None
    below: float | None = None
    after: float = 0.0

    def broken_by(self, step: float, value: float) -> str:
        """Return the reason to stop at this observation; "" if there is none."""
        if step < self.after:
            return ""
        if self.above is not None and value > self.above:
            return f"{self.metric} = {value:g} is above {self.above:g}"
        if self.below is not None and value < self.below:
            return f"{self.metric} = {value:g} is below {self.below:g}"
        return ""


def stalled(values: Sequence[float], patience: int) -> bool:
    """Return whether none of the last `patience` values is better than the best before them."""
    if len(values) <= patience:
        return False
    return min(values[-patience:]) >= min(values[:-patience])


def diverged(value: float, others: Sequence[Sequence[float]]) -> bool:
    """Return whether a finite value is far above all values of the complete curves.

    Args:
        value: to be minimized.
        others: the values of each complete curve, at least one each; with fewer than three curves nothing has diverged.
    """
    if len(others) < 3:  # noqa: PLR2004  # the range of two runs says little
        return False
    low, high = min(map(min, others)), max(map(max, others))
    return high > low and value > high + DIVERGED_RANGES * (high - low)


def percent(probability: float) -> str:
    """Return 3% for 0.03 and "under 1%" below 0.01, so that nothing possible is called 0%."""
    return "under 1%" if probability < 0.01 else f"{probability:.0%}"
