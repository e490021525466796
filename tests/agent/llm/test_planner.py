"""The LLM in a study, through `Tuner` and a scripted model: share of trials, validation, budget, lessons."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from fakes.llm.answers import ScriptedModel, candidates_text, drawn_points
from fakes.views import trial, view

import tunesmith as ts
from tunesmith.agent.llm.answer_format import planner_format
from tunesmith.agent.llm.candidate_pool import CandidatePool
from tunesmith.agent.llm.candidates import validate_candidates
from tunesmith.agent.llm.client.failures.errors import AnswerUnusable, Down, ModelDown, Unusable
from tunesmith.agent.llm.client.messages import to_langchain_messages
from tunesmith.agent.llm.client.types import CallRecord
from tunesmith.agent.llm.planner import BatchFailure, LLMPlanner
from tunesmith.agent.llm.prompt_context import make_prompt_context
from tunesmith.agent.planner.arbiter import LLMRules
from tunesmith.agent.planner.judging.source_credit import MAX_LLM_FRACTION, MIN_LLM_FRACTION, source_credits
from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.prompts.message import Message
from tunesmith.prompts.planner_prompts import StudyBrief
from tunesmith.study.config.budget import Budget
from tunesmith.study.errors import SpaceExhausted, SpecError
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import Proposal, Source, Trial
from tunesmith.study.trials.view import Objective, StudyView

NAMES = [f"x{i}" for i in range(4)]
SPACE = {name: ts.Float(0.0, 1.0) for name in NAMES}
BEST = (0.2, 0.7, 0.4, 0.9)


def loss(params: Mapping[str, Any]) -> float:
    """Return 0 at BEST; local minima hide it from a few points."""
    away = [float(params[name]) - b for name, b in zip(NAMES, BEST, strict=True)]
    return 1.0 - math.exp(-3.0 * sum(a * a for a in away)) + 0.1 * sum(1.0 - math.cos(12.0 * a) for a in away)


def random_points(n: int, messages: Sequence[Message]) -> str:  # noqa: ARG001
    return candidates_text(drawn_points(NAMES, n), "by the scaling laws this must be the optimum")


def worst_corner(n: int, messages: Sequence[Message]) -> str:  # noqa: ARG001
    return candidates_text([{name: 1.0 - 0.002 * ((n + i) % 7) for name in NAMES} for i in range(4)])


def same_point(n: int, messages: Sequence[Message]) -> str:  # noqa: ARG001
    return candidates_text([dict.fromkeys(NAMES, 0.5)] * 3)


def oracle(n: int, messages: Sequence[Message]) -> str:  # noqa: ARG001
    rng = np.random.default_rng(n)
    points = []
    for _ in range(4):
        near = rng.random() < 1 / 3
        values = [float(np.clip(b + rng.normal() * 0.03, 0, 1)) if near else float(rng.random()) for b in BEST]
        points.append({name: round(v, 4) for name, v in zip(NAMES, values, strict=True)})
    return candidates_text(points)


def curve(
    says: Callable[[int, Sequence[Message]], str] | None, trials: int, seed: int
) -> tuple[list[float], list[str]]:
    """Return the best value after each trial, and who proposed. Each seed has answers of its own."""
    values, sources = [], []
    model = ScriptedModel(lambda n, messages: says(n + 100 * seed, messages)) if says else None
    with ts.Tuner(SPACE, model=model, seed=seed) as tuner:
        for _ in range(trials):
            asked = tuner.ask()
            tuner.tell(asked, loss(asked.params))
            values.append(min([loss(asked.params), *values[-1:]]))
            sources.append(asked.source)
    return values, sources


@cache
def mean_best(says: Callable[[int, Sequence[Message]], str] | None, trials: int, seeds: int = 5) -> float:
    return statistics.mean(curve(says, trials, seed)[0][-1] for seed in range(seeds))


def test_a_good_model_leads_the_first_trials_and_halves_the_regret() -> None:
    assert mean_best(oracle, 10, 8) < 0.5 * mean_best(None, 10, 8)
    _, sources = curve(oracle, 20, 1)
    assert sources[:10].count("llm") >= 4


@pytest.mark.parametrize(
    "hostile",
    [random_points, *(pytest.param(way, marks=pytest.mark.nightly) for way in (worst_corner, same_point))],
)
def test_a_hostile_model_costs_little_and_is_nearly_silent_after_a_handful(hostile: Any) -> None:
    typical = statistics.median(loss(p) for p in drawn_points(NAMES, 1, count=300))
    curves = [curve(hostile, 40, seed) for seed in range(5)]
    # The median: one run in eight ends in the second valley, whether a model takes part or not.
    assert statistics.median(values[-1] for values, _ in curves) < mean_best(None, 40) + 0.06 * typical
    assert statistics.mean(sources[10:30].count("llm") for _, sources in curves) <= 4


def worth(pairs: Sequence[tuple[Source, float | None]]) -> list[Trial]:
    """Return trials with these sources and values; None failed."""
    from dataclasses import replace

    from tunesmith.study.trials.trial import FailureKind

    made = []
    for number, (source, value) in enumerate(pairs):
        one = trial(number, {"x": number / 100}, FailureKind.OOM if value is None else value)
        made.append(replace(one, proposal=replace(one.proposal, source=source)))
    return made


def share(pairs: Sequence[tuple[Source, float | None]]) -> float:
    return source_credits(worth(pairs), (Objective("loss"),)).llm_fraction


def test_the_share_moves_fast_in_both_directions_and_stays_within_bounds() -> None:
    assert share([]) == 0.5
    good = [(Source.SAMPLER, 1.0), (Source.LLM, 0.5), (Source.SAMPLER, 0.9), (Source.LLM, 0.3), (Source.SAMPLER, 0.8)]
    bad = [(Source.SAMPLER, 1.0), (Source.LLM, 2.0), (Source.SAMPLER, 0.9), (Source.LLM, None), (Source.SAMPLER, 0.8)]
    assert share(good) > 0.65
    assert share(bad) < 0.12
    assert MIN_LLM_FRACTION <= share(bad * 10) <= share(good * 10) <= MAX_LLM_FRACTION


def test_validation_names_exact_and_near_duplicates_and_wrong_values() -> None:
    space = SearchSpace({"lr": ts.Float(1e-4, 1.0, log=True), "opt": ts.Choice(["adam", "sgd"])})
    known = view(space, [({"lr": 0.01, "opt": "adam"}, 0.5)])
    raw = [
        {"params": {"lr": 0.01, "opt": "adam"}},
        {"params": {"lr": 0.01003, "opt": "adam"}},
        {"params": {"lr": 0.01003, "opt": "sgd"}, "rationale": "w " * 900, "predicted": True},
        {"params": {"lr": 5.0, "opt": "adamw"}},
        {"lr": 0.3, "opt": "sgd", "predicted": 0.2},
        {"params": {"lr": 0.3, "opt": "sgd"}},
        {"params": "lr = 3"},
    ]
    found = validate_candidates(raw, known)
    assert [c.params["lr"] for c in found.valid] == [0.01003, 0.3]
    assert found.valid[0].predicted is None
    assert found.valid[1].predicted == 0.2
    assert len(found.valid[0].rationale) <= 600
    assert "trial #0 again" in found.problems[0]
    assert "nearly repeats a configuration" in found.problems[1]
    assert "did you mean" in found.problems[2] or "adamw" in found.problems[2]
    assert "an earlier candidate" in found.problems[3]


def test_the_schema_names_every_parameter_and_is_closed() -> None:
    space = SearchSpace({"n": ts.Int(1, 8), "m": ts.Float(0, 1, when="n > 3"), "b": ts.Bool()})
    item = planner_format(space).schema["properties"]["candidates"]["items"]
    assert item["required"] == list(item["properties"])
    assert item["additionalProperties"] is False
    changes = {c["properties"]["name"]["enum"][0]: c for c in item["properties"]["changes"]["items"]["anyOf"]}
    assert list(changes) == ["n", "m", "b"]
    assert {"type": "null"} in changes["m"]["properties"]["value"]["anyOf"]
    with pytest.raises(ValueError, match="give a list"):
        planner_format(space).read({"points": []})


def test_a_form_that_a_prompt_describes_does_not_repeat_the_search_space() -> None:
    made = planner_format(SearchSpace({"width_of_layers": ts.Int(1, 777)}))
    described = to_langchain_messages([Message("user", "Give candidates.")], made, "plain")[-1].content
    assert "width_of_layers" in json.dumps(made.schema)
    assert '"rationale"' in described
    assert "width_of_layers" not in described
    assert "777" not in described


def planner(says: Callable[[int, Sequence[Message]], str]) -> tuple[LLMPlanner, ScriptedModel]:
    model = ScriptedModel(says)
    return LLMPlanner(model, StudyBrief(name="s", space=SearchSpace(SPACE), objectives=(Objective("loss"),))), model


def test_duplicates_are_named_to_the_model_up_to_two_times() -> None:
    asking, model = planner(same_point)
    tried = view(SPACE, [(dict.fromkeys(NAMES, 0.5), 1.0)])
    batch = asking.candidates(make_prompt_context(tried, BayesSampler()))
    assert batch.failure is BatchFailure.NOTHING_NEW
    assert len(model.asked) == len(batch.calls) == 3
    assert "is trial #0 again" in model.asked[1][-1].text
    assert model.asked[1][-2].role == "assistant"


def test_an_unusable_answer_is_asked_for_again() -> None:
    def clumsy(n: int, messages: Sequence[Message]) -> str:
        if n == 0:
            raise AnswerUnusable(Unusable.WRONG_SHAPE, "candidates: give a list", "{}", CallRecord(model="m"))
        return random_points(n, messages)

    asking, model = planner(clumsy)
    batch = asking.candidates(make_prompt_context(view(SPACE), BayesSampler()))
    assert batch.candidates
    assert [bool(call.error) for call in batch.calls] == [True, False]
    assert "candidates: give a list" in model.asked[1][-1].text


def test_questions_about_an_edited_version_show_its_own_code_and_parameters() -> None:
    asking, model = planner(random_points)
    edited = replace(view(SPACE), script="loss = swish(x)", space=SearchSpace({**SPACE, "beta": ts.Float(0, 1)}))
    asking.candidates(make_prompt_context(edited, BayesSampler()))
    shown = "\n".join(message.text for message in model.asked[0])
    assert "| loss = swish(x)" in shown
    assert "beta" in shown
    asking.candidates(make_prompt_context(view(SPACE), BayesSampler()))
    assert "swish" not in "\n".join(message.text for message in model.asked[-1])


def candidate_pool(
    says: Callable[[int, Sequence[Message]], str], **options: Any
) -> tuple[CandidatePool, ScriptedModel]:
    asking, model = planner(says)
    return CandidatePool(asking, context=lambda v, fates: make_prompt_context(v, BayesSampler()), **options), model


def numbered(number: int) -> StudyView:
    return view(SPACE, [({name: 0.013 * i + 0.002 for name in NAMES}, float(i)) for i in range(number)])


def test_a_model_that_is_down_is_paused_and_noted_once() -> None:
    def down(n: int, messages: Sequence[Message]) -> str:  # noqa: ARG001
        if n < 3:
            raise ModelDown(Down.SERVER, "the model m gave no answer", call=CallRecord(model="m"))
        return random_points(n, messages)

    pool, model = candidate_pool(down)
    offers = [pool.offer(numbered(n)) for n in range(1, 14)]
    assert [bool(o.candidates) for o in offers].count(True) >= 4
    assert all(o.reason for o in offers if not o.candidates)
    notes = pool.drain_notes()
    assert sum("only the sampler proposes now" in note for note in notes) == 1
    assert sum("answers again" in note for note in notes) == 1
    assert len(model.asked) < 10


def test_a_refused_key_stops_all_questions() -> None:
    def refused(n: int, messages: Sequence[Message]) -> str:  # noqa: ARG001
        raise ModelDown(Down.AUTH, "the key was refused", call=CallRecord(model="m"))

    pool, model = candidate_pool(refused)
    assert [pool.offer(numbered(n)).reason for n in range(1, 12)] == ["the key was refused"] * 11
    assert len(model.asked) == 1


def test_budget_limits_are_noted_at_80_percent_and_enforced() -> None:
    pool, model = candidate_pool(random_points, budget=Budget(llm_tokens=5500))
    for n in range(1, 40):
        offer = pool.offer(numbered(n))
        for candidate in offer.candidates:
            pool.mark_used(candidate)
    assert len(model.asked) == 5
    notes = pool.drain_notes()
    assert [("80%" in n, "spent" in n) for n in notes if "budget" in n] == [(True, False), (False, True)]
    assert pool.spent.llm_tokens == 5500
    nothing, unasked = candidate_pool(random_points, budget=Budget(llm_usd=0.0))
    assert nothing.offer(numbered(1)).reason == "the LLM's budget is spent"
    assert not unasked.asked


def test_lessons_are_kept_only_with_trials_that_exist(tmp_path: Any) -> None:
    def teaching(n: int, messages: Sequence[Message]) -> str:
        if "what these trials teach" in messages[-1].text:
            return json.dumps(
                {"insights": [{"text": "x0 is best near 0.2", "trials": [1, 99]}, {"text": "no", "trials": [77]}]}
            )
        return random_points(n, messages)

    model = ScriptedModel(teaching)
    with ts.Tuner(SPACE, model=model, history=tmp_path / "h.db", rules=LLMRules(fraction=1.0, scored=False)) as tuner:
        for _ in range(20):
            asked = tuner.ask()
            tuner.tell(asked, loss(asked.params))
    assert any("x0 is best near 0.2 (#1)" in m.text for asked in model.asked for m in asked)
    assert not any("(#77)" in m.text for asked in model.asked for m in asked)


def test_permuted_feedback_shows_the_same_values_on_other_trials() -> None:
    def shown(permuted: bool) -> str:
        model = ScriptedModel(random_points)
        with ts.Tuner(SPACE, model=model, permute_feedback=permuted) as tuner:
            for _ in range(12):
                asked = tuner.ask()
                tuner.tell(asked, loss(asked.params))
        return max((m[-1].text for m in model.asked), key=len)

    assert shown(False) != shown(True)


def test_a_planner_with_a_model_needs_one() -> None:
    with pytest.raises(SpecError, match="needs one, for example"):
        ts.Tuner(SPACE, planner="hybrid")


def test_planner_llm_proposes_every_trial_with_a_prediction() -> None:
    with ts.Tuner(SPACE, planner="llm", model=ScriptedModel(random_points)) as tuner:
        asked = [tuner.ask() for _ in range(3)]
        assert [a.source for a in asked] == ["llm"] * 3
        assert "it expects 0.1" in asked[0].rationale
        stored: Proposal = tuner.trials[0].proposal
        assert any("turn" in line for line in stored.considered)


def test_a_finite_space_is_exhausted_with_a_model() -> None:
    space = {"a": ts.Choice([1, 2, 3]), "b": ts.Bool()}

    def small(n: int, messages: Sequence[Message]) -> str:  # noqa: ARG001
        return candidates_text([{"a": 1 + n % 3, "b": bool(n % 2)}])

    seen = set()
    with ts.Tuner(space, model=ScriptedModel(small)) as tuner:
        for _ in range(6):
            asked = tuner.ask()
            seen.add(tuple(asked.params.items()))
            tuner.tell(asked, float(str(asked.params["a"])))
        assert len(seen) == 6
        with pytest.raises(SpaceExhausted):
            tuner.ask()


def test_a_bug_in_asking_does_not_end_a_study() -> None:
    def broken(n: int, messages: Sequence[Message]) -> str:  # noqa: ARG001
        raise RuntimeError("a bug of ours")

    with ts.Tuner(SPACE, model=ScriptedModel(broken)) as tuner:
        for _ in range(8):
            asked = tuner.ask()
            tuner.tell(asked, loss(asked.params))
        reasons = [t.proposal.fallback_reason for t in tuner.trials if t.proposal.source is Source.FALLBACK]
    assert reasons
    assert "asking the LLM failed: RuntimeError" in reasons[0]


@pytest.mark.parametrize("kind", [Down.CONTEXT_OVERFLOW, Down.TIMEOUT])
def test_a_prompt_that_is_too_long_for_a_model_is_made_shorter_and_never_sent_again(kind: Down) -> None:
    def small(n: int, messages: Sequence[Message]) -> str:
        if sum(len(m.text) for m in messages) > 7000:
            raise ModelDown(kind, "too much", call=CallRecord(model="m"))
        return random_points(n, messages)

    model = ScriptedModel(small)
    space, goal = SearchSpace(SPACE), (Objective("loss"),)
    asking = LLMPlanner(model, StudyBrief(name="s", space=space, objectives=goal, script="x = 1\n" * 3000))
    known = view(SPACE, [({name: 0.011 * i for name in NAMES}, float(i)) for i in range(60)])
    batches = [asking.candidates(make_prompt_context(known, BayesSampler())) for _ in range(5)]
    assert batches[-1].candidates
    texts = ["".join(m.text for m in asked) for asked in model.asked]
    failed = [text for text in texts if len(text) > 7000]
    assert len(failed) == len(set(failed)) >= 1
    if kind is Down.TIMEOUT:
        assert "Give 1 candidate," in texts[-1]
