"""The sampler also learns from cheap runs, earlier studies, wall time, several objectives and forecasts of curves."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fakes.studies import make_spec
from fakes.views import Params, trial, view

from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.agent.sampler.surrogate.hypervolume import hypervolume
from tunesmith.agent.scheduler.early_stopping import EarlyStopping
from tunesmith.study.space.parameters import Choice, Float, Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.earlier import EarlierStudy
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.trial import Outcome, Trial, TrialState, Usage
from tunesmith.study.trials.view import Fidelity, ForecastPoint, StudyView

SPACE: Mapping[str, Parameter] = {f"x{i}": Float(0.0, 1.0) for i in range(4)}
EPOCHS = Fidelity("epochs", 1, 27)


def bowl(params: Params, centre: float = 0.7) -> float:
    return sum((float(params[name]) - centre) ** 2 for name in SPACE)  # type: ignore[arg-type]


def at_fidelity(finished: Trial, epochs: float) -> Trial:
    return replace(finished, proposal=replace(finished.proposal, fidelity=epochs))


def random_trials(
    count: int, objective: Callable[[Params], float], *, space: Mapping[str, Parameter] = SPACE, seed: int = 0
) -> list[Trial]:
    rng, parsed = np.random.default_rng(seed), SearchSpace(space)
    drawn = [parsed.from_unit(rng.random(len(parsed)).tolist()) for _ in range(count)]
    return [trial(number, params, objective(params)) for number, params in enumerate(drawn)]


def earlier_study(*args: Any, **kwargs: Any) -> tuple[EarlierStudy, ...]:
    return (EarlierStudy(name="earlier", trials=random_trials(*args, **kwargs)),)


def best_of_next(
    start: Sequence[Trial],
    trials: int,
    objective: Callable[[Params], float] = bowl,
    *,
    seed: int = 0,
    **changes: object,
) -> float:
    finished = list(start)
    for _ in range(trials):
        now = replace(view(SPACE, seed=seed), trials=tuple(finished), number=len(finished), **changes)  # type: ignore[arg-type]
        params = BayesSampler().suggest(now).params
        finished.append(trial(len(finished), params, objective(params)))
    return min(objective(t.params) for t in finished[len(start) :])


def test_cheap_runs_inform_full_ones() -> None:
    def cheap(params: Params) -> float:
        return 0.5 + 0.8 * bowl(params, 0.66)

    informed, uninformed = [], []
    for seed in range(4):
        runs = [at_fidelity(t, 3) for t in random_trials(30, cheap, seed=seed)]
        informed.append(best_of_next(runs, 4, seed=seed, fidelity=EPOCHS))
        uninformed.append(best_of_next([], 4, seed=seed))
    assert statistics.mean(informed) < 0.3 * statistics.mean(uninformed)


def test_a_configuration_that_ran_cheaply_may_run_again_in_full() -> None:
    space = {"x": Choice([1, 2, 3], ordered=True)}
    cheap = tuple(at_fidelity(trial(i, {"x": i + 1}, float(i)), 1) for i in range(3))
    proposed = BayesSampler().suggest(replace(view(space), trials=cheap, number=3, fidelity=EPOCHS))
    assert proposed.params["x"] in (1, 2, 3)


def test_fidelity_is_on_a_log_scale_and_none_means_full() -> None:
    assert [EPOCHS.to_unit(f) for f in (1, 3, 9, 27, None, 81)] == pytest.approx([0, 1 / 3, 2 / 3, 1, 1, 1])


def test_an_earlier_study_of_the_same_problem_helps_from_the_first_trials() -> None:
    def earlier(params: Params) -> float:
        return 3.0 * bowl(params, 0.68) + 10.0

    informed, uninformed = [], []
    for seed in range(4):
        known = earlier_study(40, earlier, seed=seed)
        informed.append(best_of_next([], 8, seed=seed, earlier=known))
        uninformed.append(best_of_next([], 8, seed=seed))
    assert statistics.mean(informed) < 0.6 * statistics.mean(uninformed)


def test_an_earlier_study_that_ranks_the_wrong_way_is_soon_ignored() -> None:
    def opposite(params: Params) -> float:
        return -bowl(params)

    misled = [best_of_next([], 20, seed=s, earlier=earlier_study(40, opposite, seed=s)) for s in range(4)]
    uninformed = [best_of_next([], 20, seed=s) for s in range(4)]
    typical = statistics.median(bowl(t.params) for t in random_trials(200, bowl))
    assert statistics.mean(misled) < statistics.mean(uninformed) + 0.05 * typical


def test_an_earlier_study_with_other_parameters_helps_with_those_that_both_have() -> None:
    others = {**{n: p for n, p in SPACE.items() if n != "x3"}, "gone": Float(0.0, 1.0), "x0": Float(-1.0, 2.0)}

    def loss(params: Params) -> float:
        return sum((float(params[f"x{i}"]) - 0.7) ** 2 for i in range(3))  # type: ignore[arg-type]

    known = earlier_study(60, loss, space=others)
    first = BayesSampler().suggest(replace(view(SPACE), earlier=known)).params
    assert all(abs(float(first[f"x{i}"]) - 0.7) < 0.25 for i in range(3))  # type: ignore[arg-type]


def test_a_forecast_of_the_present_study_is_not_applied_to_an_earlier_one() -> None:
    (study,) = earlier_study(10, bowl)
    stopped = replace(study.trials[3], state=TrialState.STOPPED)
    known = (replace(study, trials=[*study.trials[:3], stopped, *study.trials[4:]]),)
    plain = replace(view(SPACE), earlier=known)
    with_forecasts = replace(plain, curve_forecasts={3: (ForecastPoint(part=0.5, value=-100.0),)})
    assert BayesSampler().suggest(with_forecasts) == BayesSampler().suggest(plain)


def test_an_earlier_study_in_which_all_failed_changes_nothing() -> None:
    known = earlier_study(10, lambda _: math.nan)
    assert BayesSampler().suggest(replace(view(SPACE), earlier=known)) == BayesSampler().suggest(view(SPACE))


def test_a_cost_exponent_prefers_quick_trials_among_good_ones() -> None:
    def seconds(params: Params) -> float:
        return float(10 ** (2 * params["x3"]))  # type: ignore[operator]

    def loss(params: Params) -> float:  # x3 costs seconds and brings next to nothing
        return bowl({**params, "x3": 0.7}) - 1e-3 * float(params["x3"])  # type: ignore[arg-type]

    def total_seconds(cost_exponent: float) -> float:
        finished: list[Trial] = []
        for number in range(20):
            now = replace(view(SPACE), trials=tuple(finished), number=number, cost_exponent=cost_exponent)
            params = BayesSampler().suggest(now).params
            ran = trial(number, params, loss(params))
            assert ran.outcome is not None
            finished.append(replace(ran, outcome=replace(ran.outcome, usage=Usage(wall_s=seconds(params)))))
        return sum(seconds(t.params) for t in finished[5:])

    assert total_seconds(1.0) < 0.5 * total_seconds(0.0)


@pytest.mark.parametrize("metrics", [2, 3])
def test_several_objectives_dominate_more_than_random_points_do(metrics: int) -> None:
    names = [f"m{i}" for i in range(metrics)]

    def values(params: Params) -> dict[str, float]:
        centres = (0.2, 0.8, 0.5)
        return {
            name: bowl(params, centre) + 0.1 * i for i, (name, centre) in enumerate(zip(names, centres, strict=False))
        }

    def volume(trials: Sequence[Trial]) -> float:
        return hypervolume(np.array([[t.values[m] for m in names] for t in trials]), np.full(metrics, 2.0))

    finished: list[Trial] = []
    space = SearchSpace(SPACE)
    for number in range(25):
        now = StudyView(
            space=space, objectives=view(SPACE, metrics=names).objectives, trials=tuple(finished), number=number
        )
        params = BayesSampler().suggest(now).params
        finished.append(trial(number, params, values(params)))
    random_volumes = [
        volume([trial(0, t.params, values(t.params)) for t in random_trials(50, bowl, seed=s)]) for s in range(5)
    ]
    assert volume(finished) > statistics.mean(random_volumes)


def curve(end: float) -> list[Observation]:
    """Fall over 9 epochs towards an end."""
    return [Observation("loss", step, end + 1.0 / step - 1.0 / 9.0, 0.0) for step in range(1, 10)]


def test_a_stopped_trial_counts_with_the_forecast_of_its_curve_and_not_with_its_last_value() -> None:
    spec = make_spec(
        run={"command": "python train.py --x {x}"},
        space={"x": {"type": "float", "low": 0.0, "high": 1.0}},
        fidelity={"name": "epochs", "min": 1, "max": 9},
        schedule={"kind": "curves"},
    )
    full = [trial(n, {"x": x}, x) for n, x in enumerate((0.3, 0.4, 0.6, 0.8, 1.0))]
    ended = Outcome(state=TrialState.STOPPED, values={"loss": curve(0.35)[0].value})
    stopped = replace(trial(5, {"x": 0.1}, None), state=TrialState.STOPPED, outcome=ended)
    seen = {t.number: curve(t.values["loss"]) for t in full} | {5: curve(0.35)[:1]}
    early_stopping = EarlyStopping(spec, seen)
    forecasts = early_stopping.pseudo_observations([*full, stopped])
    (forecast,) = forecasts[5]
    assert forecast.value == pytest.approx(0.35, abs=0.1)
    assert 0.0 < forecast.part < 1.0
    # Complete trials have forecasts from the same part of their curves, which show the error of such forecasts.
    assert all(pseudo.part == forecast.part for t in full for pseudo in forecasts[t.number])
    seen = replace(view(spec.space), trials=(*full, stopped), number=6, fidelity_rises=True)
    with_forecast, without = (
        BayesSampler().score(replace(seen, curve_forecasts=known), [{"x": 0.12}]) for known in (forecasts, {})
    )
    assert with_forecast is not None
    assert without is not None
    assert with_forecast[0].prediction.mean == pytest.approx(0.35, abs=0.12)
    assert without[0].prediction.mean > with_forecast[0].prediction.mean + 0.1
