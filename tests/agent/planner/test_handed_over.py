"""What becomes of an LLM's requests about the study: taken over once earned, asked of the person, or refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from fakes.views import trial, view

import tunesmith as ts
from tunesmith.agent.llm.requests import Request
from tunesmith.agent.planner.handed_over import ASKS_PERSON, HandedOver, hand_over
from tunesmith.study.commands import Bounds, Forbid, Pin
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import Source, Trial

SPACE = SearchSpace({"depth": ts.Int(1, 12), "lr": ts.Float(0.0, 1.0), "opt": ts.Choice(["adam", "sgd", "lion"])})


def llm_trial(number: int) -> Trial:
    made = trial(number, {"depth": 8, "lr": 0.1 + 0.01 * number, "opt": "adam"}, 1.0 - 0.1 * number)
    return replace(made, proposal=replace(made.proposal, source=Source.LLM))


TRIALS = [llm_trial(n) for n in range(5)]


def decided(
    *, share: float = 0.8, allow: Sequence[str] = (), trials: Sequence[Trial] = TRIALS, **fields: Any
) -> HandedOver:
    known = replace(view(SPACE), trials=tuple(trials), number=len(trials))
    return hand_over(Request(**fields), known, share=share, allow=allow)


@pytest.mark.parametrize(
    ("fields", "command"),
    [
        ({"action": "pin", "name": "depth", "value": 8}, Pin(name="depth", value=8)),
        ({"action": "pin", "name": "opt", "value": "adam"}, Pin(name="opt", value="adam")),
        ({"action": "values", "name": "opt", "values": ("adam", "lion")}, Bounds(name="opt", choices=["adam", "lion"])),
        ({"action": "range", "name": "lr", "low": 0.05, "high": 0.5}, Bounds(name="lr", low=0.05, high=0.5)),
        ({"action": "forbid", "condition": "depth * lr > 4"}, Forbid(rule="depth * lr > 4")),
    ],
)
def test_what_narrows_the_study_about_the_best_trial_is_taken_over_once_earned(fields: Any, command: Any) -> None:
    assert decided(**fields).command == command
    for early in (decided(share=0.4, **fields), decided(trials=TRIALS[:3], **fields)):
        assert early.command is None
        assert "not earned it yet" in early.answer


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "pin", "name": "depth", "value": 4},
        {"action": "values", "name": "opt", "values": ("sgd",)},
        {"action": "range", "name": "lr", "low": 0.5},
        {"action": "range", "name": "lr", "high": 0.01},
        {"action": "pin", "name": "dept", "value": 4},
        {"action": "pin", "name": "depth"},
        {"action": "values", "name": "opt"},
    ],
)
def test_what_contradicts_the_best_trial_or_says_nothing_is_refused_with_the_reason(fields: Any) -> None:
    found = decided(**fields)
    assert found.command is None
    assert found.answer
    assert found.answer != ASKS_PERSON


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "range", "name": "lr", "high": 3.0},
        {"action": "range", "name": "depth", "low": 0},
        {"action": "parameter", "name": "dropout", "low": 0.0, "high": 0.5},
        {"action": "derive", "name": "width", "condition": "depth * 64"},
        {"action": "unpin", "name": "depth"},
        {"action": "permit", "condition": "depth > 8"},
    ],
)
def test_what_widens_the_study_or_undoes_a_persons_wish_is_for_the_person(fields: Any) -> None:
    assert decided(**fields) == HandedOver(ASKS_PERSON)


def test_a_wider_range_is_taken_over_where_the_study_allows_it() -> None:
    found = decided(allow=("ranges",), action="range", name="lr", high=3.0)
    assert found.command == Bounds(name="lr", high=3.0)
    unearned = decided(allow=("ranges",), share=0.4, action="range", name="lr", high=3.0)
    assert unearned == HandedOver(ASKS_PERSON), "what may not be taken over yet still reaches the person"
