"""Prompts of the planner: every fact with the right number, a limited length, and fences that no data can leave."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fakes.views import trial
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.prompts.history_summary import estimate_tokens
from tunesmith.prompts.message import Message
from tunesmith.prompts.planner_prompts import (
    MAX_TOKENS,
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
from tunesmith.study.trials.trial import FailureKind, Prediction, Trial
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
        trials=trials,
        number=count,
        seed=seed,
    )


SAMPLER = SamplerState(
    next_params={"lr": 0.00123456, "layers": 3, "optimizer": "adam", "batch": 64, "norm": True},
    next_prediction=Prediction(mean=0.4321, std=0.0567),
    importance={"lr": 0.61, "layers": 0.22},
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
    "propose": lambda: text_of(proposing_messages(BRIEF, context(view_of(12)), count=4, operator=operators()["refine"])),
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
        best_text = f"#{best.number} with loss {short_number(best.values['loss'])} ({render_params(best.params)})"
        assert f"best so far: {best_text}" in text
    for kind in (FailureKind.OOM, FailureKind.NAN):
        count = sum(t.failure is not None and t.failure.kind is kind for t in view.trials)
        assert (f"{kind.value}: {count} trials" in text) == (count > 0)
    complete = sum(t.failure is None for t in view.trials)
    assert f"{complete} complete" in text or complete == 0
    assert "its next point: lr=0.00123456 layers=3 optimizer=adam batch=64 norm=true" in text
    assert "predicted value there: 0.4321 ± 0.05670" in text
    assert "budget left: trials 28 of 40, llm_usd 1.50 of 2" in text
    assert "lr 61%, layers 22%" in text
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
    assert set(operators()) == {"explore", "refine", "ablate", "combine", "simplify"}


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
