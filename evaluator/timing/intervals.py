"""From logarithms of ratios to a speed-up with its interval. Numbers in, numbers out.

A process keeps its layout of memory for life, so that equal programs differ by some percent (Kalibera and
Jones 2013, "Rigorous benchmarking in reasonable time"). So the launches are the sample, not the calls.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A speed-up, reference by candidate: above 1 is faster.

    Attributes:
        value: the estimate.
        low: lower end of its 95% interval.
        high: upper end.
    """

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half of the interval, of the logarithm: 0.05 is 5%."""
        return (math.log(self.high) - math.log(self.low)) / 2


def launch_value(blocks: Sequence[float]) -> float:
    """Return the logarithm of one launch's ratio: the median of its blocks, so that a disturbed one has no weight."""
    return statistics.median(blocks)


def interval(launches: npt.NDArray[np.float64]) -> Interval:
    """Return the speed-up over all cases, their geometric mean.

    Args:
        launches: (launches, cases) logarithms of ratios, at least two launches.
    """
    return _from_sample(launches.mean(axis=1))


def interval_of_blocks(blocks: Sequence[float]) -> Interval:
    """Return the speed-up of a single launch, from its blocks; what differs between launches is not in it."""
    sample = np.asarray(blocks, dtype=np.float64)
    middle = float(np.median(sample))
    # The median absolute deviation as a standard deviation, and the median's efficiency (pi / 2).
    spread = 1.4826 * float(np.median(np.abs(sample - middle))) * math.sqrt(math.pi / 2 / len(sample))
    reach = _quantile(max(len(sample) - 1, 1)) * spread
    return Interval(value=math.exp(middle), low=math.exp(middle - reach), high=math.exp(middle + reach))


def _from_sample(sample: npt.NDArray[np.float64]) -> Interval:
    mean = float(sample.mean())
    error = float(sample.std(ddof=1)) / math.sqrt(len(sample))
    reach = _quantile(len(sample) - 1) * error
    return Interval(value=math.exp(mean), low=math.exp(mean - reach), high=math.exp(mean + reach))


def _quantile(degrees: int) -> float:
    """Return how many standard errors the interval reaches: Student's t. scipy.stats would take a second to import."""
    return float(stdtrit(degrees, 0.5 + CONFIDENCE / 2))
