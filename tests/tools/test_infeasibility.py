"""What is said when no trial keeps the bounds on metrics, and when the default does not."""

from __future__ import annotations

import pytest
from fakes.views import trial

from tunesmith.study.trials.view import Constraint
from tunesmith.tools.analysis.infeasibility import broken_bounds, infeasible_text

MEMORY, SPEED = Constraint(metric="gb", max=6.0), Constraint(metric="rate", min=100.0)


def said(*results: dict[str, float], constraints: tuple[Constraint, ...] = (MEMORY, SPEED)) -> str:
    return infeasible_text([trial(n, {}, {"loss": 1.0, **r}) for n, r in enumerate(results)], constraints)


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ([{"gb": 8.0, "rate": 120.0}, {"gb": 7.5, "rate": 130.0}], "gb <= 6 is kept by no trial so far"),
        ([{"gb": 8.0, "rate": 120.0}] * 9 + [{"gb": 7.5, "rate": 1.0}], "is out of reach: the nearest of 10 is 7.5"),
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
