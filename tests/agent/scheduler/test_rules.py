"""Rules of early stopping without a model, on values made by hand and by hypothesis."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tunesmith.agent.scheduler.rules import Bound, diverged, stalled


def test_a_bound_applies_from_its_step_on_and_names_the_broken_limit() -> None:
    rule = Bound(metric="loss", above=3.0, below=-1.0, after=5)
    assert rule.broken_by(4, 99.0) == ""
    assert rule.broken_by(5, 3.0) == ""
    assert rule.broken_by(5, 4.0) == "loss = 4 is above 3"
    assert rule.broken_by(9, -2.0) == "loss = -2 is below -1"


@given(st.lists(st.floats(-1e6, 1e6), max_size=30), st.integers(1, 10))
def test_a_curve_stalls_after_exactly_patience_values_without_a_gain(values: list[float], patience: int) -> None:
    expected = len(values) > patience and all(v >= min(values[:-patience]) for v in values[-patience:])
    assert stalled(values, patience) is expected


def test_a_value_far_above_at_least_three_complete_curves_has_diverged() -> None:
    others = [[end + 1.0 / step for step in range(1, 28)] for end in (0.1, 0.5, 0.9)]
    assert not diverged(5.0, others)
    assert diverged(1e4, others)
    assert not diverged(1e4, others[:2])
