"""Significance of the difference between two configurations that ran on several seeds each. Numbers in, numbers out.

Values on different seeds are assumed independent and roughly normal: Student's t for the interval of a mean, Welch's t
for a difference. On instances both configurations ran on the same ones, and the differences on each are tested. With
five seeds the intervals are a guide, not a proof.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.study.trials.replicates.mean_interval import interval_margin

CONFIDENCE_LEVEL = 0.95
"""Confidence level of the interval of one mean."""

ROUNDING = 1e-12
"""Relative difference up to which two values are the same: sums in another order differ in their last digits."""

ONE_SIDED_ALPHA = 0.015
"""Significance level of a gain, one-sided: a difference's interval has a confidence level of 97%.

Lower than the usual 2.5%, because a difference is tested up to five times (sequential_test.py).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Values of one configuration on several seeds.

    Attributes:
        std: the standard deviation over seeds (n - 1); None for one value.
        margin: half the width of the mean's 95% interval; None for one value.
        instances: the instance of each value; empty for a study without [instances].
    """

    values: tuple[float, ...]
    mean: float
    std: float | None
    margin: float | None
    instances: tuple[str, ...] = ()

    @property
    def by_instance(self) -> dict[str, float]:
        """The mean value on each instance."""
        return {
            name: _mean([v for v, of in zip(self.values, self.instances, strict=True) if of == name])
            for name in self.instances
        }

    @property
    def count(self) -> int:
        """The number of seeds."""
        return len(self.values)

    @property
    def is_repeated(self) -> bool:
        """Whether several seeds gave exactly one value: then they are one measurement, and show no noise.

        Equal values on several instances, such as no error on two folds, are as many measurements.
        """
        return self.count > 1 and self.std == 0.0 and len(set(self.instances)) < 2  # noqa: PLR2004  # one instance


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The gain of one sample's mean over another's.

    Attributes:
        gain: mean of the reference minus mean of the candidate, both to be minimized; above 0 is better.
        margin: half the width of its interval, of 97% unless another level was asked for; see ONE_SIDED_ALPHA.
        probability: probability that the candidate is better, from Welch's t with a flat prior, in [0, 1].
    """

    gain: float
    margin: float
    probability: float

    @property
    def is_beyond_noise(self) -> bool:
        """Return whether the whole interval is above 0."""
        return self.gain - self.margin > 0


def sample(values: Sequence[float], instances: Sequence[str] = ()) -> Sample | None:
    """Return mean, spread and margin of the finite values; None without any.

    Args:
        values: one for each run.
        instances: the instance of each run; empty for a study without [instances].
    """
    kept = tuple(float(value) for value in values if math.isfinite(value))
    on = tuple(name for value, name in zip(values, instances, strict=False) if math.isfinite(value))
    if not kept:
        return None
    mean = _mean(kept)
    if len(kept) == 1:
        return Sample(values=kept, mean=mean, std=None, margin=None, instances=on)
    if all(math.isclose(value, kept[0], rel_tol=ROUNDING, abs_tol=0.0) for value in kept):
        # A mean of copies would be off by rounding, as copies may be that are means themselves.
        return Sample(values=kept, mean=kept[0], std=0.0, margin=0.0, instances=on)
    std = _deviation(kept, mean)
    return Sample(values=kept, mean=mean, std=std, margin=interval_margin(std, len(kept)), instances=on)


def paired(candidate: Sample, reference: Sample) -> Sample | None:
    """Return how much better the candidate was on each instance that both ran on; None without two such instances.

    Both are to be minimized, and an effect of the instance cancels out.
    """
    ours, theirs = candidate.by_instance, reference.by_instance
    gains = [theirs[name] - value for name, value in ours.items() if name in theirs]
    return sample(gains) if len(gains) > 1 else None


def difference(
    candidate: Sample, reference: Sample, *, sign: float, alpha: float = ONE_SIDED_ALPHA
) -> Difference | None:
    """Return the difference of two samples; None unless both have two values or more, or where both are copies.

    Copies of one value on each side say nothing of other seeds, however many they are.

    Args:
        candidate: the configuration that may be better.
        reference: the configuration to beat.
        sign: 1 when smaller values are better, -1 when larger ones are.
        alpha: one-sided significance level of the interval.
    """
    if candidate.instances and reference.instances:
        pairs = paired(candidate, reference)
        return _difference_of_pairs(pairs, sign, alpha) if pairs is not None else None
    if candidate.std is None or reference.std is None:
        return None
    gain = sign * (reference.mean - candidate.mean)
    errors = [s.std / math.sqrt(s.count) for s in (candidate, reference) if s.std is not None]
    error = math.hypot(*errors)
    if error == 0:
        return None
    if not math.isfinite(gain / error):
        return Difference(gain=gain, margin=error, probability=0.5 + 0.5 * ((gain > 0) - (gain < 0)))
    # Computed from proportions: the squares of tiny variances would underflow, those of huge ones overflow.
    proportions = [(part / error) ** 2 for part in errors]
    freedom = 1 / sum(p**2 / (s.count - 1) for p, s in zip(proportions, (candidate, reference), strict=True))
    return Difference(
        gain=gain,
        margin=t_quantile(freedom, 1.0 - alpha) * error,
        probability=t_cdf(gain / error, freedom),
    )


def _difference_of_pairs(pairs: Sample, sign: float, alpha: float) -> Difference | None:
    gain, error = sign * pairs.mean, (pairs.std or 0.0) / math.sqrt(pairs.count)
    if error == 0.0:
        return None
    freedom = pairs.count - 1
    return Difference(
        gain=gain,
        margin=t_quantile(freedom, 1.0 - alpha) * error,
        probability=t_cdf(gain / error, freedom),
    )


def _mean(values: Sequence[float]) -> float:
    """Return the mean, exactly rounded; where even the sum of finite values is too large, of their shares."""
    try:
        return math.fsum(values) / len(values)
    except OverflowError:
        return math.fsum(value / len(values) for value in values)


def _deviation(values: Sequence[float], mean: float) -> float:
    """Return the standard deviation of two values or more; no square of a finite value overflows."""
    distances = [abs(value / 2 - mean / 2) for value in values]
    largest = max(distances)
    if not largest:
        return 0.0
    spread = math.sqrt(math.fsum((distance / largest) ** 2 for distance in distances) / (len(values) - 1))
    return min(2 * largest * spread, sys.float_info.max)


def t_quantile(freedom: float, probability: float) -> float:
    """Return the quantile of Student's t distribution."""
    from scipy.special import stdtrit  # 0.1 s; scipy.stats would take 0.7 s

    return float(stdtrit(freedom, probability))


def t_cdf(t: float, freedom: float) -> float:
    """Return the cumulative probability of Student's t distribution."""
    from scipy.special import stdtr

    return float(stdtr(freedom, t))


def expected_gain(mean: float, std: float, best: float, *, sign: float) -> float:
    """Return the expected improvement of a normal value over `best`, E[max(improvement, 0)], in the value's unit.

    Args:
        mean: mean of the value.
        std: its standard deviation, at least 0.
        best: the value to improve on.
        sign: 1 where smaller is better, -1 where larger is.
    """
    ahead = sign * (best - mean)
    if std <= 0.0:
        return max(ahead, 0.0)
    z = ahead / std
    density = math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return max(ahead * 0.5 * (1.0 + math.erf(z / math.sqrt(2.0))) + std * density, 0.0)
