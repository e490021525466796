"""When a question pays: its seconds and dollars against a trial's, news, and how long a slot waits for an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest
from fakes.llm.answers import ScriptedModel, candidates_text
from fakes.views import trial

import tunesmith as ts
from tunesmith.agent.llm.candidate_pool import CandidatePool
from tunesmith.agent.llm.planner import LLMPlanner
from tunesmith.agent.llm.prompt_context import make_prompt_context
from tunesmith.agent.llm.questions.timing import QuestionCost, is_cheap, news, waiting_allowance_s
from tunesmith.agent.planner.arbiter import LLMRules
from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.prompts.message import Message
from tunesmith.prompts.planner_prompts import PromptContext, StudyBrief
from tunesmith.study.config.budget import Budget, Spent
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import FailureKind, Prediction, Source, Trial, TrialState, Usage
from tunesmith.study.trials.view import Objective, StudyView

SPACE = SearchSpace({"x": ts.Float(0.0, 1.0)})


def ran(number: int, value: float | FailureKind, *, seconds: float = 600.0, gpu_s: float = 600.0) -> Trial:
    made = trial(number, {"x": (number + 0.5) / 100}, value)
    assert made.outcome is not None
    usage = Usage(wall_s=seconds, gpu_s=gpu_s, cpu_s=seconds)
    return replace(made, outcome=replace(made.outcome, usage=usage), ended_at=float(number))


def study(trials: Sequence[Trial], runs_left: float = 10.0) -> StudyView:
    return StudyView(
        space=SPACE, objectives=(Objective("loss"),), trials=tuple(trials), number=len(trials), runs_left=runs_left
    )


FLAT = [ran(n, 1.0 + 0.1 * n) for n in range(4)]


@pytest.mark.parametrize(
    ("seconds", "usd", "budget", "trial_s", "expected"),
    [
        (20.0, 0.01, Budget(), 600.0, True),
        (20.0, None, Budget(), 600.0, True),  # a local server
        (400.0, 0.01, Budget(), 600.0, False),  # slower than half a trial
        (5.0, 0.01, Budget(), 8.0, False),
        (20.0, 0.2, Budget(), 600.0, False),  # dearer than a fifth of ten minutes on a GPU
        (20.0, 0.01, Budget(llm_usd=0.5), 600.0, True),
        (20.0, 0.01, Budget(llm_usd=0.05), 600.0, False),  # the money does not last
        (20.0, 0.01, Budget(llm_calls=9), 600.0, False),
        (20.0, 0.01, Budget(llm_tokens=100_000), 600.0, True),
    ],
)
def test_a_question_is_cheap_by_seconds_by_dollars_and_by_what_is_left(
    seconds: float, usd: float | None, budget: Budget, trial_s: float, expected: bool
) -> None:
    trials = [ran(n, 1.0, seconds=trial_s, gpu_s=trial_s) for n in range(3)]
    asked = [QuestionCost(seconds=seconds, usd=usd, tokens=3000)]
    assert is_cheap(study(trials), asked, budget, Spent()) is expected


def test_nothing_is_cheap_before_a_trial_and_an_answer_are_known() -> None:
    cost = QuestionCost(seconds=1.0, usd=0.0, tokens=10)
    assert not is_cheap(study([]), [cost], Budget(), Spent())
    assert not is_cheap(study(FLAT), [], Budget(), Spent())


def test_a_new_best_a_failure_and_a_value_far_from_its_prediction_are_news() -> None:
    expected = ran(4, 1.5)
    far = replace(expected, proposal=replace(expected.proposal, prediction=Prediction(mean=1.1, std=0.1)))
    assert news(study([*FLAT, ran(4, 0.5)]), since=4)
    assert news(study([*FLAT, ran(4, FailureKind.OOM)]), since=4)
    assert news(study([*FLAT, far]), since=4)
    assert not news(study([*FLAT, expected]), since=4)
    assert not news(study([*FLAT, ran(4, 0.5)]), since=5)


def test_slots_wait_no_more_than_a_part_of_the_training_time() -> None:
    assert waiting_allowance_s([]) <= 1.0
    assert waiting_allowance_s(FLAT) <= 1.0 + 0.02 * 4 * 600.0


class HeldRunner:
    """Starts nothing until `release`: an answer that is on its way."""

    def __init__(self) -> None:
        self.held: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.held.append((future, lambda: function(*args, **kwargs)))
        return future

    def release(self) -> None:
        held, self.held = self.held, []
        for future, call in held:
            future.set_result(call())


def pool(**options: Any) -> tuple[CandidatePool, ScriptedModel]:
    def says(n: int, messages: Sequence[Message]) -> str:  # noqa: ARG001
        return candidates_text([{"x": round(0.51 + 0.011 * n + 0.1 * i, 4)} for i in range(4)])

    model = ScriptedModel(says)
    planner = LLMPlanner(model, StudyBrief(name="s", space=SPACE, objectives=(Objective("loss"),)))

    def context(view: StudyView, fates: Any) -> PromptContext:
        return replace(make_prompt_context(view, BayesSampler()), fates=fates)

    return CandidatePool(planner, context=context, **options), model


def test_waiting_candidates_are_thought_over_after_every_result_while_a_question_is_cheap() -> None:
    asks, model = pool()
    for count in range(4, 9):
        asks.offer(study([ran(n, 1.0 + 0.1 * n) for n in range(count)]))
    assert len(model.asked) == 5
    assert "not run yet: " in model.asked[-1][-1].text
    assert "that did not run were not given again" in model.asked[-1][-1].text
    assert "dropped, " not in model.asked[-1][-1].text


def test_starting_points_are_not_thought_over_only_because_the_default_has_ended() -> None:
    asks, model = pool()
    asks.offer(study([]))
    default = ran(0, 1.0)
    default = replace(default, proposal=replace(default.proposal, source=Source.DEFAULT))
    assert asks.offer(study([default])).candidates
    assert len(model.asked) == 1
    asks.offer(study([default, ran(1, 0.9)]))
    assert len(model.asked) == 2


def test_a_candidate_that_runs_is_not_shown_as_one_that_waits() -> None:
    asks, model = pool()
    asks.offer(study([ran(n, 1.0 + 0.1 * n) for n in range(4)]))
    started = replace(ran(4, 1.4), state=TrialState.RUNNING, outcome=None)
    taken = replace(started, proposal=replace(started.proposal, params={"x": 0.51}))
    asks.offer(study([*(ran(n, 1.0 + 0.1 * n) for n in range(5)), replace(taken, number=5)]))
    waiting = [line for line in model.asked[-1][-1].text.splitlines() if line.startswith("- not run yet")]
    assert len(waiting) == 3


DEFAULT = replace(FLAT[0], proposal=replace(FLAT[0].proposal, source=Source.DEFAULT))


@pytest.mark.parametrize(
    ("options", "seconds", "first", "later"),
    [
        ({"rethinks": "always"}, 1.0, "Give 3 starting points", "Give 3 candidates"),
        ({"rethinks": "always", "slots": 4}, 1.0, "Give 6 starting points", "Give 6 candidates"),
        ({"rethinks": "always", "count": 1}, 1.0, "Give 1 starting point,", "Give 1 candidate,"),
        ({}, 600.0, "Give 3 starting points", "Give 3 candidates"),  # an answer is likely to take less than half of it
        ({}, 0.0, "Give 8 starting points", "Give 4 candidates"),
        ({"rethinks": "never"}, 600.0, "Give 8 starting points", "Give 4 candidates"),
    ],
)
def test_a_question_asks_for_what_may_start_before_the_next_one_and_two_alternatives(
    options: dict[str, Any], seconds: float, first: str, later: str
) -> None:
    usage = Usage(wall_s=seconds, gpu_s=seconds, cpu_s=seconds)
    trials = [replace(t, outcome=replace(t.outcome, usage=usage)) for t in (DEFAULT, *FLAT[1:]) if t.outcome]
    asks, model = pool(**options)
    asks.offer(study(trials[:1]))
    again, other = pool(**options)
    again.offer(study(trials))
    assert first in model.asked[0][-1].text
    assert later in other.asked[0][-1].text
    follows = "before you are asked again" in other.asked[0][-1].text
    assert follows == (later in ("Give 3 candidates", "Give 6 candidates"))


def test_no_question_is_asked_for_a_trial_that_the_sampler_proposes() -> None:
    def says(n: int, messages: Sequence[Message]) -> str:  # noqa: ARG001
        return candidates_text([{"x": round(0.9 - 0.011 * n - 0.003 * i, 4)} for i in range(3)])

    model = ScriptedModel(says)
    with ts.Tuner(
        {"x": ts.Float(0.0, 1.0)}, model=model, rules=LLMRules(rethinks="always", fraction=0.5), trials=9
    ) as tuner:
        for _ in range(9):
            asked = tuner.ask()
            tuner.tell(asked, abs(asked.params["x"] - 0.2))
        own = sum(t.proposal.source in (Source.LLM, Source.FALLBACK) for t in tuner.trials)
    assert 0 < own < 9
    assert len(model.asked) == own


def test_a_model_that_earned_little_is_asked_only_when_candidates_run_out() -> None:
    asks, model = pool()
    asks.share = 0.1
    for count in range(4, 9):
        asks.offer(study([ran(n, 1.0 + 0.1 * n) for n in range(count)]))
    assert len(model.asked) == 1
    asks, model = pool(rethinks="never")
    for count in range(4, 9):
        asks.offer(study([ran(n, 1.0 + 0.1 * n) for n in range(count)]))
    assert len(model.asked) == 1


def test_a_slot_waits_for_a_needed_answer_within_its_allowance_and_takes_what_is_there_otherwise() -> None:
    runner, now = HeldRunner(), [0.0]
    asks, _ = pool(runner=runner, clock=lambda: now[0])
    view = study(FLAT)
    assert asks.must_wait(view)
    assert asks.is_waiting
    now[0] = waiting_allowance_s(FLAT) + 0.1
    assert not asks.is_waiting
    assert asks.offer(view).reason == "late: the LLM had not answered yet"
    runner.release()
    assert len(asks.offer(view).candidates) == 4
    assert not asks.must_wait(view)


def test_a_new_best_makes_a_slot_wait_for_another_thought() -> None:
    runner, now = HeldRunner(), [0.0]
    asks, model = pool(runner=runner, clock=lambda: now[0])
    asks.must_wait(study(FLAT))
    runner.release()
    assert not asks.must_wait(study(FLAT))
    assert asks.must_wait(study([*FLAT, ran(4, 0.1)]))
    runner.release()
    assert len(asks.offer(study([*FLAT, ran(4, 0.1)])).candidates) == 4
    assert len(model.asked) == 2
