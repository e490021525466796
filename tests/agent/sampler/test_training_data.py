"""A view becomes arrays: one row per informative trial, then pseudo-observations, then replicates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes.views import Params, Result, trial, view

from tunesmith.agent.sampler.training_data import (
    MAX_EARLIER_TRIALS,
    TrainingData,
    build_earlier_data,
    build_training_data,
)
from tunesmith.study.space.parameters import Choice, Float, Int, Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.earlier import EarlierStudy
from tunesmith.study.trials.replicates.seeds import noise_seed
from tunesmith.study.trials.trial import FailureKind, Outcome, Source, Trial, TrialState, Usage
from tunesmith.study.trials.view import Constraint, Fidelity, ForecastPoint, StudyView

X: dict[str, Parameter] = {"x": Float(0.0, 1.0)}


def at(*xs: float) -> list[Params]:
    return [{"x": x} for x in xs]


def stopped(number: int, x: float, value: float | None) -> Trial:
    values = {} if value is None else {"loss": value}
    outcome = Outcome(state=TrialState.STOPPED, values=values, note="stopped early")
    return replace(trial(number, {"x": x}, None), state=TrialState.STOPPED, outcome=outcome)


def with_trials(*trials: Trial, **changes: object) -> StudyView:
    return replace(view(X), trials=trials, number=len(trials), **changes)  # type: ignore[arg-type]


def test_an_empty_view_gives_arrays_without_rows() -> None:
    data = build_training_data(view(X, constraints=[Constraint(metric="gib", max=1.0)]))
    assert data.units.shape == (0, 1)
    assert data.values.shape == (0, 1)
    assert data.violations.shape == (0, 1)
    assert data.pending.shape == (0, 1)
    assert data.count == data.exploratory_count == 0


def test_complete_failed_and_pending_trials_are_told_apart() -> None:
    results: list[Result] = [0.5, FailureKind.OOM, float("nan"), None]
    data = build_training_data(view(X, list(zip(at(0.1, 0.2, 0.3, 0.4), results, strict=True))))
    np.testing.assert_allclose(data.units[:, 0], [0.1, 0.2, 0.3])
    np.testing.assert_allclose(data.pending[:, 0], [0.4])
    assert data.complete.tolist() == [True, False, False]
    assert data.failed.tolist() == [False, True, True]
    assert data.count == 4


def test_a_trial_that_was_lost_with_its_machine_is_left_out() -> None:
    data = build_training_data(view(X, list(zip(at(0.1, 0.2), [FailureKind.LOST, 0.5], strict=True))))
    np.testing.assert_allclose(data.units[:, 0], [0.2])


@pytest.mark.parametrize("maximize", [False, True])
def test_objectives_are_signed_so_that_smaller_is_better(maximize: bool) -> None:
    data = build_training_data(view(X, [({"x": 0.1}, 3.0)], maximize=maximize))
    assert data.values[0, 0] == (-3.0 if maximize else 3.0)


def test_every_objective_has_a_column_and_a_trial_without_one_of_them_is_not_complete() -> None:
    results: list[Result] = [{"a": 1.0, "b": 2.0}, {"a": 1.0}]
    data = build_training_data(view(X, list(zip(at(0.1, 0.2), results, strict=True)), metrics=["a", "b"]))
    assert data.values[0].tolist() == [1.0, 2.0]
    assert np.isnan(data.values[1, 1])
    assert data.complete.tolist() == [True, False]


def test_huge_values_are_clipped_to_what_can_be_squared() -> None:
    data = build_training_data(view(X, [({"x": 0.1}, 1e300), ({"x": 0.2}, -1e300)]))
    assert np.isfinite(data.values**2).all()
    assert data.values[0, 0] > 0 > data.values[1, 0]


def test_a_violated_constraint_makes_a_complete_trial_infeasible_and_a_missing_metric_does_not() -> None:
    results: list[Result] = [{"loss": 1.0, "gib": 3.0}, {"loss": 1.0, "gib": 1.0}, {"loss": 1.0}]
    seen = view(X, list(zip(at(0.1, 0.2, 0.3), results, strict=True)), constraints=[Constraint(metric="gib", max=2.0)])
    data = build_training_data(seen)
    assert data.violations[0, 0] > 0.0 > data.violations[1, 0]
    assert np.isnan(data.violations[2, 0])
    assert data.complete.all()
    assert data.feasible.tolist() == [False, True, True]


def test_fidelity_lies_on_a_log_scale_and_only_full_runs_count_as_full() -> None:
    cheap = trial(0, {"x": 0.1}, 0.5)
    cheap = replace(cheap, proposal=replace(cheap.proposal, fidelity=3.0))
    data = build_training_data(with_trials(cheap, trial(1, {"x": 0.2}, 0.4), fidelity=Fidelity("epochs", 1, 9)))
    np.testing.assert_allclose(data.fidelity, [0.5, 1.0])
    assert data.full.tolist() == [False, True]


def test_wall_time_is_nan_where_it_was_not_measured() -> None:
    timed = trial(0, {"x": 0.1}, 0.5)
    assert timed.outcome is not None
    timed = replace(timed, outcome=replace(timed.outcome, usage=Usage(wall_s=12.0)))
    data = build_training_data(with_trials(timed, trial(1, {"x": 0.2}, 0.4)))
    np.testing.assert_array_equal(data.seconds, [12.0, np.nan])


def test_a_stopped_trial_without_a_forecast_is_neither_complete_nor_failed_and_keeps_its_last_value() -> None:
    data = build_training_data(with_trials(stopped(0, 0.1, 0.7), stopped(1, 0.2, None)))
    assert not data.complete.any()
    assert not data.failed.any()
    np.testing.assert_array_equal(data.values[:, 0], [0.7, np.nan])


def test_a_stopped_trial_with_a_forecast_is_complete_at_the_fidelity_it_reached() -> None:
    forecasts = {0: (ForecastPoint(part=0.2, value=9.0), ForecastPoint(part=0.5, value=0.3))}
    data = build_training_data(with_trials(stopped(0, 0.1, 0.7), curve_forecasts=forecasts))
    assert data.complete.tolist() == [True]
    assert data.values[0, 0] == 0.3
    assert data.fidelity[0] == 0.5
    assert data.full.tolist() == [False]
    assert np.isnan(data.seconds[0])


def test_forecasts_of_a_complete_trial_are_pseudo_observations_that_count_as_no_trial() -> None:
    forecasts = {0: (ForecastPoint(part=0.2, value=0.9), ForecastPoint(part=0.5, value=0.6))}
    data = build_training_data(with_trials(trial(0, {"x": 0.1}, 0.5), curve_forecasts=forecasts))
    assert data.values[:, 0].tolist() == [0.5, 0.9, 0.6]
    assert data.fidelity.tolist() == [1.0, 0.2, 0.5]
    assert data.complete.all()
    assert data.pseudo_count == 2
    assert data.count == 1


def test_replicates_are_the_last_rows_and_do_not_count_towards_the_initial_design() -> None:
    first = trial(0, {"x": 0.1}, 0.5)
    repeated = trial(1, {"x": 0.1}, 0.6)
    repeated = replace(
        repeated, proposal=replace(repeated.proposal, source=Source.CONFIRM, replicate_of=0, seed=noise_seed(0, 0))
    )
    data = build_training_data(with_trials(first, repeated, trial(2, {"x": 0.3}, 0.7)))
    assert data.replicate_count == 1
    np.testing.assert_allclose(data.units[:, 0], [0.1, 0.3, 0.1])
    assert data.exploratory_count == 2


def test_proposals_of_an_llm_do_not_count_towards_the_initial_design() -> None:
    own, offered, running = trial(0, {"x": 0.1}, 0.5), trial(1, {"x": 0.2}, 0.5), trial(2, {"x": 0.3}, None)
    offered, running = (replace(t, proposal=replace(t.proposal, source=Source.LLM)) for t in (offered, running))
    data = build_training_data(with_trials(own, offered, running))
    assert (data.count, data.llm_count, data.exploratory_count) == (3, 2, 1)


def earlier(space: dict[str, Parameter], history: list[tuple[Params, Result]], **changes: object) -> TrainingData:
    trials = view(SearchSpace(history_space(history)), history).trials
    seen = replace(view(space), **changes)  # type: ignore[arg-type]
    return build_earlier_data(seen, EarlierStudy(name="earlier", trials=list(trials)))


def history_space(history: list[tuple[Params, Result]]) -> dict[str, Parameter]:
    return {name: Float(-10.0, 10.0) for params, _ in history for name in params}


def test_an_earlier_trial_outside_the_present_range_is_left_out_and_an_unknown_parameter_is_dropped() -> None:
    history: list[tuple[Params, Result]] = [({"x": 0.25, "gone": 3.0}, 0.5), ({"x": 2.0, "gone": 3.0}, 0.1)]
    data = earlier(X, history)
    np.testing.assert_allclose(data.units, [[0.25]])
    assert data.values[:, 0].tolist() == [0.5]


def test_a_parameter_that_the_earlier_study_did_not_have_takes_its_default_or_the_middle() -> None:
    space: dict[str, Parameter] = {
        **X,
        "new": Float(0.0, 1.0),
        "layers": Int(1, 4, default=4),
        "kind": Choice(["a", "b"], default="b"),
    }
    data = earlier(space, [({"x": 0.25}, 0.5)])
    params = SearchSpace(space).from_unit(data.units[0].tolist())
    assert params["new"] == pytest.approx(0.5)
    assert params["layers"] == 4
    assert params["kind"] == "b"


def test_forecasts_of_the_present_study_do_not_touch_an_earlier_one() -> None:
    forecasts = {0: (ForecastPoint(part=0.5, value=-100.0),)}
    data = earlier(X, [({"x": 0.25}, 0.5)], curve_forecasts=forecasts)
    assert data.pseudo_count == 0
    assert data.values[:, 0].tolist() == [0.5]


def test_of_a_very_long_earlier_study_the_best_and_an_even_sample_of_the_rest_are_kept() -> None:
    count = MAX_EARLIER_TRIALS + 500
    history: list[tuple[Params, Result]] = [({"x": index / count}, float(index)) for index in range(count)]
    data = earlier(X, history)
    values = data.values[:, 0]
    assert len(values) == MAX_EARLIER_TRIALS
    assert set(range(MAX_EARLIER_TRIALS // 2)) <= set(values.astype(int).tolist())
    assert values.max() == count - 1
