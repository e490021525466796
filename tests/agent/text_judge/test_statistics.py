"""The numbers of a judge: kappa, strengths of pairs, scores read through labels, and its noise for the sampler."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fakes.studies import make_spec

from tunesmith.agent.sampler.training_data import build_training_data
from tunesmith.agent.text_judge.statistics.bradley_terry import Comparison, strengths
from tunesmith.agent.text_judge.statistics.corrected_score import fit_instrument
from tunesmith.agent.text_judge.statistics.kappa import agreement
from tunesmith.bench.experiments.judges.simulated import METHODS, studies
from tunesmith.study.config.load import SpecError
from tunesmith.study.trials.observed.judged import NOISE, STRENGTH
from tunesmith.study.trials.trial import Outcome, Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import StudyView
from tunesmith.study.trials.winner import winner


def test_kappa_is_that_of_the_textbook() -> None:
    """Cohen's example of two raters: 20 and 15 agree, 5 and 10 do not; kappa 0.4."""
    judge, people = [0] * 25 + [1] * 25, [0] * 20 + [1] * 5 + [0] * 10 + [1] * 15
    found = agreement(judge, people, levels=2, ordered=False)
    assert found.kappa == pytest.approx(0.4)
    assert found.low < 0.4 < found.high
    assert agreement([1] * 30, [1] * 30, levels=2, ordered=False).low == -1.0


def test_grades_that_are_off_by_one_agree_more_than_those_that_are_off_by_four() -> None:
    people = [0, 1, 2, 3, 4] * 6
    near = agreement([min(p + 1, 4) for p in people], people, levels=5, ordered=True)
    far = agreement([4 - p for p in people], people, levels=5, ordered=True)
    assert near.kappa > 0.7
    assert far.kappa < 0.0


def test_strengths_are_ordered_finite_and_surer_with_more_examples() -> None:
    few = strengths([Comparison(1, 0, 1.0)] * 5 + [Comparison(2, 0, 0.5)] * 5, 0)
    many = strengths([Comparison(1, 0, 1.0)] * 50 + [Comparison(2, 0, 0.5)] * 50, 0)
    assert few[1].value > few[2].value == pytest.approx(0.0, abs=1e-6)
    assert many[2].std < few[2].std
    assert math.isfinite(many[1].value)
    assert many[1].value - 2 * many[1].std > 0.7


def test_a_trial_that_beats_a_strong_one_is_stronger_without_meeting_the_reference() -> None:
    beats = [Comparison(1, 0, 1.0)] * 15 + [Comparison(1, 0, 0.0)] * 5
    found = strengths([*beats, *[Comparison(2, 1, 1.0)] * 15, *[Comparison(2, 1, 0.0)] * 5], 0)
    assert found[2].value > found[1].value > 0.5


def test_intervals_of_biased_judges_hold_and_wrong_choices_are_fewer() -> None:
    covered: list[bool] = []
    lost = {"the judge's own mean": 0.0, "[judge]": 0.0}
    for labelled, trials in studies(60, 60, 100, 1):
        truth = [float(texts.people.mean()) for texts in trials]
        for name in lost:
            found = [METHODS[name](texts, labelled) for texts in trials]
            lost[name] += max(truth) - truth[int(np.argmax([e.value for e in found]))]
            if name == "[judge]":
                covered += [e.low <= t <= e.high for e, t in zip(found, truth, strict=True)]
    assert np.mean(covered) > 0.9
    assert lost["[judge]"] < 0.6 * lost["the judge's own mean"]


def test_a_judge_that_does_not_follow_labels_has_an_endless_interval() -> None:
    rng = np.random.default_rng(0)
    instrument = fit_instrument(
        rng.integers(1, 6, 30).tolist(), rng.integers(50, 500, 30).tolist(), rng.integers(1, 6, 30).tolist()
    )
    assert not instrument.follows
    assert instrument.read([3.0] * 10, [100] * 10).high == math.inf


def test_the_judge_s_noise_is_the_least_that_the_sampler_assumes() -> None:
    spec = make_spec(
        study={"metric": STRENGTH, "direction": "maximize"},
        run={"command": "python train.py --lr {lr} --out {artifacts}"},
        judge={"model": "m", "prompt": "judge.md"},
    )
    trials = [
        Trial(
            number=n,
            proposal=Proposal(params={"lr": 0.01, "hidden": 8 + n, "optimizer": "adam"}, source=Source.SAMPLER, seed=n),
            state=TrialState.COMPLETE,
            outcome=Outcome(state=TrialState.COMPLETE, values={STRENGTH: 0.1 * n, **({NOISE: 0.5} if n else {})}),
        )
        for n in range(4)
    ]
    view = StudyView(space=spec.space, objectives=spec.objectives, trials=trials)
    assert build_training_data(view).judge_noise == pytest.approx(0.5)
    found = winner(trials, spec)
    assert found is not None
    assert found.scatter == pytest.approx(0.5)
    assert found.expected < found.value  # a lucky verdict is drawn to its neighbours


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"study": {"metric": "judge/strength"}}, "add [judge]"),
        ({"study": {"metric": "judge/strenght"}, "judge": {}}, "did you mean judge/strength"),
        ({"study": {"metric": "judge/strength"}, "judge": {}}, 'write direction = "maximize"'),
        ({"study": {"metric": "loss"}, "judge": {}}, "which no metric uses"),
        ({"study": {"metric": "judge/score", "direction": "maximize"}, "judge": {}}, "pairs = true, which makes"),
        (
            {"study": {"metric": "judge/strength", "direction": "maximize"}, "judge": {"scale": [5, 1]}},
            "the lowest and the highest score",
        ),
        ({"study": {"metric": "judge/strength", "direction": "maximize"}, "judge": {}}, "write {artifacts} in it"),
    ],
)
def test_wrong_studies_say_what_to_write(tables: dict[str, dict[str, object]], message: str) -> None:
    if "judge" in tables:
        tables = {**tables, "judge": {"model": "m", "prompt": "judge.md", **tables["judge"]}}
    with pytest.raises(SpecError, match=message.replace("[", r"\[").replace("{", r"\{").replace("}", r"\}")):
        make_spec(**tables)
