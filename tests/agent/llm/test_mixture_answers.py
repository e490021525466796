"""What a model says about a mixture: all shares, one share, percent, a sum that is nearly 1, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.views import view

from tunesmith.agent.llm.answer_format import planner_format
from tunesmith.agent.llm.candidates import validate_candidates
from tunesmith.prompts.history_summary import space_table
from tunesmith.study.space.mixtures.shares import Shares
from tunesmith.study.space.parameters import Float
from tunesmith.study.space.space import SearchSpace

SPACE = SearchSpace(
    {
        "mix": Shares(["code", "prose", "docs"], min=0.02, default=[0.5, 0.3, 0.2]),
        "lr": Float(1e-4, 1e-1, log=True, default=1e-2),
    }
)


@pytest.mark.parametrize(
    ("changes", "shares", "said"),
    [
        ([{"name": "mix", "value": {"code": 0.4, "prose": 0.4, "docs": 0.2}}], (0.4, 0.4, 0.2), ""),
        (
            [{"name": "mix", "value": {"code": 0.5, "prose": 0.3, "docs": 0.18}}],
            (0.5102, 0.3061, 0.1837),
            "summed to 0.98",
        ),
        ([{"name": "mix.code", "value": 0.6}], (0.6, 0.24, 0.16), ""),
        ({"mix": {"code": 0.6}}, (0.6, 0.24, 0.16), ""),
        ({"mix": {"code": 60, "prose": 30, "docs": 10}}, (0.6, 0.3, 0.1), "was in percent"),
    ],
)
def test_a_mixture_is_made_whole(changes: Any, shares: tuple[float, ...], said: str) -> None:
    raw = [{"base": "default", "changes": changes, "rationale": "more"}]
    (found,) = validate_candidates(raw, view(SPACE)).valid
    assert [found.params[name] for name in SPACE.shares_of("mix")] == pytest.approx(shares, abs=1e-4)
    assert SPACE.contains(found.params)
    assert said in found.rationale


@pytest.mark.parametrize(
    ("base", "changes", "words"),
    [
        ("default", {"mix": {"code": 0.5, "prose": 0.9, "docs": 0.2}}, "sums to 1.6"),
        ("default", {"mix": {"code": 0.5, "prose": 0.5, "docs": 0.0}}, "expected a share from 0.02"),
        ("default", {"mix": "balanced"}, "expected shares by name"),
        ("default", {"mix.code": 10**400}, "is out of range; expected a share from 0.02"),
        ("default", {"mix": {"kode": 0.5}}, "did you mean code"),
        ("", {"mix": {"code": 0.5}, "lr": 0.01}, "mix.prose: is missing"),
    ],
)
def test_what_cannot_be_made_whole_is_refused_in_words(base: str, changes: Any, words: str) -> None:
    found = validate_candidates([{"base": base, "changes": changes, "rationale": ""}], view(SPACE))
    assert not found.valid
    assert words in found.invalid[0].problem


def test_free_shares_keep_the_others_and_the_sum() -> None:
    raw = [
        {"base": "default", "changes": [{"name": "mix.docs", "value": 0.4}], "free": ["mix.code"], "rationale": ""},
        {"base": "default", "changes": [], "free": [{"name": "mix", "low": None, "high": None}], "kind": "region"},
    ]
    one, whole = validate_candidates(raw, view(SPACE)).valid
    assert one.params["mix.docs"] == pytest.approx(0.4)
    assert SPACE.contains(one.params)
    assert set(whole.free) == set(SPACE.shares_of("mix"))


def test_prompt_and_schema_have_a_mixture_once() -> None:
    assert [line for line in space_table(SPACE).splitlines() if line.startswith("mix")] == [
        "mix: shares that sum to 1, each from 0.02 to 1: code, prose, docs; change all of them together, or one as "
        "mix.code: the others are scaled to what is left; default {code 0.5, prose 0.3, docs 0.2}"
    ]
    items = planner_format(SPACE).schema["properties"]["candidates"]["items"]["properties"]["changes"]["items"]["anyOf"]
    assert [item["properties"]["name"]["enum"] for item in items] == [
        ["mix"], ["mix.code", "mix.prose", "mix.docs"], ["lr"],
    ]  # fmt: skip
