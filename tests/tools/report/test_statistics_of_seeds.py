import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.tools.analysis.confirmation.sequential_test import SequentialDecision, sequential_decision
from tunesmith.tools.analysis.confirmation.significance import difference, sample

GOOD = sample([0.20, 0.21, 0.19, 0.205, 0.195])
POOR = sample([0.40, 0.42, 0.41, 0.39, 0.40])


def test_a_sample_has_the_interval_that_a_t_table_gives():
    found = sample([1.0, 2.0, 3.0, 4.0, 5.0])
    assert found is not None
    assert found.mean == 3.0
    assert found.std == pytest.approx(math.sqrt(2.5))
    # t(0.975, 4) = 2.776
    assert found.margin == pytest.approx(2.776 * math.sqrt(2.5) / math.sqrt(5), rel=1e-3)


def test_one_value_has_no_spread_and_nan_is_no_value():
    found = sample([0.5, math.nan, math.inf])
    assert found is not None
    assert (found.count, found.std, found.margin) == (1, None, None)
    assert sample([math.nan]) is None
    assert sample([]) is None


def test_welch_gives_the_probability_of_a_known_example():
    a, b = sample([27.5, 21.0, 19.0, 23.6, 17.0, 17.9]), sample([27.1, 22.0, 20.8, 23.4, 23.4, 23.5])
    assert a is not None
    assert b is not None
    found = difference(a, b, sign=1)
    assert found is not None
    # scipy.stats.ttest_ind(b, a, equal_var=False, alternative="greater"): t = 1.2896, p = 0.11743
    assert 1 - found.probability == pytest.approx(0.1174309, abs=1e-6)
    assert found.gain == pytest.approx(2.3667, abs=1e-3)
    assert not found.is_beyond_noise


def test_direction_turns_the_gain_round():
    assert GOOD is not None
    assert POOR is not None
    less, more = difference(GOOD, POOR, sign=1), difference(GOOD, POOR, sign=-1)
    assert less is not None
    assert more is not None
    assert less.gain == -more.gain > 0
    assert less.probability > 0.999
    assert less.is_beyond_noise
    assert not more.is_beyond_noise


@pytest.mark.parametrize("reference", [[2.0, 2.0], [1.0, 1.0], [0.0, 0.0, 0.0]])
def test_copies_on_both_sides_say_nothing_of_other_seeds(reference):
    same, other = sample([1.0, 1.0, 1.0]), sample(reference)
    assert same is not None
    assert other is not None
    assert same.is_repeated
    assert difference(same, other, sign=1) is None


def test_equal_values_on_several_instances_are_no_copies():
    held_out = ["a", "b"]
    candidate, reference = sample([0.0, 0.0], held_out), sample([0.1, 0.1], held_out)
    assert candidate is not None
    assert reference is not None
    assert not candidate.is_repeated
    assert sequential_decision(candidate, reference, sign=1, most=4) is SequentialDecision.CONTINUE
    assert sample([0.0, 0.0], ["a", "a"]).is_repeated  # type: ignore[union-attr]


def test_copies_are_compared_with_values_that_differ_between_seeds():
    same, other = sample([1.0, 1.0, 1.0]), sample([2.0, 2.1, 1.9])
    assert same is not None
    assert other is not None
    better = difference(same, other, sign=1)
    assert better is not None
    assert better.gain == pytest.approx(1.0)
    assert better.is_beyond_noise


def test_a_single_value_cannot_be_compared():
    one = sample([1.0])
    assert one is not None
    assert GOOD is not None
    assert difference(one, GOOD, sign=1) is None


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=8), st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=8))
def test_probabilities_of_both_views_add_up(a, b):
    first, second = sample(a), sample(b)
    assert first is not None
    assert second is not None
    there, back = difference(first, second, sign=1), difference(second, first, sign=1)
    if first.is_repeated and second.is_repeated:
        assert there is back is None
        return
    assert there is not None
    assert back is not None
    assert there.probability + back.probability == pytest.approx(1)
