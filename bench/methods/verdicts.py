"""Which method is better, and how certain that is. The repeats are the sample: each tunes every method anew.

A difference is tested over repeats, in which both methods ran on the same fresh seeds (paired t-test, two-sided), and
all tests of a comparison share an error rate of 5% (Holm 1979, "A Simple Sequentially Rejective Multiple Test
Procedure").
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from tunesmith.bench.methods.results import MethodResult
from tunesmith.study.units import short_number
from tunesmith.tools.analysis.confirmation.significance import CONFIDENCE_LEVEL, ROUNDING, Sample, sample, t_cdf

MIN_REPEATS = 3
"""Repeats from which on a difference is tested; two leave its spread unknown within a factor of ten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Two methods on one task, the one with the better mean first.

    Attributes:
        gain: how much better the mean of `method` is, in the metric's unit, at least 0.
        margin: half the width of the gain's 95% interval; None for one repeat.
        p: the p-value after Holm's correction; None for fewer than MIN_REPEATS.
    """

    task: str
    method: str
    other: str
    gain: float
    margin: float | None
    p: float | None

    @property
    def is_clear(self) -> bool:
        """Whether the difference is beyond noise."""
        return self.p is not None and self.p < 1 - CONFIDENCE_LEVEL

    @property
    def words(self) -> str:
        """The verdict as a sentence."""
        if not self.gain and not self.margin:
            return f"{self.method} and {self.other} tie: they have the same value in every repeat"
        interval = "" if self.margin is None else f" ± {short_number(self.margin, 2)}"
        difference = f"{short_number(self.gain, 3)}{interval}"
        if self.p is None:
            return f"{self.method} is ahead of {self.other} by {difference}; {MIN_REPEATS} repeats or more say if it is"
        if not self.is_clear:
            return f"{self.method} and {self.other} tie: they differ by {difference} ({_p_text(self.p)})"
        return f"{self.method} is better than {self.other} by {difference} ({_p_text(self.p)})"


def final_value(result: MethodResult) -> float | None:
    """Return the mean on fresh seeds, or the tuned value where the command takes no seed; None without one."""
    return math.fsum(result.fresh.values()) / len(result.fresh) if result.fresh else result.tuned


def final_sample(results: Sequence[MethodResult]) -> Sample | None:
    """Return a method's final values over its repeats; None without any."""
    return sample([value for result in results if (value := final_value(result)) is not None])


def verdicts(by_task: Mapping[str, Mapping[str, Sequence[MethodResult]]]) -> list[Verdict]:
    """Return the verdict on each pair of methods of each task."""
    pairs = [
        (task, a, b, values)
        for task, methods in by_task.items()
        for a, b in combinations(methods, 2)
        if (values := _differences(methods[a], methods[b]))
    ]
    raw = [_p_value(values) for _, _, _, values in pairs]
    return [_verdict(pair, p) for pair, p in zip(pairs, _holm(raw), strict=True)]


def _differences(ones: Sequence[MethodResult], others: Sequence[MethodResult]) -> list[float]:
    """Return by how much the first method is better in each repeat that both finished."""
    theirs = {result.repeat: final_value(result) for result in others}
    found = []
    for result in ones:
        mine, other = final_value(result), theirs.get(result.repeat)
        if mine is not None and other is not None:
            # The last digits of a sum are no difference between methods.
            is_same = math.isclose(mine, other, rel_tol=ROUNDING, abs_tol=0.0)
            found.append(0.0 if is_same else result.objective.sign * (other - mine))
    return found


def _verdict(pair: tuple[str, str, str, list[float]], p: float | None) -> Verdict:
    task, a, b, values = pair
    found = sample(values)
    mean = found.mean if found else math.nan
    first, second = (a, b) if mean >= 0 else (b, a)
    return Verdict(task=task, method=first, other=second, gain=abs(mean), margin=found.margin if found else None, p=p)


def _p_value(values: Sequence[float]) -> float | None:
    found = sample(values)
    if found is None or found.count < MIN_REPEATS or found.std is None:
        return None
    if found.std == 0:
        return 1.0 if found.mean == 0 else 0.0
    t = abs(found.mean) / (found.std / math.sqrt(found.count))
    return 2 * t_cdf(-t, found.count - 1)


def _holm(raw: Sequence[float | None]) -> list[float | None]:
    """Return p-values that may each be compared with the error rate of all tests together."""
    order = sorted((p, index) for index, p in enumerate(raw) if p is not None)
    corrected: list[float | None] = [None] * len(raw)
    largest = 0.0
    for rank, (p, index) in enumerate(order):
        largest = max(largest, min(1.0, p * (len(order) - rank)))
        corrected[index] = largest
    return corrected


def _p_text(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"  # noqa: PLR2004  # three decimals are enough
