"""When to stop repeating a comparison: as soon as it is clear, or as soon as it will hardly become clear.

A group-sequential test with a constant bar at every look (Pocock 1977, "Group sequential methods in the design and
analysis of clinical trials"): looking five times at a bar of 1.5% claims a gain that is none in about 4.3% of cases. It
gives up when the chance to reach the bar at the last look falls under a tenth, given what was seen (predictive power,
Spiegelhalter et al. 1986). Numbers in, a verdict out.
"""

from __future__ import annotations

import math
from enum import StrEnum

from tunesmith.tools.analysis.significance import ONE_SIDED_ALPHA, Sample, difference, t_cdf, t_quantile

LOOKS = 5
"""From the first look on, with as many further seeds each time."""

_HOPELESS = 0.1


class SequentialDecision(StrEnum):
    """Where a comparison stands."""

    BETTER = "better"
    FUTILE = "futile"
    CONTINUE = "continue"


def sequential_decision(candidate: Sample, reference: Sample, *, sign: float, most: int) -> SequentialDecision:
    """Return whether the candidate is clearly better, hardly will be, or needs more seeds.

    Args:
        candidate: values on the seeds so far.
        reference: of the one to beat, on the same seeds.
        sign: 1 when smaller values are better, -1 when larger ones are.
        most: how many seeds each may be run on.
    """
    found = difference(candidate, reference, sign=sign)
    if found is None:
        return SequentialDecision.CONTINUE
    if found.is_beyond_noise:
        return SequentialDecision.BETTER
    count = min(candidate.count, reference.count)
    if count >= most:
        return SequentialDecision.FUTILE
    return (
        SequentialDecision.FUTILE
        if _chance(found.gain, _spread(candidate, reference), count, most) < _HOPELESS
        else SequentialDecision.CONTINUE
    )


def _spread(a: Sample, b: Sample) -> float:
    return math.sqrt(((a.std or 0.0) ** 2 + (b.std or 0.0) ** 2) / 2.0)


def _chance(gain: float, spread: float, count: int, most: int) -> float:
    """Return the chance that after `most` seeds the gain stands above the bar, seen after `count`."""
    if spread == 0.0:
        return 0.0
    rest = most - count
    needed = (
        t_quantile(2 * most - 2, 1.0 - ONE_SIDED_ALPHA) * spread * math.sqrt(2.0 / most) * most - gain * count
    ) / rest
    doubt = spread * math.sqrt(2.0 / count + 2.0 / rest)
    return 1.0 - t_cdf((needed - gain) / doubt, 2 * count - 2)
