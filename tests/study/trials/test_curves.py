"""Curves within limits: packed observations are the same observations, and long curves keep their shape."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.study.trials.observed import curves
from tunesmith.study.trials.observed.curves import FULL_POINTS, CurveThinning, PackedObservations
from tunesmith.study.trials.observed.observation import Observation

NUMBERS = st.floats(allow_nan=False)
OBSERVATIONS = st.lists(
    st.builds(Observation, st.sampled_from(["loss", "acc", "\u00e9 a"]), NUMBERS, NUMBERS, NUMBERS), max_size=20
)


@given(OBSERVATIONS, st.integers(-25, 25), st.integers(-25, 25))
def test_packed_observations_are_a_sequence_of_them(found: list[Observation], start: int, end: int) -> None:
    packed = PackedObservations(found)
    assert list(packed) == found
    assert [packed[index] for index in range(len(packed))] == found
    assert packed[start:end] == found[start:end]
    with pytest.raises(IndexError):
        packed[len(found)]


def test_packed_observations_keep_what_is_not_a_number() -> None:
    packed = PackedObservations([Observation("loss", 1.0, math.nan, 2.0)])
    assert math.isnan(packed[0].value)
    assert packed[-1].step == 1.0


def reported(count: int, metric: str = "loss") -> list[Observation]:
    return [Observation(metric, float(n), 1.0 / (n + 1), 0.0) for n in range(count)]


@pytest.mark.parametrize("count", [0, 1, FULL_POINTS - 1, FULL_POINTS])
def test_a_usual_curve_is_kept_whole(count: int) -> None:
    thinning = CurveThinning()
    assert thinning.kept(reported(count)) == reported(count)
    assert thinning.last_points() == []


@pytest.mark.parametrize(("count", "most"), [(10_001, 7_502), (60_000, 15_000), (1_000_000, 26_000)])
def test_a_long_curve_keeps_its_shape_in_few_points(count: int, most: int) -> None:
    thinning = CurveThinning()
    found = thinning.kept(reported(count))
    found += thinning.last_points()
    assert len(found) <= most
    assert found[:FULL_POINTS] == reported(FULL_POINTS)
    assert found[-1].step == count - 1
    steps = [o.step for o in found]
    assert max(after - before for before, after in zip(steps, steps[1:], strict=False)) <= count / 1_000


def test_what_is_left_out_does_not_depend_on_how_values_arrive_nor_on_other_metrics(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(curves, "FULL_POINTS", 8)
    at_once = CurveThinning().kept(reported(100))
    one_by_one, other = CurveThinning(), reported(1_000, "acc")
    pairs = zip(reported(100), other, strict=False)
    found = [o for pair in pairs for o in one_by_one.kept(pair) if o.metric == "loss"]
    assert found == at_once


def test_values_that_are_not_finite_always_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves, "FULL_POINTS", 8)
    values = [math.nan if n % 10 == 7 else math.inf if n % 10 == 3 else 1.0 for n in range(200)]
    found = CurveThinning().kept(Observation("loss", float(n), value, 0.0) for n, value in enumerate(values))
    assert sum(not math.isfinite(o.value) for o in found) == 40
    assert len(found) < 80
