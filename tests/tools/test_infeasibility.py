"""What is said when no trial keeps the bounds on metrics, and when the default does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes.views import Result, trial

from tunesmith.study.space.parameters import Float
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.results import is_baseline
from tunesmith.study.trials.trial import FailureKind, Trial
from tunesmith.study.trials.view import Constraint
from tunesmith.tools.analysis.bounds.infeasibility import broken_bounds, infeasible_text, out_of_reach_text
from tunesmith.tools.analysis.bounds.reach import reach_of

SPACE = SearchSpace({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})
MEMORY, SPEED = Constraint(metric="gb", max=6.0), Constraint(metric="rate", min=100.0)


def said(*results: dict[str, float], constraints: tuple[Constraint, ...] = (MEMORY, SPEED)) -> str:
    params = [{"x": (n % 7) / 7, "y": (n % 5) / 5} for n in range(len(results))]
    return infeasible_text([trial(n, params[n], {"loss": 1.0, **r}) for n, r in enumerate(results)], constraints, SPACE)


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ([{"gb": 8.0, "rate": 120.0}, {"gb": 7.5, "rate": 130.0}], "gb <= 6 is kept by no trial so far"),
        ([{"gb": 8.0, "rate": 120.0}] * 13 + [{"gb": 7.5, "rate": 1.0}], "kept by no trial so far: the nearest of 14"),
        ([{"gb": 8.0, "rate": 120.0}] * 19 + [{"gb": 7.5, "rate": 1.0}], "is out of reach: the nearest of 20 is 7.5"),
        ([{"gb": 8.0 + n % 2, "rate": 120.0} for n in range(20)], "the model of these trials expects no less than"),
        ([{"gb": 5.0, "rate": 40.0 - n % 3} for n in range(20)], "the model of these trials expects no more than"),
        ([{"gb": 8.0, "rate": 120.0}, {"gb": 5.0, "rate": 9.0}] * 10, "by none together"),
        ([{"gb": 7.5, "rate": 120.0}], "max would have to be 7.5"),
        ([{"gb": 5.0, "rate": 40.0}], "(trial 0), 60.00 below it; min would have to be 40"),
        ([{"gb": 5.0}], "No trial reports rate"),
        ([{"gb": 5.0, "rate": 90.0}, {"gb": 9.0, "rate": 110.0}], "gb by 1, rate by 1), but by none together"),
        ([{"gb": 5.0, "rate": 90.0}, {"gb": 9.0, "rate": 110.0}], "rate is 90.00, below min = 100"),
        ([{"gb": 5.0, "rate": float("nan")}], "rate"),
    ],
)  # fmt: skip
def test_the_bound_and_what_it_would_have_to_be_are_said(results: list[dict[str, float]], words: str) -> None:
    assert words in said(*results)


def test_nothing_is_said_while_a_trial_keeps_every_bound_or_none_is_complete() -> None:
    assert said({"gb": 5.0, "rate": 120.0}, {"gb": 9.0, "rate": 1.0}) == ""
    assert said() == ""


def test_a_trial_says_which_bounds_it_breaks() -> None:
    assert broken_bounds(trial(0, {}, {"gb": 8.0, "rate": 5.0}), (MEMORY, SPEED)) == (
        "gb is 8.000, above max = 6; rate is 5.000, below min = 100"
    )


def bowl(count: int, *, seed: int, lowest: float) -> list[Trial]:
    """Return random trials of a metric that falls to `lowest` at (0.3, 0.7)."""
    points = np.random.default_rng(seed).random((count, 2))
    return [
        trial(n, {"x": float(x), "y": float(y)}, {"gb": lowest + 9 * ((x - 0.3) ** 2 + (y - 0.7) ** 2), "loss": 1.0})
        for n, (x, y) in enumerate(points)
    ]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("lowest", "count", "says"), [(8.0, 30, True), (5.99, 30, False), (8.0, 14, False)])
def test_a_bound_is_out_of_reach_only_where_no_point_of_the_space_may_keep_it(
    seed: int, lowest: float, count: int, says: bool
) -> None:
    trials = [t for t in bowl(count, seed=seed, lowest=lowest) if t.values["gb"] > 6]
    text = out_of_reach_text(trials, (MEMORY,), SPACE)
    assert bool(text) is says, text
    if says:
        assert "max would have to be about 8" in text or "max would have to be about 7.9" in text


def test_what_counts_nowhere_is_no_evidence() -> None:
    trials = [replace(t, forgotten=True) for t in bowl(30, seed=0, lowest=8.0)]
    assert reach_of([MEMORY], trials, SPACE) is None


@pytest.mark.parametrize(
    ("values", "is_one"),
    [({"loss": 1.0, "gb": 5.0}, True), ({"loss": 1.0, "gb": 7.0}, False), ({"loss": 1.0}, False),
     (FailureKind.OOM, False), (None, False)],
)  # fmt: skip
def test_gains_are_measured_against_a_default_that_completed_within_the_bounds(values: Result, is_one: bool) -> None:
    assert is_baseline(trial(0, {"x": 0.1, "y": 0.1}, values), (MEMORY,)) is is_one
