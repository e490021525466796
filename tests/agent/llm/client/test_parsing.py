"""What is taken out of the text of an answer: the last object that has the form, and nothing that was only thought."""

from __future__ import annotations

from typing import Any

import pytest

from tunesmith.agent.llm.client.replies.parsing import NoJsonObject, find_json_object, read_last_object

VALUE = {"candidates": [{"params": {"lr": 0.02}}]}
ANSWER = '{"candidates": [{"params": {"lr": 0.02}}]}'
DRAFT = '{"candidates": [{"params": {"lr": 0.5}}]}'

TEXTS = {
    "a draft while thinking": f"<think>First idea {DRAFT}, but that diverged in trial 3.</think>\n{ANSWER}",
    "braces while thinking": f"<think>The set {{lr, hidden}} matters.</think>{ANSWER}",
    "braces in the prose": f"I varied only {{lr}}. My answer: {ANSWER}",
    "a draft, then a fence": f"Maybe {DRAFT}? No, it is too high.\n```json\n{ANSWER}\n```",
    "thinking tags": f"<thinking>{DRAFT}</thinking>{ANSWER}",
    "reasoning tags": f"<reasoning>\n{DRAFT}\n</reasoning>\n\n{ANSWER}",
    "tags in capitals": f"<THINK>{DRAFT}</THINK>{ANSWER}",
    "a tag that the prompt opened": f"so {DRAFT} is too high</think>\n\n{ANSWER}",
    "a tag that is never closed": f"<think>maybe {DRAFT}, no.\n{ANSWER}\n",
    "a brace that is never closed": f"<think>the set {{lr </think>{ANSWER}",
    "thinking in thinking": f"<think>a <think>b</think> {DRAFT} c</think>{ANSWER}",
    "Kimi": f"\u25c1think\u25b7{DRAFT}\u25c1/think\u25b7{ANSWER}",
    "Magistral": f"[THINK]{DRAFT}[/THINK]{ANSWER}",
    "Command A": f"<|START_THINKING|>{DRAFT}<|END_THINKING|><|START_RESPONSE|>{ANSWER}<|END_RESPONSE|>",
    "gpt-oss": (
        f"<|channel|>analysis<|message|>try {DRAFT}<|end|><|start|>assistant"
        f"<|channel|>final <|constrain|>json<|message|>{ANSWER}<|return|>"
    ),
    "gpt-oss without its tokens": f"analysisWe try {DRAFT}, no.assistantfinal{ANSWER}",
    "a draft after the answer without the form": f'{ANSWER} (the default is {{"lr": 0.1}})',
    "trailing commas": '{"candidates": [{"params": {"lr": 0.02,},},],}',
    "comments": '{"candidates": [ // the best\n {"params": {"lr": 0.02}} /* near trial 3 */ ]} # done',
    "Python": "{'candidates': [{'params': {'lr': 0.02}}]}",
    "a template in braces": "{{" + ANSWER + "}}",
}


def candidates(found: dict[str, Any]) -> dict[str, Any]:
    if "candidates" not in found:
        raise ValueError("candidates: give a list")
    return found


@pytest.mark.parametrize("name", TEXTS)
def test_the_answer_is_found_behind(name: str) -> None:
    assert read_last_object(TEXTS[name], candidates) == VALUE


@pytest.mark.parametrize("name", [name for name in TEXTS if "without the form" not in name])
def test_the_last_object_is_the_answer_where_no_form_is_asked(name: str) -> None:
    assert find_json_object(TEXTS[name]) == VALUE


NONE = {
    "only thinking": f"<think>maybe {DRAFT}</think>I do not know.",
    "thinking that was cut": f"<think>maybe {DRAFT}, but then again",
    "prose": "I would lower {lr}.",
    "half an object": '{"candidates": [{"par',
    "not a number": '{"lr": NaN}',
    "nothing": "",
}


@pytest.mark.parametrize("name", NONE)
def test_there_is_no_answer_in(name: str) -> None:
    with pytest.raises(NoJsonObject):
        read_last_object(NONE[name], candidates)


def test_the_reason_names_the_outer_object_that_cannot_be_read() -> None:
    with pytest.raises(NoJsonObject, match="cannot be parsed"):
        read_last_object('{"candidates": [{"lr": 0.5}, {"lr"', candidates)


VALUES: dict[str, dict[str, Any]] = {
    '{"a": true, "b": null, "c": "x, ]"}': {"a": True, "b": None, "c": "x, ]"},
    "{'a': True, 'b': None, 'c': \"it's\"}": {"a": True, "b": None, "c": "it's"},
    '{"url": "http://x/#y", "n": 1,}': {"url": "http://x/#y", "n": 1},
    '{"search": "re.sub(\\"\\d+\\", x)"}': {"search": 're.sub("\\d+", x)'},
    '{"code": "line 1\nline 2"}': {"code": "line 1\nline 2"},
    "{\"code\": \"s = '<think>' + '</think>'\"}": {"code": "s = '<think>' + '</think>'"},
    '{"True": "True"}': {"True": "True"},
}


@pytest.mark.parametrize("text", VALUES)
def test_what_is_unambiguous_is_read_as_it_was_meant(text: str) -> None:
    assert find_json_object(text) == VALUES[text]


@pytest.mark.parametrize("text", ["{" * 100_000, '{"a": "' + "{" * 90_000, '{"a":' * 20_000])
def test_a_large_broken_answer_ends_the_search(text: str) -> None:
    with pytest.raises(NoJsonObject):
        find_json_object(text)
