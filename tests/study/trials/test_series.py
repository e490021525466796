"""A series in a few numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.observed.series import series_of


def points(metric: str, values: Sequence[float], *, stride: float = 1.0) -> list[Observation]:
    return [Observation(metric, index * stride, value, 0.0) for index, value in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([4.0, 2.0, 1.0, 1.5], "4.000 to 1.500 in 4 values (steps 0 to 3), lowest 1.000; at the end -0.85 a step"),
        ([1.0, 9.0, 2.0], "1.000 to 2.000 in 3 values (steps 0 to 2), highest 9.000"),
        ([1.0, math.nan, 2.0, math.inf], "1.000 to 2.000 in 2 values (steps 0 to 2); 2 not finite"),
        ([1.0] * 12, "at the end +0 a step, ± 0"),
        ([0.1 * n for n in range(30)], "at the end +0.1 a step, ± "),
        ([1e300, -1e300, 1e300, -1e300], "in 4 values"),
    ],
)
def test_a_series_is_told_by_its_ends_extremes_and_last_third(values: Sequence[float], says: str) -> None:
    (found,) = series_of(points("loss", values))
    assert says in found.text, found.text


def test_one_value_is_no_series_and_steps_may_repeat_or_come_late() -> None:
    assert series_of(points("loss", [1.0])) == []
    same = [Observation("lr", 3.0, value, 0.0) for value in (1.0, 2.0, 3.0, 4.0)]
    assert series_of(same)[0].slope is None
    late = [Observation("lr", step, step, 0.0) for step in (5.0, 1.0, 3.0)]
    assert (series_of(late)[0].first, series_of(late)[0].last) == (1.0, 5.0)
    assert [s.metric for s in series_of([*points("b", [1, 2]), *points("a", [1, 2])])] == ["b", "a"]
