"""The arbiter: what it refuses and why, whose order counts, what replaces a refused one, and how turns are earned."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from fakes.llm.answers import ScriptedModel
from fakes.views import trial

import tunesmith as ts
from tunesmith.agent.llm.candidate_pool import CandidatePool
from tunesmith.agent.llm.planner import LLMPlanner
from tunesmith.agent.llm.prompt_context import make_prompt_context
from tunesmith.agent.planner.arbiter import Arbiter, LLMRules
from tunesmith.agent.planner.judging.llm_calibration import track_record
from tunesmith.agent.planner.judging.source_credit import source_credits
from tunesmith.agent.planner.order.turns import next_turn
from tunesmith.agent.sampler.base import Suggestion
from tunesmith.agent.sampler.bayes import BayesSampler, CandidateScore
from tunesmith.prompts.message import Message
from tunesmith.prompts.planner_prompts import StudyBrief
from tunesmith.study.config.changes import Steering
from tunesmith.study.space.condition import Value
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import FailureKind, Prediction, Source, Trial
from tunesmith.study.trials.view import Objective, StudyView

SPACE = SearchSpace({"x": ts.Float(0.0, 1.0), "y": ts.Float(0.0, 1.0)})
LOSS = Objective("loss")


def own(number: int, x: float, value: float | FailureKind, source: Source, **kept: Any) -> Trial:
    made = trial(number, {"x": x, "y": 0.5}, value)
    return replace(made, proposal=replace(made.proposal, source=source, **kept))


def view_of(trials: Sequence[Trial]) -> StudyView:
    return StudyView(space=SPACE, objectives=(LOSS,), trials=tuple(trials), number=len(trials), seed=1)


NINE = view_of([own(n, 0.05 * n + 0.01, 1.0 + 0.1 * n, Source.SAMPLER) for n in range(9)])


class FixedScorer:
    """Judges by x only: `p_feasible` and `gap` are functions of it."""

    def __init__(self, p_feasible: Callable[[float], float], gap: Callable[[float], float] = lambda x: 0.0) -> None:
        self._p, self._gap = p_feasible, gap

    def score(self, view: StudyView, configurations: Sequence[Mapping[str, Value]]) -> list[CandidateScore]:
        xs = [float(params["x"]) for params in configurations]  # type: ignore[arg-type]
        return [CandidateScore(self._gap(x), self._p(x), Prediction(mean=x, std=0.1)) for x in xs]


class FixedSampler:
    def __init__(self, x: float) -> None:
        self._x = x

    def suggest(self, view: StudyView) -> Suggestion:
        return Suggestion(params={"x": self._x, "y": 0.123}, rationale="the sampler's")


def answer(*xs: float, **more: Any) -> str:
    return json.dumps({"candidates": [{"params": {"x": x, "y": 0.9}, "rationale": "w", **more} for x in xs]})


def arbiter(
    says: Callable[[int, Sequence[Message]], str],
    scorer: FixedScorer,
    *,
    sampler_x: float = 0.99,
    objection: Callable[[Mapping[str, Value]], str] = lambda params: "",
) -> tuple[Arbiter, ScriptedModel]:
    model = ScriptedModel(says)
    planner = LLMPlanner(model, StudyBrief(name="s", space=SPACE, objectives=(LOSS,)), objection=objection)

    def context(view: StudyView, fates: Any) -> Any:
        return replace(make_prompt_context(view, BayesSampler()), fates=fates)

    pool = CandidatePool(planner, context=context)
    made = Arbiter(FixedSampler(sampler_x), candidate_pool=pool, rules=LLMRules(fraction=1.0), scorer=scorer)
    return made, model


def test_a_small_expected_gain_refuses_nothing() -> None:
    chooses, _ = arbiter(lambda n, m: answer(0.7), FixedScorer(lambda x: 0.9, gap=lambda x: 500.0))
    chosen = chooses.choose(NINE)
    assert (chosen.source, chosen.params["x"]) == (Source.LLM, 0.7)
    assert chosen.judged == Prediction(mean=0.7, std=0.1)


def test_what_would_fail_is_told_with_the_reason_before_anything_stands_in() -> None:
    def says(n: int, messages: Sequence[Message]) -> str:
        return answer(0.7, 0.8) if n == 0 else answer(0.2)

    chooses, model = arbiter(says, FixedScorer(lambda x: 0.1 if x > 0.5 else 0.9))
    chosen = chooses.choose(NINE)
    assert (chosen.source, chosen.params["x"]) == (Source.LLM, 0.2)
    second = model.asked[1][-1].text
    assert "x=0.7 y=0.9: it would probably fail or break a limit (10% chance of success)" in second
    assert "x=0.8" in second


def test_the_sampler_stands_in_only_after_the_second_try_and_only_if_it_is_more_likely_to_succeed() -> None:
    scorer = FixedScorer(lambda x: 0.1 if x > 0.5 else 0.9)
    chooses, model = arbiter(lambda n, m: answer(0.7 + 0.01 * n), scorer, sampler_x=0.3)
    chosen = chooses.choose(NINE)
    assert (chosen.source, chosen.params["x"]) == (Source.FALLBACK, 0.3)
    assert chosen.fallback_reason.startswith("rejected: it would probably fail")
    assert len(model.asked) == 2
    chooses, _ = arbiter(lambda n, m: answer(0.7 + 0.01 * n), scorer, sampler_x=0.97)
    kept = chooses.choose(NINE)
    assert (kept.source, kept.params["x"]) == (Source.LLM, 0.71)
    assert any("the sampler's own point is not more likely to succeed" in line for line in kept.considered)


def test_what_the_model_gives_again_after_a_refusal_runs_unless_many_of_its_trials_failed() -> None:
    scorer = FixedScorer(lambda x: 0.1 if x > 0.5 else 0.9)
    chooses, _ = arbiter(lambda n, m: answer(0.7), scorer, sampler_x=0.3)
    assert chooses.choose(NINE).params["x"] == 0.7
    failing = [own(9 + n, 0.9 - 0.01 * n, FailureKind.OOM, Source.LLM) for n in range(3)]
    chooses, _ = arbiter(lambda n, m: answer(0.7), scorer, sampler_x=0.3)
    assert chooses.choose(view_of([*NINE.trials, *failing])).source is Source.FALLBACK


def test_a_veto_is_told_as_the_reason() -> None:
    steering = Steering({}, ("x > 0.6",))
    says = lambda n, m: answer(0.7) if n == 0 else answer(0.2)  # noqa: E731
    chooses, model = arbiter(says, FixedScorer(lambda x: 0.9), objection=steering.objection)
    assert chooses.choose(NINE).params["x"] == 0.2
    assert "no trial may have x > 0.6" in model.asked[1][-1].text


def predicted_trials(own_order: Sequence[float], judge_order: Sequence[float]) -> list[Trial]:
    return [
        own(
            9 + n,
            0.5 + 0.01 * n,
            0.1 * n,
            Source.LLM,
            prediction=Prediction(mean=mine, std=0.0),
            judged=Prediction(mean=judge, std=0.1),
        )
        for n, (mine, judge) in enumerate(zip(own_order, judge_order, strict=True))
    ]


@pytest.mark.parametrize(
    ("own_order", "judge_order", "gap", "first"),
    [
        (range(8), range(8, 0, -1), 20.0, 0.9),  # the model was right, the judge wrong: the model's first
        (range(8, 0, -1), range(8), 20.0, 0.6),  # the other way round: the judge's first
        (range(8), range(8), 1.0, 0.9),  # both right, and the judge sees little difference: the model's order decides
        (range(8), range(8), 20.0, 0.6),  # both right, and the judge sees much
    ],
)
def test_the_order_of_the_side_that_proved_right_counts(
    own_order: Sequence[float], judge_order: Sequence[float], gap: float, first: float
) -> None:
    known = view_of([*NINE.trials, *predicted_trials(own_order, judge_order)])
    chooses, _ = arbiter(lambda n, m: answer(0.9, 0.8, 0.6), FixedScorer(lambda x: 0.9, gap=lambda x: gap * x))
    assert chooses.choose(known).params["x"] == first


def test_a_model_learns_why_its_first_candidate_was_passed_over() -> None:
    known = view_of([*NINE.trials, *predicted_trials(range(8, 0, -1), range(8))])
    chooses, model = arbiter(lambda n, m: answer(0.9, 0.8, 0.6), FixedScorer(lambda x: 0.9, gap=lambda x: 20.0 * x))
    chosen = chooses.choose(known)
    assert chosen.params["x"] == 0.6
    ran = replace(own(17, 0.6, -1.0, Source.LLM), proposal=chosen)
    chooses.choose(view_of([*known.trials, ran]))
    reason = "it ran before 2 that you put higher: the sampler saw more to gain (0.6000 expected, 0.9000 of your first)"
    assert f"- #17: measured -1.000; {reason}" in model.asked[-1][-1].text


def test_a_repeat_keeps_the_place_that_the_model_gives_it() -> None:
    confirm = {"kind": "confirm", "base": "#0", "rationale": "lucky?"}
    says = lambda n, m: json.dumps({"candidates": [confirm, {"params": {"x": 0.6, "y": 0.9}}]})  # noqa: E731
    chooses, _ = arbiter(says, FixedScorer(lambda x: 0.9, gap=lambda x: 400.0 * (x - 0.6) ** 2))
    assert chooses.choose(NINE).replicate_of == 0


@pytest.mark.parametrize(("trials", "first"), [(4, 0.9), (9, 0.6)])
def test_a_judge_that_has_seen_few_trials_moves_a_candidate_by_no_more_than_a_place(trials: int, first: float) -> None:
    chooses, _ = arbiter(lambda n, m: answer(0.9, 0.8, 0.6), FixedScorer(lambda x: 0.9, gap=lambda x: 100.0 * x))
    known = replace(view_of(NINE.trials[:trials]), number=trials)
    assert chooses.choose(known).params["x"] == first


def test_the_track_record_says_how_well_predictions_rank_and_how_far_off_they_are() -> None:
    found = track_record(predicted_trials([0.1 * n + 0.05 for n in range(8)], list(range(8, 0, -1))), LOSS)
    assert found.correlation > 0.7
    assert found.judge_correlation < 0.0
    assert found.weight == 0.9
    assert found.error == pytest.approx(0.05)
    assert "Of your 8 predictions" in found.text
    assert "too high" in found.text
    assert "the sampler's for the 8 trials that it judged: -1.00" in found.text
    unjudged = [replace(t, proposal=replace(t.proposal, judged=None)) for t in predicted_trials(range(8), range(8))]
    assert "sampler" not in track_record(unjudged, LOSS).text, "it predicted nothing"
    assert track_record([], LOSS).text == ""
    assert track_record([], LOSS).weight == pytest.approx(0.5 / 0.8), "a judge that has shown nothing counts less"


def test_a_sampler_that_brings_nothing_falls_to_a_twentieth_as_a_model_does() -> None:
    def share(values: Mapping[Source, Callable[[int], float]]) -> float:
        pairs = [(source, value(n)) for n in range(20) for source, value in values.items()]
        return source_credits([own(i, 0.01 * i, v, s) for i, (s, v) in enumerate(pairs)], (LOSS,)).llm_fraction

    assert share({Source.LLM: lambda n: 1.0 - 0.01 * n, Source.SAMPLER: lambda n: 5.0 + n}) == pytest.approx(0.95)
    assert share({Source.SAMPLER: lambda n: 1.0 - 0.01 * n, Source.LLM: lambda n: 5.0 + n}) == pytest.approx(0.05)


def test_a_model_that_leads_gets_the_first_trials_and_one_that_failed_three_times_none_of_them_by_right() -> None:
    views = [view_of(NINE.trials[:n]) for n in range(1, 8)]
    assert all(next_turn(view, 0.8).is_llm for view in views)
    assert [next_turn(view, 0.4).is_llm for view in views] == [True, False] * 3 + [True]
    assert [next_turn(view, 0.0).is_llm for view in views] == [True, False] * 3 + [True], "two trials say little"
    failed = [own(n, 0.01 * n, 9.0, Source.LLM) for n in range(3)]
    judged = [view_of([*failed, *NINE.trials[3:n]]) for n in range(3, 8)]
    assert not any(next_turn(view, 0.0).is_llm for view in judged)


def test_a_repeat_runs_on_another_seed_and_no_more_often_than_noise_needs() -> None:
    says = lambda n, m: json.dumps({"candidates": [{"kind": "confirm", "base": "#0", "rationale": "lucky?"}]})  # noqa: E731
    chooses, _ = arbiter(says, FixedScorer(lambda x: 0.9))
    chosen = chooses.choose(NINE)
    assert (chosen.source, chosen.replicate_of) == (Source.CONFIRM, 0)
    assert chosen.params == NINE.trials[0].params
    assert chosen.seed != NINE.trials[0].proposal.seed
    repeats = [
        replace(own(9 + n, 0.01, 1.0, Source.CONFIRM), proposal=replace(chosen, seed=chosen.seed + n)) for n in range(3)
    ]
    chooses, model = arbiter(says, FixedScorer(lambda x: 0.9))
    assert chooses.choose(view_of([*NINE.trials, *repeats])).source is Source.FALLBACK
    assert model.asked


def test_free_parameters_take_the_values_that_the_judge_prefers() -> None:
    free = [{"name": "x", "low": 0.6, "high": 0.8}]
    given = {"kind": "explore", "base": "#3", "changes": [{"name": "y", "value": 0.25}], "free": free, "runs": 1}
    says = lambda n, m: json.dumps({"candidates": [given]})  # noqa: E731
    chooses, _ = arbiter(says, FixedScorer(lambda x: 0.9, gap=lambda x: abs(x - 0.75)))
    chosen = chooses.choose(NINE)
    assert (chosen.source, chosen.params["y"]) == (Source.LLM, 0.25)
    assert chosen.params["x"] == pytest.approx(0.75, abs=0.02)
    assert "x left to the sampler" in chosen.rationale


def test_a_region_holds_the_samplers_turns_for_the_trials_that_it_lasts() -> None:
    region = {
        "kind": "region",
        "base": "#3",
        "changes": [{"name": "y", "value": 0.25}],
        "free": [{"name": "x", "low": 0.6, "high": 0.8}],
        "runs": 2,
        "rationale": "the valley",
    }
    says = lambda n, m: json.dumps({"candidates": [region, {"params": {"x": 0.05, "y": 0.1}}]})  # noqa: E731
    model = ScriptedModel(says)
    planner = LLMPlanner(model, StudyBrief(name="s", space=SPACE, objectives=(LOSS,)))
    pool = CandidatePool(
        planner, context=lambda v, f: replace(make_prompt_context(v, BayesSampler()), fates=f), rethinks="always"
    )
    chooses = Arbiter(
        FixedSampler(0.99), candidate_pool=pool, rules=LLMRules(fraction=0.0), scorer=FixedScorer(lambda x: 0.9)
    )
    trials, found = list(NINE.trials), []
    pool.prepare(NINE)
    for number in range(9, 12):
        proposal = chooses.choose(view_of(trials))
        found.append((proposal.source, 0.6 <= float(proposal.params["x"]) <= 0.8))  # type: ignore[arg-type]
        made = trial(number, proposal.params, 1.0)
        trials.append(replace(made, proposal=replace(proposal, seed=number)))
    assert found == [(Source.SAMPLER, True), (Source.SAMPLER, True), (Source.SAMPLER, False)]
    assert len(model.asked) == 1, "nothing is asked for a trial that the sampler proposes"
    pool.prepare(view_of(trials))
    assert "region #3 with y=0.25 and x 0.6 to 0.8 left open: all its trials ran" in model.asked[-1][-1].text
