"""With a default: it is the centre with names of any meaning, openings are short and careful, choices are all tried."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from fakes.views import Params, best, run, trial, view

from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.agent.sampler.beside_llm import without_llm_misses
from tunesmith.agent.sampler.overconfidence import recent_misses
from tunesmith.agent.sampler.priors import NamePriors
from tunesmith.study.space.parameters import Choice, Float, Int, Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import FailureKind, Prediction, Proposal, Source
from tunesmith.study.trials.view import StudyView
from tunesmith.tools.surrogate.encoding import SpaceEncoding

TRAINING: Mapping[str, Parameter] = {
    "lr": Float(1e-5, 1.0, log=True, default=0.03),
    "weight_decay": Float(1e-4, 1.0, log=True, default=0.3),
    "dropout": Float(0.0, 0.9, default=0.6),
    "beta1": Float(0.5, 0.99, default=0.7),
    "depth": Int(1, 12, default=9),
    "width": Int(8, 512, log=True, default=24),
    "activation": Choice(["relu", "tanh", "logistic", "elu", "gelu", "swish"], default="logistic"),
    "made_up": Float(0.0, 1.0, default=0.2),
}
DEFAULT = SearchSpace(TRAINING).default or {}


def distance(a: Params, b: Params) -> float:
    space = SearchSpace(TRAINING)
    return float(np.abs(np.array(space.to_unit(a)) - np.array(space.to_unit(b))).sum())


def from_llm(study: StudyView) -> StudyView:
    trials = [replace(t, proposal=replace(t.proposal, source=Source.LLM)) for t in study.trials]
    return replace(study, trials=tuple(trials))


def near_default(number: int) -> Params:
    return {**DEFAULT, "made_up": 0.2 + 0.1 * number, "dropout": 0.6 - 0.05 * number}


@pytest.mark.parametrize("name", ["lr", "weight_decay", "dropout", "beta1", "depth", "width", "activation", "made_up"])
def test_nothing_is_more_plausible_than_the_default_whatever_the_name_says(name: str) -> None:
    space = SearchSpace(TRAINING)
    priors, parameter = NamePriors(SpaceEncoding(space)), space.parameters[name]
    values = [parameter.from_unit(u / 50) for u in range(51)]
    at_default, *others = (
        float(priors.log_plausibility(np.array([space.to_unit({**DEFAULT, name: value})]))[0])
        for value in [DEFAULT[name], *values]
    )
    assert at_default >= max(others) - 1e-3
    assert at_default > min(others)


def test_a_default_says_nothing_of_the_rate_of_another_optimizer() -> None:
    space = SearchSpace(
        {"optimizer": Choice(["adam", "sgd"], default="adam"), "lr": Float(1e-5, 1.0, log=True, default=3e-4)}
    )
    priors = NamePriors(SpaceEncoding(space))
    rates = {
        optimizer: priors.log_plausibility(
            np.array([space.to_unit({"optimizer": optimizer, "lr": lr}) for lr in RATES])
        )
        for optimizer in ("adam", "sgd")
    }
    assert RATES[int(rates["adam"].argmax())] == 3e-4
    assert RATES[int(rates["sgd"].argmax())] > 3e-4


RATES = (1e-5, 1e-4, 3e-4, 1e-2, 0.1, 1.0)


@pytest.mark.parametrize("sources", ["llm", "sampler"])
@pytest.mark.parametrize("with_default", [True, False])
def test_four_complete_trials_of_anybody_end_the_opening(sources: str, with_default: bool) -> None:
    space = TRAINING if with_default else {n: replace(p, default=None) for n, p in TRAINING.items()}  # type: ignore[type-var]
    study = view(space, [(near_default(i), 1.0 + 0.1 * i) for i in range(5)])
    proposed = BayesSampler().suggest(from_llm(study) if sources == "llm" else study)
    assert proposed.prediction is not None


def test_beside_an_llm_only_its_gains_end_the_opening() -> None:
    seen = from_llm(view(TRAINING, [(near_default(i), 1.0 + 0.1 * i) for i in range(9)]))
    proposed = BayesSampler().suggest(without_llm_misses(seen))
    assert proposed.prediction is None
    assert "first points about the default" in proposed.rationale, "small steps about one trial leave the rest unknown"
    gains = from_llm(view(TRAINING, [(near_default(i), 1.0 - 0.1 * i) for i in range(5)]))
    assert BayesSampler().suggest(without_llm_misses(gains)).prediction is not None


def test_the_opening_changes_a_part_of_the_parameters_and_together_every_one() -> None:
    history = run(BayesSampler(), TRAINING, lambda params: 1.0, 4)
    changed = [{n for n in TRAINING if params[n] != DEFAULT[n]} for params, _ in history]
    assert changed[0] == set()
    assert all(1 <= len(names) <= 3 for names in changed[1:])
    assert set.union(*changed) >= set(TRAINING) - {"activation"}  # a choice keeps its value half of the time


def test_after_a_failure_the_next_point_of_the_opening_is_nearer_to_what_worked() -> None:
    def moved(failed: int) -> float:
        far: Params = {**DEFAULT, "lr": 1.0, "width": 512, "dropout": 0.0}
        tried = [{**far, "made_up": 0.5 + 0.1 * i} for i in range(failed)]
        studies = [
            view(TRAINING, [(DEFAULT, 1.0), *((params, FailureKind.OOM) for params in tried)], seed=seed)
            for seed in range(6)
        ]
        return statistics.mean(distance(BayesSampler().suggest(study).params, DEFAULT) for study in studies)

    first, second, third = (moved(count) for count in range(3))
    assert second < 0.8 * first
    assert third < 0.8 * second


def test_every_value_of_a_choice_is_tried_early_even_where_the_first_ones_are_good() -> None:
    def loss(params: Params) -> float:
        return 1.0 + 0.2 * abs(math.log10(float(params["lr"]) / 0.01)) + 0.3 * float(params["dropout"])  # type: ignore[arg-type]

    history = run(BayesSampler(), TRAINING, loss, 30)
    assert {params["activation"] for params, _ in history} == {"relu", "tanh", "logistic", "elu", "gelu", "swish"}


def test_an_untried_value_comes_at_every_fifth_trial_of_the_samplers_own_whatever_an_llm_runs_between() -> None:
    poor = {2: "relu", 4: "tanh", 6: "elu", 8: "gelu"}
    trials = []
    for number in range(23):
        params = {**DEFAULT, "lr": 0.03 * 0.9**number, "dropout": 0.6 - 0.02 * (number % 7)}
        made = trial(
            number, params | {"activation": poor.get(number, "logistic")}, 1.0 + 0.1 * number % 3 + (number in poor)
        )
        source = Source.LLM if number % 2 or number > 18 else Source.SAMPLER
        trials.append(replace(made, proposal=replace(made.proposal, source=source)))
    assert sum(t.proposal.source is Source.SAMPLER for t in trials) == 10
    for seed in range(3):
        study = replace(view(TRAINING, seed=seed), trials=tuple(trials), number=23)
        assert BayesSampler().suggest(study).params["activation"] == "swish"


@pytest.mark.nightly
def test_names_that_lie_about_every_parameter_cost_little() -> None:
    """The default is good and the optimum on its other side than what the names say."""

    def loss(params: Params) -> float:
        unit = np.array(SearchSpace(TRAINING).to_unit(params))
        start = np.array(SearchSpace(TRAINING).to_unit(DEFAULT))
        return float(((unit - np.clip(start + 0.15, 0.0, 1.0)) ** 2).sum())

    plain = {f"p{i}": parameter for i, parameter in enumerate(TRAINING.values())}

    def of_plain(params: Params) -> float:
        return loss(dict(zip(TRAINING, params.values(), strict=True)))

    lied = statistics.mean(best(run(BayesSampler(), TRAINING, loss, 30, seed=seed)) for seed in range(6))
    silent = statistics.mean(best(run(BayesSampler(), plain, of_plain, 30, seed=seed)) for seed in range(6))
    assert lied < silent + 0.05 * loss(DEFAULT)


def some_study() -> StudyView:
    return view(TRAINING, [(near_default(i), 1.0 + 0.1 * ((i * 7) % 5)) for i in range(7)])


def test_the_score_of_a_candidate_does_not_change_with_the_turn() -> None:
    study = some_study()
    candidates = [{**DEFAULT, "lr": rate} for rate in (1e-3, 1e-2, 0.1)]
    scores = [BayesSampler().score(replace(study, number=study.number + turn), candidates) for turn in range(6)]
    assert all(each == scores[0] for each in scores)


def test_the_score_of_a_candidate_changes_with_the_data() -> None:
    study, candidates = some_study(), [{**DEFAULT, "lr": 1e-3}]
    more = replace(study, trials=(*study.trials, trial(7, {**DEFAULT, "lr": 2e-3}, 0.2)), number=study.number + 1)
    assert BayesSampler().score(study, candidates) != BayesSampler().score(more, candidates)


def predicted_study(errors: list[float], *, std: float = 0.01) -> StudyView:
    """Values 1 to 2 without a prediction, then trials that missed their prediction by the given amounts."""
    study = view(TRAINING, [({**DEFAULT, "made_up": i / 40}, 1.0 + (i % 5) / 4) for i in range(5 + len(errors))])
    trials = list(study.trials)
    for index, error in enumerate(errors, 5):
        value = trials[index].values["loss"]
        proposal = Proposal(
            params=trials[index].params,
            source=Source.SAMPLER,
            seed=0,
            prediction=Prediction(mean=value - error, std=std),
        )
        trials[index] = replace(trials[index], proposal=proposal)
    return replace(study, trials=tuple(trials))


@pytest.mark.parametrize("size", [0.001, 0.05, 0.3])
def test_the_usual_miss_follows_what_predictions_missed_by(size: float) -> None:
    study = predicted_study([size, -size] * 12)
    assert recent_misses(study.trials, study.objectives[0]).rms == pytest.approx(size, rel=0.5, abs=0.1)


def test_one_large_miss_does_not_set_what_is_typical() -> None:
    study = predicted_study([0.02, -0.02] * 8 + [5.0] + [0.02, -0.02] * 3)
    misses = recent_misses(study.trials, study.objectives[0])
    assert misses.rms > 0.5
    assert misses.typical < 0.05
    suggestion = BayesSampler().suggest(study)
    shown = float(suggestion.rationale.split("±")[1].split(",")[0])
    assert suggestion.prediction is not None
    assert shown < 0.5 * suggestion.prediction.std


def test_a_model_that_missed_is_less_sure_of_its_next_prediction() -> None:
    right, wrong = (BayesSampler().suggest(predicted_study([size] * 8)).prediction for size in (0.001, 0.5))
    assert right is not None
    assert wrong is not None
    assert wrong.std > 1.5 * right.std


def test_misses_are_the_same_for_a_mirrored_metric() -> None:
    study = predicted_study([0.2] * 6)
    mirrored = [
        replace(
            t,
            proposal=replace(t.proposal, prediction=p and replace(p, mean=-p.mean)),
            outcome=t.outcome and replace(t.outcome, values={"loss": -t.values["loss"]}),
        )
        for t in study.trials
        for p in [t.proposal.prediction]
    ]
    up = view(TRAINING, maximize=True).objectives[0]
    found, there = recent_misses(study.trials, study.objectives[0]), recent_misses(mirrored, up)
    assert (there.rms, there.typical) == pytest.approx((found.rms, found.typical))
