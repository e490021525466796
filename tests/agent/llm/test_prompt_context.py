"""The facts of a prompt: what a model says of parameters stays within what ran, and is left out where it is nothing."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from fakes.views import view

import tunesmith as ts
from tunesmith.agent.llm.prompt_context import make_prompt_context
from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.prompts.planner_prompts import PromptContext
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.view import StudyView

SPACE = SearchSpace({"depth": ts.Int(1, 8), "lr": ts.Float(1e-4, 1.0, log=True), "decay": ts.Float(0.0, 1.0)})


def context(noise: float) -> PromptContext:
    """Return the facts of a study without a depth above 3; the best rate depends on the depth."""
    rng = np.random.default_rng(0)
    rows: list[Any] = []
    for _ in range(40):
        params = {**SPACE.from_unit(rng.random(3).tolist()), "depth": int(rng.integers(1, 4))}
        away = np.log10(float(params["lr"])) + 4.0 - params["depth"]  # type: ignore[arg-type, operator]
        rows.append((params, float(away**2) * (1.0 - noise) + noise * float(rng.normal())))
    seen: StudyView = view(SPACE, rows)
    return make_prompt_context(seen, BayesSampler())


@pytest.fixture(scope="module")
def plain() -> PromptContext:
    return context(0.0)


def test_interactions_name_no_value_beyond_what_ran(plain: PromptContext) -> None:
    sentence = next(sentence for sentence in plain.sampler.interactions if "depth" in sentence)
    depths = [float(value) for value in re.findall(r"depth(?:=| about )(\d+)", sentence)]
    assert depths
    assert max(depths) <= 3.0


def test_shares_that_may_be_nothing_are_left_out(plain: PromptContext) -> None:
    assert any("lr" in line for line in plain.sampler.importance)
    assert not any("(0-" in line for line in plain.sampler.importance)
    assert context(1.0).sampler.importance == ("too few trials to say what matters (40 complete)",)


def test_the_range_that_nothing_ran_in_is_named(plain: PromptContext) -> None:
    assert "depth: no complete trial above 3 (the range ends at 8)" in plain.untouched


def test_seconds_of_a_trial_under_a_second_are_left_out(plain: PromptContext) -> None:
    assert "a trial takes" not in plain.timing
