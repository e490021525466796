"""A trial's series of one metric in a few numbers: first, last, lowest, highest, and where it was heading at the end.

For people and models that cannot look at a plot. Pure functions of observations.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.units import short_number

END_PART = 1 / 3
"""The part of a series, at its end, that has its slope and spread described."""
_MIN_SLOPE_POINTS = 4
"""Smallest number of points at the end that have a slope."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series in a few numbers.

    Attributes:
        count: the number of finite values; `first_step` and `last_step` are theirs.
        slope: change per step over its last third, by least squares; None for too few values.
        spread: standard deviation of the last third around that line; None as for `slope`.
        not_finite: the number of values that are nan or infinite.
    """

    metric: str
    count: int
    first_step: float
    last_step: float
    first: float
    last: float
    lowest: float
    highest: float
    slope: float | None = None
    spread: float | None = None
    not_finite: int = 0

    @property
    def text(self) -> str:
        """The series in words: "2.3 to 0.42 in 120 values, lowest 0.4; at the end -0.002 a step, ± 0.03"."""
        text = f"{short_number(self.first)} to {short_number(self.last)} in {self.count} values"
        text += f" (steps {self.first_step:g} to {self.last_step:g})"
        if self.lowest < min(self.first, self.last):
            text += f", lowest {short_number(self.lowest)}"
        if self.highest > max(self.first, self.last):
            text += f", highest {short_number(self.highest)}"
        if self.slope is not None and self.spread is not None:
            text += f"; at the end {self.slope:+.2g} a step, ± {short_number(self.spread, 2)}"
        return f"{text}; {self.not_finite} not finite" if self.not_finite else text


def series_of(observations: Iterable[Observation]) -> list[Series]:
    """Return the series of at least two finite values, in the order in which the metrics came."""
    by_metric: dict[str, list[Observation]] = {}
    for observation in observations:
        by_metric.setdefault(observation.metric, []).append(observation)
    found = (_series(metric, points) for metric, points in by_metric.items())
    return [series for series in found if series is not None]


def _series(metric: str, points: Sequence[Observation]) -> Series | None:
    finite = sorted((p for p in points if math.isfinite(p.value)), key=lambda p: p.step)
    if len(finite) < 2:  # noqa: PLR2004  # a series has two values
        return None
    values = [p.value for p in finite]
    end = finite[-max(round(len(finite) * END_PART), _MIN_SLOPE_POINTS) :]
    slope, spread = _line(end) if len(end) >= _MIN_SLOPE_POINTS else (None, None)
    return Series(
        metric=metric,
        count=len(finite),
        first_step=finite[0].step,
        last_step=finite[-1].step,
        first=values[0],
        last=values[-1],
        lowest=min(values),
        highest=max(values),
        slope=slope,
        spread=spread,
        not_finite=len(points) - len(finite),
    )


def _line(points: Sequence[Observation]) -> tuple[float | None, float | None]:
    """Return slope and standard deviation of the points around their line; None where the steps do not differ."""
    steps, values = [p.step for p in points], [p.value for p in points]
    middle, mean = sum(steps) / len(steps), sum(values) / len(values)
    square = sum((step - middle) * (step - middle) for step in steps)
    if not square or not math.isfinite(square) or not math.isfinite(mean):
        return None, None
    slope = sum((s - middle) * (v - mean) for s, v in zip(steps, values, strict=True)) / square
    rest = [v - mean - slope * (s - middle) for s, v in zip(steps, values, strict=True)]
    variance = sum(part * part for part in rest) / (len(points) - 2)
    return (slope, math.sqrt(variance)) if math.isfinite(slope) and math.isfinite(variance) else (None, None)
