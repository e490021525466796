"""What the first steps of a training say. The thresholds are rules of thumb of ours, and called so."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

FEWEST = 8


class Signal(StrEnum):
    """What a curve looks like."""

    TOO_SHORT = "too short"
    DIVERGING = "diverging"
    SPIKING = "spiking"
    STUCK = "stuck"
    IMPROVING = "still improving"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True)
class Reading:
    """A signal, and the reason in a sentence."""

    signal: Signal
    reason: str


def read_curve(losses: Sequence[float], gradient_norms: Sequence[float] = ()) -> Reading:
    """Read a loss curve, smaller is better, and optionally gradient norms at the same steps.

    Rules of thumb: nan, or an end above the start, diverges; a step or a norm more than ten times the spread above what
    came before is a spike; less than 1% gain is stuck; a last quarter that still falls by more than 2% of the whole
    fall improves.
    """
    if len(losses) < FEWEST:
        return Reading(Signal.TOO_SHORT, f"{len(losses)} values; at least {FEWEST} are needed")
    if not all(math.isfinite(x) for x in [*losses, *gradient_norms]):
        return Reading(Signal.DIVERGING, "a value is nan or infinite")
    quarter = max(len(losses) // 4, 1)
    start, end = statistics.median(losses[:quarter]), statistics.median(losses[-quarter:])
    if end > start + 0.05 * abs(start):
        return Reading(Signal.DIVERGING, f"it rose from {start:.4g} to {end:.4g}")
    for name, values in (("loss", losses), ("gradient norm", gradient_norms)):
        step = _spike(values)
        if step is not None:
            return Reading(Signal.SPIKING, f"the {name} jumped at value {step}")
    fall = start - end
    if fall < 0.01 * abs(start):
        return Reading(Signal.STUCK, f"it fell by {fall:.3g} from {start:.4g}")
    late = statistics.median(losses[-2 * quarter : -quarter]) - end
    if late > 0.02 * fall:
        return Reading(Signal.IMPROVING, f"the last quarter still brought {late / fall:.0%} of the whole fall")
    return Reading(Signal.SETTLED, "the last quarter brought next to nothing")


def _spike(values: Sequence[float]) -> int | None:
    for index in range(FEWEST // 2, len(values)):
        before = values[:index]
        middle = statistics.median(before)
        spread = statistics.median([abs(v - middle) for v in before]) + 1e-9 * max(abs(middle), 1e-9)
        if values[index] - max(before) > 10.0 * spread:
            return index
    return None
