"""What is made of the values that an LLM predicts: nothing at first, then as much as they were right."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes.views import trial

from tunesmith.agent.planner.llm_calibration import gain_by_prediction, shown_error
from tunesmith.study.trials.trial import Prediction, Source, Trial
from tunesmith.study.trials.view import Objective

LOSS = Objective("loss")
MODEL = Prediction(mean=1.0, std=0.2)


def told(number: int, value: float, predicted: float) -> Trial:
    made = trial(number, {"x": 0.1 * number}, value)
    proposal = replace(made.proposal, source=Source.LLM, prediction=Prediction(mean=predicted, std=0.0))
    return replace(made, proposal=proposal)


def test_predictions_count_for_nothing_until_four_came_out() -> None:
    assert shown_error([told(n, 1.0 + n, 1.1 + n) for n in range(3)], LOSS) is None
    assert shown_error([told(n, 1.0 + n, 1.1 + n) for n in range(4)], LOSS) is not None


def test_who_always_promises_the_same_is_not_heard() -> None:
    assert shown_error([told(n, 1.0 + n % 3, 1.0) for n in range(12)], LOSS) is None


def test_the_error_falls_the_more_often_who_predicts_was_right() -> None:
    few = shown_error([told(n, 1.0 + n % 4, 1.0 + n % 4) for n in range(4)], LOSS)
    many = shown_error([told(n, 1.0 + n % 4, 1.0 + n % 4) for n in range(40)], LOSS)
    assert few is not None
    assert many is not None
    assert many < 0.5 * few


@pytest.mark.parametrize(("sign", "better"), [(1, 0.5), (-1, 1.5)])
def test_a_trusted_prediction_of_a_better_value_raises_the_gain(sign: int, better: float) -> None:
    worse = 2.0 - better
    assert gain_by_prediction(MODEL, better, 0.05, best=1.0, sign=sign) > 0.5
    assert gain_by_prediction(MODEL, worse, 0.05, best=1.0, sign=sign) < -0.5
    assert abs(gain_by_prediction(MODEL, better, 50.0, best=1.0, sign=sign)) < 0.01


@pytest.mark.parametrize("predicted", [-1e9, 1e9, float("nan"), float("inf")])
def test_no_prediction_moves_a_candidate_without_bound(predicted: float) -> None:
    assert abs(gain_by_prediction(MODEL, predicted, 1e-6, best=1.0, sign=1)) <= 2.0
