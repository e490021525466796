"""The rungs of successive halving and the brackets of Hyperband, checked by hypothesis."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.agent.scheduler.rungs import Ladder, promotable, start_rung

ladders = st.builds(
    lambda low, eta, factor: Ladder(low, eta, None if factor is None else max(round(low * factor), low + 1)),
    st.integers(1, 20),
    st.floats(1.05, 5.0),
    st.none() | st.floats(2.0, 500.0),
)


@given(ladders, st.integers(0, 8))
def test_rungs_rise_to_the_maximum_and_index_inverts_rung(ladder: Ladder, index: int) -> None:
    fidelity = ladder.rung(index)
    assert ladder.low <= fidelity <= (ladder.high or math.inf)
    assert ladder.rung(index + 1) > fidelity or fidelity == ladder.high
    found = ladder.index(fidelity)
    assert ladder.rung(found) == fidelity
    if ladder.top is not None:
        assert ladder.rung(ladder.top) == ladder.high
        assert ladder.rung(ladder.top + 3) == ladder.high


def test_rungs_of_whole_epochs_never_join() -> None:
    assert [Ladder(1, 1.5).rung(index) for index in range(6)] == [1.0, 2.0, 3.0, 4.0, 5.0, 8.0]


@given(ladders, st.floats(1.0, 1e4))
def test_a_higher_maximum_does_not_move_lower_rungs(ladder: Ladder, factor: float) -> None:
    endless = Ladder(ladder.low, ladder.eta)
    if ladder.top is not None and ladder.high is not None:
        higher = Ladder(ladder.low, ladder.eta, ladder.high * (1.0 + factor) * ladder.eta)
        for index in range(ladder.top):
            assert ladder.rung(index) == higher.rung(index) == endless.rung(index)


@given(
    st.dictionaries(st.integers(0, 99), st.floats(-1e6, 1e6) | st.just(math.nan) | st.just(math.inf)),
    st.floats(1.5, 5.0),
)
def test_the_best_nth_part_of_a_rung_is_promotable(values: dict[int, float], eta: float) -> None:
    chosen = promotable(values, eta)
    assert len(chosen) <= len(values) / eta
    assert all(math.isfinite(values[number]) for number in chosen)
    left = [v for number, v in values.items() if number not in chosen and math.isfinite(v)]
    if chosen and left:
        assert max(values[number] for number in chosen) <= min(left)


@given(st.integers(1, 6), st.floats(2.0, 4.0))
def test_brackets_get_equal_numbers_of_epochs(brackets: int, eta: float) -> None:
    started = [start_rung(number, brackets, eta) for number in range(300)]
    assert set(started) <= set(range(brackets))
    cost = np.array([started.count(s) * eta**s * (brackets - s) for s in range(brackets)])
    per_start = np.array([eta**s * (brackets - s) for s in range(brackets)])
    assert (np.abs(cost - cost.mean()) <= 2 * per_start.max()).all()
    assert started[0] == 0
