"""Prompts of the planner: every fact with the right number, a limited length, and fences that no data can leave."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes.views import trial
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.prompts.candidate_fates import CandidateFate, Fate, fate_lines
from tunesmith.prompts.history_summary import estimate_tokens
from tunesmith.prompts.message import Message
from tunesmith.prompts.planner_prompts import (
    MAX_TOKENS,
    Part,
    PromptContext,
    StudyBrief,
    insight_messages,
    operators,
    proposing_messages,
    retry_message,
    starting_messages,
)
from tunesmith.prompts.render import render_text, template_version
from tunesmith.prompts.untrusted import fenced
from tunesmith.study.config.record import Lesson
from tunesmith.study.formatting import one_line, render_params
from tunesmith.study.sampler_state import SamplerState
from tunesmith.study.space.parameters import Bool, Choice, Float, Int
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import FailureKind, Prediction, Source, Trial, Usage
from tunesmith.study.trials.view import Constraint, Objective, StudyView
from tunesmith.study.trials.winner import incumbent
from tunesmith.study.units import short_number

SPACE = SearchSpace(
    {
        "lr": Float(1e-5, 1.0, log=True, default=1e-3, help="Adam's learning rate"),
        "layers": Int(1, 8, default=2),
        "optimizer": Choice(["adam", "sgd"], default="adam"),
        "batch": Choice([16, 32, 64], ordered=True, default=32),
        "momentum": Float(0.0, 0.99, when="optimizer == 'sgd'", default=0.9),
        "norm": Bool(default=False),
    }
)
GOLDEN = Path(__file__).parent / "golden"


def view_of(count: int, seed: int = 0) -> StudyView:
    """Return a study in which about a quarter of the trials failed, in two ways."""
    rng = np.random.default_rng(seed)
    trials: list[Trial] = []
    for number in range(count):
        params = SPACE.from_unit(rng.random(len(SPACE)).tolist())
        drawn = rng.random()
        kind = FailureKind.OOM if drawn < 0.15 else FailureKind.NAN if drawn < 0.25 else None
        trials.append(trial(number, params, kind if kind else round(float(rng.random() * 3), 4)))
    return StudyView(
        space=SPACE,
        objectives=(Objective("loss"),),
        constraints=(Constraint(metric="mem_gb", max=70.0),) if seed < 0 else (),
        trials=tuple(trials),
        number=count,
        seed=seed,
    )


SAMPLER = SamplerState(
    next_params={"lr": 0.00123456, "layers": 3, "optimizer": "adam", "batch": 64, "norm": True},
    next_prediction=Prediction(mean=0.4321, std=0.0567),
    importance=("over the whole space: lr 61% (44-75), layers 22% (10-33)", "near the best: layers 70% (52-81)"),
    interactions=("lr with batch (12%): best lr about 0.001 at batch=16, about 0.01 at batch=64",),
    failing=("batch >= 64: 5 of 6 failed",),
)
BRIEF = StudyBrief(
    name="toy",
    space=SPACE,
    objectives=(Objective("loss"),),
    constraints=(Constraint(metric="mem_gb", max=70.0),),
    description="A small network on made-up data",
    command="python train.py --lr {lr}",
    hardware="2 CPU cores, 8 GiB of memory, 0 GPUs",
    fidelity="epochs = 27",
    script="import argparse\nprint('val_loss=0.3')\n",
    insights=(Lesson(text="rates above 0.1 diverge", trials=(2, 9)),),
    earlier=(Lesson(text="width pays up to 300", trials=(3, 4), study="toy-small"),),
)


def context(view: StudyView) -> PromptContext:
    return PromptContext(
        view=view, sampler=SAMPLER, budget="trials 28 of 40, llm_usd 1.50 of 2", curves={1: (2.0, 1.0, 0.5)}
    )


def text_of(messages: list[Message]) -> str:
    return "\n\n".join(f"=== {m.role}\n{m.text}" for m in messages) + "\n"


PROMPTS: dict[str, Callable[[], str]] = {
    "start": lambda: text_of(starting_messages(BRIEF, count=8, context=context(view_of(0)))),
    "propose": lambda: text_of(
        proposing_messages(BRIEF, context(view_of(12)), count=4, operator=operators()["refine"])
    ),
    "propose_before_any_success": lambda: text_of(
        proposing_messages(BRIEF, context(view_of(0)), count=4, operator=operators()["explore"])
    ),
    "insights": lambda: text_of(insight_messages(BRIEF, context(view_of(12)), limit=12)),
    "retry": lambda: retry_message(["candidate 1 is trial #3 again"], count=4).text + "\n",
    "answer_as_json": lambda: render_text("answer_as_json.md", schema='{"type": "object"}') + "\n",
}


@pytest.mark.parametrize("name", PROMPTS)
def test_each_prompt_equals_its_golden_file(name: str) -> None:
    """After an intended change, run with TUNESMITH_GOLDEN=write and review the difference."""
    path = GOLDEN / f"{name}.md"
    if os.environ.get("TUNESMITH_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(PROMPTS[name](), encoding="utf-8")
    assert PROMPTS[name]() == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("seed", range(50))
def test_every_fact_is_in_the_prompt_with_the_right_number(seed: int) -> None:
    rng = np.random.default_rng(seed)
    view = view_of(int(rng.integers(1, 400)), seed)
    text = proposing_messages(BRIEF, context(view), count=4, operator=operators()["refine"])[-1].text
    best = incumbent(view.trials, view)
    if best is not None:
        best_text = (
            f"#{best.number} with loss {short_number(best.values['loss'])} ({render_params(best.params, digits=5)})"
        )
        assert f"best so far: {best_text}" in text
    for kind in (FailureKind.OOM, FailureKind.NAN):
        count = sum(t.failure is not None and t.failure.kind is kind for t in view.trials)
        assert (f"{kind.value}: {count} trials" in text) == (count > 0)
    complete = sum(t.failure is None for t in view.trials)
    assert f"{complete} complete" in text or complete == 0
    assert "its next point: lr=0.001235 layers=3 optimizer=adam batch=64 norm=true" in text
    assert "predicted value there: 0.4321 ± 0.05670" in text
    assert "budget left: trials 28 of 40, llm_usd 1.50 of 2" in text
    assert "lr 61% (44-75), layers 22% (10-33)" in text
    assert "lr with batch (12%): best lr about 0.001 at batch=16, about 0.01 at batch=64" in text
    assert "batch >= 64: 5 of 6 failed" in text


@pytest.mark.parametrize("count", [100, 10_000])
def test_prompts_stay_below_their_limit(count: int) -> None:
    long = StudyBrief(
        name="toy", space=SPACE, objectives=BRIEF.objectives, description="d" * 9000, script="x = 1\n" * 9000
    )
    for brief in (BRIEF, long):
        messages = proposing_messages(brief, context(view_of(count)), count=4, operator=operators()["refine"])
        assert sum(estimate_tokens(m.text) for m in messages) < MAX_TOKENS


def test_prompts_begin_with_the_same_messages_during_a_study() -> None:
    early = proposing_messages(BRIEF, context(view_of(5)), count=4, operator=operators()["explore"])
    late = proposing_messages(BRIEF, context(view_of(50)), count=4, operator=operators()["combine"])
    assert early[:2] == late[:2]
    assert starting_messages(BRIEF, count=8)[:2] == early[:2]


def test_each_template_has_a_version_and_each_operator_an_instruction() -> None:
    assert re.fullmatch("[0-9a-f]{12}", template_version("propose.md"))
    assert template_version("propose.md") != template_version("start.md")
    assert set(operators()) == {"explore", "refine", "ablate", "combine", "simplify", "confirm"}


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=400))
def test_fenced_text_cannot_close_its_fence_or_open_a_section(text: str) -> None:
    shown = fenced(text, "log")
    first, *body, last = shown.split("\n")
    assert first == f"{last}log"
    assert set(last) == {"~"}
    assert all(line.startswith("| ") for line in body)
    assert last not in "\n".join(body)
    assert "\x1b" not in shown


def test_a_long_log_keeps_its_end() -> None:
    shown = fenced("start " + "x" * 5000 + " CUDA out of memory", "log", limit=100)
    assert shown.count("\n") == 2
    assert "CUDA out of memory" in shown
    assert "start" not in shown
    assert one_line("a\n\nb\t c" + "d" * 300, 20) == "a b c" + "d" * 14 + "…"


def prompt_text(view: StudyView, **facts: Any) -> str:
    """Return the question that a view and facts lead to."""
    shown = PromptContext(view=view, sampler=SAMPLER, **facts)
    return proposing_messages(BRIEF, shown, count=4, operator=operators()["refine"])[-1].text


BASE = {"lr": 0.01, "layers": 2, "optimizer": "adam", "batch": 32, "norm": False}
FOUR = [trial(0, BASE, 0.5), trial(1, {**BASE, "lr": 0.1}, 0.4), trial(2, {**BASE, "layers": 8}, FailureKind.OOM)]


def study(trials: Sequence[Trial]) -> StudyView:
    return StudyView(space=SPACE, objectives=(Objective("loss"),), trials=tuple(trials), number=len(trials))


def by(source: Source, made: Trial, **kept: Any) -> Trial:
    return replace(made, proposal=replace(made.proposal, source=source, **kept))


def test_trials_are_shown_as_what_differs_from_the_best() -> None:
    many = [trial(n, {**BASE, "lr": 0.01 * (n + 1)}, 1.0 - 0.1 * n) for n in range(7)]
    text = prompt_text(study(many))
    assert "best so far: #6 with loss 0.4000 (lr=0.07 layers=2 optimizer=adam batch=32" in text
    assert "6 | sampler | 0.4000 | complete | see above" in text
    assert "2 | sampler | 0.8000 | complete | lr=0.03\n" in text
    assert text.count("optimizer=adam batch=32") == 1, "the best is written out once"


def test_seconds_are_told_where_a_trial_takes_a_second() -> None:
    def lasting(seconds: float) -> Trial:
        made = trial(0, BASE, 0.5)
        assert made.outcome is not None
        return replace(made, outcome=replace(made.outcome, usage=Usage(wall_s=seconds)))

    assert "| complete | 31 |" in prompt_text(study([lasting(31.0)]))
    assert "seconds" not in prompt_text(study([lasting(0.04)]))
    started = replace(lasting(0.04), proposal=replace(lasting(0.04).proposal, source=Source.DEFAULT))
    shown = PromptContext(view=study([started]), sampler=SAMPLER)
    assert "it takes about" not in starting_messages(BRIEF, count=3, context=shown)[-1].text


def test_trials_that_contrasts_and_lessons_cite_are_in_the_table() -> None:
    cited = (f"lr 0.1 -> 0.2 (#{n} -> #{n + 1}): loss 2.000 -> 1.000" for n in (301, 402))
    brief = replace(BRIEF, insights=(Lesson(text="rates above 0.1 diverge", trials=(123,)),))
    context = PromptContext(view=view_of(800), sampler=SAMPLER, contrasts=tuple(cited))
    text = proposing_messages(brief, context, count=3, operator="Refine.")[-1].text
    for number in (123, 301, 302, 402, 403):
        assert re.search(rf"^{number} \| ", text, flags=re.MULTILINE)


def test_the_fate_of_each_candidate_is_told() -> None:
    ran = by(Source.LLM, trial(3, {**BASE, "lr": 0.2}, 0.45), prediction=Prediction(mean=0.3, std=0.0))
    fates = (
        CandidateFate(params={**BASE, "layers": 7}, fate=Fate.REFUSED, after=4, reason="it would probably fail"),
        CandidateFate(params={**BASE, "lr": 0.1, "norm": True}, fate=Fate.WAITING, after=4, expected=0.38),
        CandidateFate(params={**BASE, "lr": 0.1}, fate=Fate.WAITING, after=4, base=1, is_repeat=True),
        CandidateFate(params={}, fate=Fate.REFUSED, after=4, reason="it cannot be read: lr: is missing"),
        CandidateFate(params={}, fate=Fate.AHEAD, after=3, reason="it ran before 2 that you put higher"),
    )
    text = prompt_text(study([*FOUR, ran]), fates=fates, dropped=5, track_record="Of your 5 predictions ...")
    assert "Of your 5 predictions" in text
    assert "- #3: you expected 0.3000, measured 0.4500; it ran before 2 that you put higher" in text
    assert "- refused, it would probably fail: #1 with lr=0.01 layers=7" in text
    assert "- not run yet: #1 with norm=true, you expected 0.3800" in text
    assert "- not run yet: #1 again on another seed" in text
    assert "- refused, it cannot be read: lr: is missing: unreadable" in text
    assert text.count("not given again") == 1
    assert "- 5 that did not run were not given again" in text
    assert "Those not run yet are dropped now" in text
    assert "What became of your candidates" not in prompt_text(study(FOUR))


def test_a_candidate_and_a_region_are_shown_as_the_changes_that_they_were_given_as() -> None:
    given = CandidateFate(params={**FOUR[0].params, "norm": True}, fate=Fate.WAITING, after=4, base=0)
    region = CandidateFate(
        params={**BASE, "layers": 3}, fate=Fate.REGION, after=4, reason="replaced", base=0, free=["lr 0.01 to 0.1"]
    )
    lines = fate_lines(study(FOUR), [replace(region, params=BASE)])
    assert lines == ["region #0 with lr 0.01 to 0.1 left open: replaced"]
    lines = fate_lines(study(FOUR), [region, given])
    assert lines == ["region #0 with layers=3 and lr 0.01 to 0.1 left open: replaced", "not run yet: #0 with norm=true"]


def repeat(number: int, of: int, value: float) -> Trial:
    made = trial(number, FOUR[of].params, value)
    return replace(made, proposal=replace(made.proposal, replicate_of=of, seed=number, source=Source.CONFIRM))


def test_the_noise_is_told_and_what_difference_means_something() -> None:
    assert "noise: unknown: no configuration ran twice" in prompt_text(study(FOUR))
    once = prompt_text(study([*FOUR, repeat(3, 1, 0.42)]))
    assert "noise: hardly known; repeats on other seeds: #1: 0.4000 0.4200" in once
    twice = prompt_text(study([*FOUR, repeat(3, 1, 0.42), repeat(4, 1, 0.44)]))
    assert "noise: a repeat varies by 0.020 (standard deviation), so a difference below 0.057 between two" in twice
    assert "on other seeds 0.4200 0.4400" in twice


def test_a_best_trial_that_did_not_measure_lowest_is_explained_and_everything_counts_from_it() -> None:
    lucky = [*FOUR, repeat(3, 1, 0.62), repeat(4, 1, 0.64), trial(5, {**BASE, "lr": 0.5}, 0.9)]
    text = prompt_text(study(lucky))
    assert "best so far: #0 with loss 0.5000" in text
    assert "expected over seeds, the lowest of all; the lowest single value is that of #1, 0.4000" in text
    assert "no improvement on that for 3 trials" in text
    assert text.count("standard deviation") == 1
    assert "expected over seeds" not in prompt_text(study(FOUR))


def test_noise_that_only_the_fit_shows_is_told_once() -> None:
    rng = np.random.default_rng(1)
    noisy = [trial(n, {**BASE, "lr": 0.001 * 1.2**n}, 1.0 + float(rng.normal(0.0, 0.1))) for n in range(24)]
    text = prompt_text(study(noisy))
    assert "noise: no configuration ran twice; by the fit values seem to scatter by about 0." in text
    assert "unknown" not in text
    assert text.count("scatter") == 1


def test_a_model_by_itself_reads_nothing_of_a_sampler() -> None:
    alone = replace(BRIEF, part=Part(beside_sampler=False, order="own", is_earned=False, narrows=False))
    for messages in (
        proposing_messages(alone, PromptContext(view=study(FOUR), sampler=SAMPLER), count=3, operator="Refine."),
        starting_messages(alone, count=3),
    ):
        text = text_of(messages).replace("from sampler", "").replace("| sampler |", "")
        assert "sampler" not in text
        assert "region" not in messages[0].text.replace("Avoid regions", "")
        assert "Your results decide" not in text
        assert "until then nothing changes" in text
    assert "Your results decide how many of the trials are yours" in text_of(starting_messages(BRIEF, count=3))
    assert "its next point" in prompt_text(study(FOUR))


def test_a_question_says_how_many_of_its_candidates_run_before_the_next_one() -> None:
    assert "One of them runs before you are asked again." in prompt_text(study(FOUR), starts=1)
    assert "At most 2 of them start before you are asked again." in prompt_text(study(FOUR), starts=2)
    assert "before you are asked again" not in prompt_text(study(FOUR))


def test_contrasts_untried_values_requests_and_timing_are_told_where_there_are_any() -> None:
    facts = {
        "contrasts": ("lr 0.01 -> 0.1 (#0 -> #1): loss 0.5 -> 0.4",),
        "untouched": ("always the same value: batch (32)",),
        "requests": ("pin norm at false: taken over; a person may undo it",),
        "timing": "a trial takes about 31 s; 2 run at once; running or queued now: #3",
    }
    text = prompt_text(study(FOUR), **facts)
    for fact in (facts["contrasts"][0], facts["untouched"][0], facts["requests"][0]):
        assert f"- {fact}" in text
    assert f"time: {facts['timing']}" in text
    plain = prompt_text(study(FOUR))
    assert not any(title in plain for title in ("Contrasts", "Not tried yet", "Your requests", "time: "))


def test_a_point_without_a_model_is_not_called_what_the_sampler_thinks() -> None:
    spread = replace(SAMPLER, next_prediction=None, importance=(), interactions=())
    shown = PromptContext(view=study(FOUR), sampler=spread)
    text = proposing_messages(BRIEF, shown, count=4, operator=operators()["refine"])[-1].text
    assert "it has no model yet" in text
    assert "its next point: " not in text
    assert "part of the variance" not in text


def test_a_prompt_of_long_facts_is_cut_to_its_limit() -> None:
    long = tuple(f"{'x' * 280} {n}" for n in range(40))
    fates = tuple(
        CandidateFate(params=SPACE.from_unit([n / 40] * len(SPACE)), fate=Fate.WAITING, after=9, expected=0.1)
        for n in range(40)
    )
    for max_tokens in (8000, 4000):
        shown = PromptContext(
            view=view_of(10_000), sampler=SAMPLER, contrasts=long, untouched=long, requests=long, fates=fates
        )
        messages = proposing_messages(BRIEF, shown, count=4, operator=operators()["refine"], max_tokens=max_tokens)
        assert sum(estimate_tokens(m.text) for m in messages) < max_tokens
