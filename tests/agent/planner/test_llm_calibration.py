"""Calibration of an LLM's predictions: without effect at first, then by how right they were."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes.views import trial

from tunesmith.agent.planner.judging.llm_calibration import log_ei_shift, prediction_error
from tunesmith.study.trials.trial import Prediction, Source, Trial
from tunesmith.study.trials.view import Objective

LOSS = Objective("loss")
MODEL = Prediction(mean=1.0, std=0.2)


def llm_trial(number: int, value: float, predicted: float) -> Trial:
    made = trial(number, {"x": 0.1 * number}, value)
    proposal = replace(made.proposal, source=Source.LLM, prediction=Prediction(mean=predicted, std=0.0))
    return replace(made, proposal=proposal)


def test_predictions_count_from_four_known_outcomes_on() -> None:
    assert prediction_error([llm_trial(n, 1.0 + n, 1.1 + n) for n in range(3)], LOSS) is None
    assert prediction_error([llm_trial(n, 1.0 + n, 1.1 + n) for n in range(4)], LOSS) is not None


def test_a_constant_prediction_is_ignored() -> None:
    assert prediction_error([llm_trial(n, 1.0 + n % 3, 1.0) for n in range(12)], LOSS) is None


def test_the_error_falls_with_every_correct_prediction() -> None:
    few = prediction_error([llm_trial(n, 1.0 + n % 4, 1.0 + n % 4) for n in range(4)], LOSS)
    many = prediction_error([llm_trial(n, 1.0 + n % 4, 1.0 + n % 4) for n in range(40)], LOSS)
    assert few is not None
    assert many is not None
    assert many < 0.5 * few


@pytest.mark.parametrize(("sign", "better"), [(1, 0.5), (-1, 1.5)])
def test_a_prediction_with_a_small_error_shifts_the_gain_towards_it(sign: int, better: float) -> None:
    worse = 2.0 - better
    assert log_ei_shift(MODEL, better, 0.05, best=1.0, sign=sign) > 0.5
    assert log_ei_shift(MODEL, worse, 0.05, best=1.0, sign=sign) < -0.5
    assert abs(log_ei_shift(MODEL, better, 50.0, best=1.0, sign=sign)) < 0.01


@pytest.mark.parametrize("predicted", [-1e9, 1e9, float("nan"), float("inf")])
def test_the_shift_of_a_prediction_is_bounded(predicted: float) -> None:
    assert abs(log_ei_shift(MODEL, predicted, 1e-6, best=1.0, sign=1)) <= 2.0
