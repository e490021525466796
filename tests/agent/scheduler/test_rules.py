"""The rules of early stopping on curves made by hand and by hypothesis: no process, no study."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.agent.scheduler.curve_model import FEWEST, Curve, CurveModel
from tunesmith.agent.scheduler.rules import Bound, Ladder, bracket, diverged, stalled, survivors

finite = st.floats(-1e6, 1e6)
ladders = st.builds(
    lambda least, eta, factor: Ladder(least, eta, None if factor is None else max(round(least * factor), least + 1)),
    st.integers(1, 20),
    st.floats(1.5, 5.0),
    st.none() | st.floats(2.0, 500.0),
)


def falling(end: float, noise: float = 0.0, *, seed: int = 0, steps: int = 27) -> Curve:
    rng = np.random.default_rng(seed)
    return Curve.of((s, end + 1.0 / s + noise * float(rng.normal())) for s in range(1, steps + 1))


# -- rungs --------------------------------------------------------------------------------------------------------


@given(ladders, st.integers(0, 8))
def test_rungs_rise_to_the_maximum_and_are_found_again(ladder: Ladder, index: int) -> None:
    fidelity = ladder.rung(index)
    assert ladder.least <= fidelity <= (ladder.most or math.inf)
    assert ladder.rung(index + 1) >= fidelity
    found = ladder.index(fidelity)
    assert ladder.rung(found) == fidelity
    if ladder.top is not None:
        assert ladder.rung(ladder.top) == ladder.most
        assert ladder.rung(ladder.top + 3) == ladder.most


@given(ladders, st.floats(1.0, 1e4))
def test_a_higher_maximum_leaves_the_rungs_well_below_it_where_they_were(ladder: Ladder, factor: float) -> None:
    endless = Ladder(ladder.least, ladder.eta)
    if ladder.top is not None and ladder.most is not None:
        higher = Ladder(ladder.least, ladder.eta, ladder.most * (1.0 + factor) * ladder.eta)
        for index in range(ladder.top):
            assert ladder.rung(index) == higher.rung(index) == endless.rung(index)


@given(st.dictionaries(st.integers(0, 99), finite | st.just(math.nan) | st.just(math.inf)), st.floats(1.5, 5.0))
def test_one_in_eta_goes_on_and_nobody_better_is_left_behind(values: dict[int, float], eta: float) -> None:
    chosen = survivors(values, eta)
    assert len(chosen) <= len(values) / eta
    assert all(math.isfinite(values[number]) for number in chosen)
    left = [v for number, v in values.items() if number not in chosen and math.isfinite(v)]
    if chosen and left:
        assert max(values[number] for number in chosen) <= min(left)


@given(st.integers(1, 6), st.floats(2.0, 4.0))
@settings(max_examples=20, deadline=None)
def test_brackets_share_the_epochs_evenly(brackets: int, eta: float) -> None:
    started = [bracket(number, brackets, eta) for number in range(300)]
    assert set(started) <= set(range(brackets))
    cost = np.array([started.count(s) * eta**s * (brackets - s) for s in range(brackets)])
    per_start = np.array([eta**s * (brackets - s) for s in range(brackets)])
    assert (np.abs(cost - cost.mean()) <= 2 * per_start.max()).all()
    assert started[0] == 0


# -- a person's rules -----------------------------------------------------------------------------------------------


def test_bounds_hold_from_their_step_on_and_name_what_broke_them() -> None:
    rule = Bound(metric="loss", above=3.0, below=-1.0, after=5)
    assert rule.broken_by(4, 99.0) == ""
    assert rule.broken_by(5, 3.0) == ""
    assert rule.broken_by(5, 4.0) == "loss = 4 is above 3"
    assert rule.broken_by(9, -2.0) == "loss = -2 is below -1"


@given(st.lists(finite, max_size=30), st.integers(1, 10))
def test_patience_ends_exactly_after_so_many_reports_without_a_gain(values: list[float], patience: int) -> None:
    expected = len(values) > patience and all(v >= min(values[:-patience]) for v in values[-patience:])
    assert stalled(values, patience) is expected


def test_only_what_lies_far_outside_of_all_complete_runs_has_diverged() -> None:
    others = [falling(end).values for end in (0.1, 0.5, 0.9)]
    assert not diverged(5.0, others)
    assert diverged(1e4, others)
    assert not diverged(1e4, others[:2])


# -- the forecast ---------------------------------------------------------------------------------------------------


def test_nothing_is_foretold_from_too_few_curves_nor_for_one_that_is_over() -> None:
    few = CurveModel([falling(0.1 * i) for i in range(FEWEST - 1)])
    assert few.foretell(falling(0.5, steps=3)) is None
    model = CurveModel([falling(0.1 * i) for i in range(FEWEST)])
    assert model.end == 27
    assert model.foretell(falling(0.5)) is None
    assert model.foretell(Curve()) is None
    assert model.foretell(falling(0.5, steps=3)) is not None


def test_the_end_is_foretold_from_a_part_and_the_spread_shrinks_with_every_rung() -> None:
    rng = np.random.default_rng(1)
    model = CurveModel([falling(float(end), 0.01, seed=i) for i, end in enumerate(rng.uniform(0, 1, 30))])
    early, late = (model.foretell(falling(0.4, 0.01, seed=99, steps=steps)) for steps in (2, 18))
    assert early is not None
    assert late is not None
    assert late.value == pytest.approx(0.4, abs=0.1)
    assert late.std <= early.std


def test_a_hopeless_curve_has_no_chance_and_a_good_one_has() -> None:
    model = CurveModel([falling(0.1 * i, 0.01, seed=i) for i in range(1, 12)])
    bad, good = (model.foretell(falling(end, 0.01, seed=50, steps=6)) for end in (1.0, 0.05))
    assert bad is not None
    assert good is not None
    assert bad.chance_below(0.13) < 0.01
    assert good.chance_below(0.13) > 0.5


def test_what_was_expected_before_pulls_the_forecast_by_how_sure_it_was() -> None:
    model = CurveModel([falling(0.1 * i, 0.01, seed=i) for i in range(1, 12)])
    alone = model.foretell(falling(0.8, steps=4))
    assert alone is not None
    sure, vague = alone.with_prior(0.2, 0.01), alone.with_prior(0.2, 5.0)
    assert sure.value < vague.value <= alone.value + 1e-9
    assert sure.std < alone.std


@given(st.lists(st.lists(finite, min_size=1, max_size=12), min_size=FEWEST, max_size=8), st.lists(finite, min_size=1))
@settings(deadline=None)
def test_any_curves_give_a_forecast_that_is_a_number(full: list[list[float]], part: list[float]) -> None:
    model = CurveModel([Curve.of(enumerate(values, 1)) for values in full])
    forecast = model.foretell(Curve.of(enumerate(part, 1)))
    if forecast is not None:
        assert math.isfinite(forecast.mean)
        assert 0.0 < forecast.std < math.inf
        assert 0.0 <= forecast.chance_below(min(part)) <= 1.0
        assert math.isfinite(forecast.with_prior(part[0], 1.0).mean)
        assert not math.isnan(forecast.value)


@given(st.lists(st.tuples(st.floats(0, 100), finite | st.just(math.nan)), max_size=20), st.floats(0, 100))
def test_a_curve_knows_its_last_value_at_any_step(points: list[tuple[float, float]], step: float) -> None:
    curve = Curve.of(points)
    assert list(curve.steps) == sorted(set(curve.steps))
    assert all(map(math.isfinite, curve.values))
    before = [s for s in curve.steps if s <= step]
    value = curve.at(step)
    assert math.isnan(value) if not before and not any(s <= step * (1 + 1e-9) for s in curve.steps) else value == value
