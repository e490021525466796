"""Forecasts of a curve's final value, on curves made by hand and by hypothesis: no process, no study."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.agent.scheduler.curve_model import MIN_CURVES, Curve, CurveModel

finite = st.floats(-1e6, 1e6)


def falling(end: float, noise: float = 0.0, *, seed: int = 0, steps: int = 27) -> Curve:
    """Return a curve that falls to `end` like 1 / step."""
    rng = np.random.default_rng(seed)
    return Curve.from_points((s, end + 1.0 / s + noise * float(rng.normal())) for s in range(1, steps + 1))


def test_no_forecast_from_too_few_curves_or_for_a_complete_curve() -> None:
    few = CurveModel([falling(0.1 * i) for i in range(MIN_CURVES - 1)])
    assert few.forecast(falling(0.5, steps=3)) is None
    model = CurveModel([falling(0.1 * i) for i in range(MIN_CURVES)])
    assert model.end == 27
    assert model.forecast(falling(0.5)) is None
    assert model.forecast(Curve()) is None
    assert model.forecast(falling(0.5, steps=3)) is not None


def test_the_forecast_is_near_the_final_value_and_its_std_shrinks_with_more_steps() -> None:
    rng = np.random.default_rng(1)
    model = CurveModel([falling(float(end), 0.01, seed=i) for i, end in enumerate(rng.uniform(0, 1, 30))])
    early, late = (model.forecast(falling(0.4, 0.01, seed=99, steps=steps)) for steps in (2, 18))
    assert early is not None
    assert late is not None
    assert late.value == pytest.approx(0.4, abs=0.1)
    assert late.std <= early.std


def test_a_bad_curve_has_a_low_probability_of_being_best_and_a_good_one_a_high_one() -> None:
    model = CurveModel([falling(0.1 * i, 0.01, seed=i) for i in range(1, 12)])
    bad, good = (model.forecast(falling(end, 0.01, seed=50, steps=6)) for end in (1.0, 0.05))
    assert bad is not None
    assert good is not None
    assert bad.p_below(0.13) < 0.01
    assert good.p_below(0.13) > 0.5


def test_a_prior_pulls_the_forecast_the_more_the_smaller_its_std() -> None:
    model = CurveModel([falling(0.1 * i, 0.01, seed=i) for i in range(1, 12)])
    without_prior = model.forecast(falling(0.8, steps=4))
    assert without_prior is not None
    sure, vague = without_prior.with_prior(0.2, 0.01), without_prior.with_prior(0.2, 5.0)
    assert sure.value < vague.value <= without_prior.value + 1e-9
    assert sure.std < without_prior.std


@given(
    st.lists(st.lists(finite, min_size=1, max_size=12), min_size=MIN_CURVES, max_size=8), st.lists(finite, min_size=1)
)
def test_any_curves_give_a_finite_forecast(full: list[list[float]], part: list[float]) -> None:
    model = CurveModel([Curve.from_points(enumerate(values, 1)) for values in full])
    forecast = model.forecast(Curve.from_points(enumerate(part, 1)))
    if forecast is not None:
        assert math.isfinite(forecast.mean)
        assert 0.0 < forecast.std < math.inf
        assert 0.0 <= forecast.p_below(min(part)) <= 1.0
        assert math.isfinite(forecast.with_prior(part[0], 1.0).mean)
        assert not math.isnan(forecast.value)


@given(st.lists(st.tuples(st.floats(0, 100), finite | st.just(math.nan)), max_size=20), st.floats(0, 100))
def test_at_returns_the_last_value_at_or_before_a_step(points: list[tuple[float, float]], step: float) -> None:
    curve = Curve.from_points(points)
    assert list(curve.steps) == sorted(set(curve.steps))
    assert all(map(math.isfinite, curve.values))
    before = [s for s in curve.steps if s <= step]
    value = curve.at(step)
    assert math.isnan(value) if not before and not any(s <= step * (1 + 1e-9) for s in curve.steps) else value == value
