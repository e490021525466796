"""Tool calls in the shapes that servers and models write them, over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from fakes.llm.server import Reply, Request, message, serving, tool_call

from tunesmith.agent.llm.client.client import LangChainModel
from tunesmith.agent.llm.client.replies.tool_calls import calls_in_text
from tunesmith.agent.llm.client.types import AnswerFormat, LookupTool
from tunesmith.prompts.message import Message

ARGUMENTS = '{"number": 3}'


def read_rate(found: Mapping[str, Any]) -> float:
    if "lr" not in found:
        raise ValueError("lr: give a number")
    return float(found["lr"])


RATE = AnswerFormat("rate", {"type": "object", "properties": {"lr": {"type": "number"}}}, read_rate)
GOOD = message('{"lr": 0.1}')


def called(arguments: Any, name: str = "trials", **more: Any) -> Reply:
    call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}, **more}
    return message(None, finish="tool_calls", tool_calls=[{k: v for k, v in call.items() if v is not None}])


STRUCTURED: dict[str, Reply] = {
    "as the protocol says": tool_call("trials", ARGUMENTS),
    "an object": called({"number": 3}),
    "text of text": called(json.dumps(ARGUMENTS)),
    "with a prefix": called(ARGUMENTS, "functions.trials"),
    "with a prefix and a number": called(ARGUMENTS, "functions.trials:0"),
    "with spaces": called(f" {ARGUMENTS}\n", " trials "),
    "without an id": called(ARGUMENTS, id=None),
    "with an empty id": called(ARGUMENTS, id=""),
    "without a type": called(ARGUMENTS, type=None),
    "single quotes": called("{'number': 3}"),
    "a trailing comma": called('{"number": 3,}'),
}
WRITTEN: dict[str, str] = {
    "Qwen and Hermes": f'<tool_call>\n{{"name": "trials", "arguments": {ARGUMENTS}}}\n</tool_call>',
    "Qwen, cut tag": f'Let me look.\n<tool_call>{{"name": "trials", "arguments": {ARGUMENTS}}}',
    "Qwen after thinking": f'<think>see {{3}}</think><tool_call>{{"name": "trials", "arguments": {ARGUMENTS}}}',
    "Mistral": f'[TOOL_CALLS][{{"name": "trials", "arguments": {ARGUMENTS}}}]',
    "Mistral's newer form": f"[TOOL_CALLS]trials[ARGS]{ARGUMENTS}",
    "Llama": f'<|python_tag|>{{"name": "trials", "parameters": {ARGUMENTS}}}',
    "Llama's function tag": f"<function=trials>{ARGUMENTS}</function>",
    "DeepSeek": (
        "<\uff5ctool\u2581calls\u2581begin\uff5c><\uff5ctool\u2581call\u2581begin\uff5c>function"
        f"<\uff5ctool\u2581sep\uff5c>trials\n```json\n{ARGUMENTS}\n```<\uff5ctool\u2581call\u2581end\uff5c>"
    ),
    "gpt-oss": f"<|channel|>commentary to=functions.trials <|constrain|>json<|message|>{ARGUMENTS}<|call|>",
    "the protocol's own object": json.dumps(
        {"type": "function", "function": {"name": "trials", "arguments": ARGUMENTS}}
    ),
    "a fence": f'```json\n{{"name": "functions.trials", "arguments": {ARGUMENTS}}}\n```',
}
CALLS = STRUCTURED | {name: message(text) for name, text in WRITTEN.items()}


def ask_with_tool(replies: list[Reply]) -> tuple[float, list[Any], list[dict[str, Any]]]:
    seen: list[Any] = []

    def look(arguments: Mapping[str, Any]) -> str:
        seen.append(dict(arguments))
        return "trial 3 had loss 0.3"

    tool = LookupTool("trials", "trials", {"type": "object", "properties": {"number": {"type": "integer"}}}, look)
    with serving(lambda request, before: replies[min(before, len(replies) - 1)]) as server:  # noqa: ARG005
        model = LangChainModel("m", base_url=server.base_url, own_prices={}, sleep=lambda _: None)
        answer = model.ask([Message("user", "hi")], RATE, tools=[tool])
    return answer.value, seen, server.requests


@pytest.mark.parametrize("name", CALLS)
def test_a_tool_runs_when_it_is_called_as(name: str) -> None:
    value, seen, requests = ask_with_tool([CALLS[name], GOOD])
    assert (value, seen) == (0.1, [{"number": 3}])
    results = [m for m in requests[-1]["messages"] if m["role"] == "tool"]
    calls = [c for m in requests[-1]["messages"] for c in m.get("tool_calls") or []]
    assert [m["content"] for m in results] == ["trial 3 had loss 0.3"]
    assert [m["tool_call_id"] for m in results] == [c["id"] for c in calls]
    assert all(c["id"] and c["function"]["name"] == "trials" for c in calls)


@pytest.mark.parametrize("arguments", ["", "  ", "null", None, "{}", {}, '""'])
def test_nothing_is_no_arguments(arguments: Any) -> None:
    value, seen, _ = ask_with_tool([called(arguments), GOOD])
    assert (value, seen) == (0.1, [{}])


def test_parallel_calls_without_ids_are_answered_one_by_one() -> None:
    function = {"name": "trials", "arguments": ARGUMENTS}
    both = message(None, finish="tool_calls", tool_calls=[{"function": function}, {"function": function}])
    value, seen, requests = ask_with_tool([both, GOOD])
    assert (value, len(seen)) == (0.1, 2)
    ids = [m["tool_call_id"] for m in requests[-1]["messages"] if m["role"] == "tool"]
    assert len(set(ids)) == 2


@pytest.mark.parametrize(
    "reply",
    [
        called({"lr": 0.1}, "rate"),
        called('"{\\"lr\\": 0.1}"', "functions.rate"),
        message('<tool_call>{"name": "rate", "arguments": {"lr": 0.1}}</tool_call>'),
        message('[TOOL_CALLS][{"name": "rate", "arguments": {"lr": 0.1}}]'),
        message('<|channel|>commentary to=functions.rate<|message|>{"lr": 0.1}<|call|>'),
    ],
)
def test_an_answer_is_read_from_a_call_of_any_shape(reply: Reply) -> None:
    assert ask_with_tool([reply])[0] == 0.1


def test_an_answer_that_only_mentions_a_tool_is_no_call() -> None:
    text = 'I looked at <trials>. {"lr": 0.1, "name": "trials"}'
    assert calls_in_text(text, ["trials", "rate"]) == []


def test_a_refusal_is_still_recognised() -> None:
    def refuses(request: Request, before: int) -> Reply:  # noqa: ARG001
        return message(None, refusal="no")

    with serving(refuses) as server, pytest.raises(Exception, match="refused to answer"):
        LangChainModel("m", base_url=server.base_url, own_prices={}).ask([Message("user", "hi")], RATE)
