"""What further trials would gain: small at the optimum and where nothing changes, large where much is unknown."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from fakes.views import Params, view

from tunesmith.agent.planner.estimates.no_gain import FurtherGain, NoGainRule, further_gain, trials_without_gain
from tunesmith.study.space.parameters import Choice, Float
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.view import Direction, Objective, StudyView

SPACE = SearchSpace({"x": Float(-5.0, 5.0), "y": Float(-5.0, 5.0), "kind": Choice(["a", "b"])})


def bowl(x: float, y: float) -> float:
    return (x - 1) ** 2 + (y + 2) ** 2 + 0.3


def ran(value: Callable[[float, float], float], *, everywhere: int, near: int, sign: float = 1.0) -> StudyView:
    """Return a study with trials everywhere, then some near the optimum of the bowl."""
    rng = random.Random(1)
    history: list[tuple[Params, float]] = []
    for number in range(everywhere + near):
        x, y = rng.uniform(-5, 5), rng.uniform(-5, 5)
        if number >= everywhere:
            x, y = 1 + rng.gauss(0, 0.3), -2 + rng.gauss(0, 0.3)
        history.append(({"x": x, "y": y, "kind": "ab"[number % 2]}, sign * value(x, y)))
    return view(SPACE, history)


def gain_of(seen: StudyView) -> FurtherGain:
    found = further_gain(seen)
    assert found is not None
    return found


def test_at_the_optimum_nothing_better_is_likely_and_elsewhere_it_is() -> None:
    there, not_there = gain_of(ran(bowl, everywhere=25, near=25)), gain_of(ran(bowl, everywhere=25, near=0))
    assert there.is_over
    assert not not_there.is_over
    assert there.text.startswith("Nothing better is likely: expected further gain 0.0")
    assert not_there.text.startswith("More trials may help: expected further gain ")
    assert there.expected < not_there.expected


def test_a_metric_to_maximize_is_the_same_with_its_sign_turned() -> None:
    seen = ran(bowl, everywhere=25, near=25, sign=-1.0)
    seen = replace(seen, objectives=(Objective(seen.objectives[0].metric, Direction.MAXIMIZE),))
    assert gain_of(seen).is_over


@pytest.mark.parametrize(
    "value",
    [lambda x, y: math.sin(3 * x) * math.cos(2 * y), lambda x, y: bowl(x + 5, y - 5), lambda x, y: abs(x * y) + x],
    ids=["wiggly", "best elsewhere", "a valley"],
)
def test_where_much_is_unknown_more_trials_may_help(value: Callable[[float, float], float]) -> None:
    assert not gain_of(ran(value, everywhere=25, near=10)).is_over


def test_equal_values_leave_nothing_to_gain_and_few_trials_say_nothing() -> None:
    assert gain_of(ran(lambda x, y: 1.0, everywhere=30, near=0)).expected < 1e-6
    assert further_gain(ran(bowl, everywhere=10, near=5)) is None
    several = ran(bowl, everywhere=25, near=0)
    assert further_gain(replace(several, objectives=(*several.objectives, Objective("other")))) is None


def test_the_rule_counts_trials_since_the_last_new_best() -> None:
    flat = ran(lambda x, y: 1.0, everywhere=7, near=0)
    assert trials_without_gain(flat) == 6
    assert NoGainRule(6).is_over(flat)
    assert not NoGainRule(7).is_over(flat)
    assert not NoGainRule(None).is_over(flat)
    assert trials_without_gain(view(SPACE, [])) == 0


def test_the_rule_ends_sooner_once_the_bound_says_that_nothing_is_left() -> None:
    seen = ran(bowl, everywhere=25, near=25)
    without = trials_without_gain(seen)
    assert without >= 3
    assert NoGainRule(without * 2).is_over(seen)
    assert not NoGainRule(without * 10).is_over(seen)
