"""Decides when to stop replicating a comparison: once the gain is significant, or once it will hardly become so.

A group-sequential test with the same threshold at each of five looks (Pocock 1977, "Group sequential methods in the
design and analysis of clinical trials"): with a threshold of 1.5% per look, about 4.3% of comparisons without a real
gain are called significant. It stops for futility when the predictive power (Spiegelhalter et al. 1986) is below 10%:
the probability, given the values so far, that the gain is significant at the last look. Numbers in, a decision out.
"""

from __future__ import annotations

import math
from enum import StrEnum

from tunesmith.tools.analysis.confirmation.significance import (
    ONE_SIDED_ALPHA,
    Sample,
    difference,
    paired,
    t_cdf,
    t_quantile,
)

_MIN_PREDICTIVE_POWER = 0.1
"""Predictive power below which a comparison stops for futility."""


class SequentialDecision(StrEnum):
    """What a look at a comparison decides."""

    BETTER = "better"
    FUTILE = "futile"
    CONTINUE = "continue"


def sequential_decision(candidate: Sample, reference: Sample, *, sign: float, most: int) -> SequentialDecision:
    """Return whether the candidate is significantly better, will hardly become so, or needs more seeds.

    Args:
        candidate: values on the seeds so far.
        reference: values of the configuration to beat, on the same seeds.
        sign: 1 when smaller values are better, -1 when larger ones are.
        most: maximum number of seeds per configuration.
    """
    if candidate.is_repeated and reference.is_repeated:
        return SequentialDecision.FUTILE  # further copies would say nothing
    found = difference(candidate, reference, sign=sign)
    if found is None:
        return SequentialDecision.CONTINUE
    if found.is_beyond_noise:
        return SequentialDecision.BETTER
    count = min(candidate.count, reference.count)
    if count >= most:
        return SequentialDecision.FUTILE
    power = _predictive_power(found.gain, _pooled_std(candidate, reference), count, most)
    return SequentialDecision.FUTILE if power < _MIN_PREDICTIVE_POWER else SequentialDecision.CONTINUE


def _pooled_std(a: Sample, b: Sample) -> float:
    """Return the standard deviation of one run, so that a difference of two has its square root of 2 times that."""
    if a.instances and b.instances and (pairs := paired(a, b)) is not None:
        return (pairs.std or 0.0) / math.sqrt(2.0)
    return math.sqrt(((a.std or 0.0) ** 2 + (b.std or 0.0) ** 2) / 2.0)


def _predictive_power(gain: float, std: float, count: int, most: int) -> float:
    """Return the probability that the gain is significant after `most` seeds, given its mean after `count` seeds."""
    if std == 0.0:
        return 0.0
    rest = most - count
    threshold = t_quantile(2 * most - 2, 1.0 - ONE_SIDED_ALPHA) * std * math.sqrt(2.0 / most)
    needed = (threshold * most - gain * count) / rest
    error = std * math.sqrt(2.0 / count + 2.0 / rest)
    return 1.0 - t_cdf((needed - gain) / error, 2 * count - 2)
