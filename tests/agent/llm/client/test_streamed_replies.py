"""Servers of one's own stream their answers: one that brings tokens is not dead, and each stream is one answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from fakes.llm.server import USAGE, Reply, Request, error, message, serving, streamed

from tunesmith.agent.llm.client.client import LangChainModel
from tunesmith.agent.llm.client.failures.errors import AnswerUnusable, Down, ModelDown, Unusable
from tunesmith.agent.llm.client.options import RequestOptions
from tunesmith.agent.llm.client.types import MAX_RESPONSE_BYTES, AnswerFormat, ModelAnswer
from tunesmith.prompts.message import Message

RATE = AnswerFormat("rate", {"type": "object", "properties": {"lr": {"type": "number"}}}, lambda found: found["lr"])
QUESTION = [Message("user", "hi")]


def model_at(base_url: str, *, timeout_s: float = 20.0, attempts: int = 1) -> LangChainModel:
    options = RequestOptions(timeout_s=timeout_s)
    return LangChainModel(
        "m", base_url=base_url, options=options, own_prices={}, attempts=attempts, sleep=lambda _: None
    )


def ask(reply: Reply, **options: Any) -> ModelAnswer[float]:
    with serving(lambda request, before: reply) as server:  # noqa: ARG005
        return model_at(server.base_url, **options).ask(QUESTION, RATE)


def events(*chunks: Any, end: str = "data: [DONE]\n\n") -> Reply:
    """Return a stream of these objects, one event each."""
    return Reply(events=(*(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks), end))


def pieces(*deltas: Any, finish: str | None = "stop", key: str = "delta") -> Reply:
    """Return a stream with these pieces of one answer."""
    chunks = [{"choices": [{"index": 0, key: delta, "finish_reason": None}]} for delta in deltas]
    return events(*chunks, {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})


def call(**more: Any) -> dict[str, Any]:
    return {"tool_calls": [{"function": more.pop("function"), **more}]}


ANSWERS: dict[str, Reply] = {
    "text in pieces": streamed('{"l', 'r": 0', ".1}"),
    "text without usage": streamed('{"lr": 0.1}', usage=False),
    "a tool call in pieces": streamed(calls=[("rate", '{"lr": 0.1}')]),
    "a tool call without an index": pieces(
        call(id="a", function={"name": "rate", "arguments": '{"lr"'}), call(function={"arguments": ": 0.1}"})
    ),
    "a tool call with arguments as an object": pieces(
        call(index=0, function={"name": "rate", "arguments": {"lr": 0.1}})
    ),
    "thoughts apart from the answer": pieces({"reasoning_content": '{"lr": 7} or'}, {"content": '{"lr": 0.1}'}),
    "thoughts under another name": pieces({"reasoning": "let me see"}, {"content": '{"lr": 0.1}'}),
    "thoughts in tags": streamed("<think>", '{"lr": 7}', "</think>", '{"lr": 0.1}'),
    "content as a list": pieces(
        {"content": [{"type": "text", "text": '{"lr": '}, None]}, {"content": [{"text": "0.1}"}]}
    ),
    "whole messages": pieces({"role": "assistant", "content": '{"lr": 0.1}'}, key="message"),
    "no index of choices": events({"choices": [{"delta": {"content": '{"lr": 0.1}'}}]}),
    "another choice too": events(
        {"choices": [{"index": i, "delta": {"content": f'{{"lr": {lr}}}'}} for i, lr in ((1, 7), (0, 0.1))]}
    ),
    "no end mark": events({"choices": [{"index": 0, "delta": {"content": '{"lr": 0.1}'}}]}, end=""),
    "no line after the last event": Reply(events=('data: {"choices": [{"delta": {"content": "{\\"lr\\": 0.1}"}}]}',)),
    "comments that keep the line open": Reply(
        events=tuple(piece for event in streamed('{"lr": ', "0.1}").events for piece in (": waiting\n\n", "\n", event))
    ),
    "Windows line ends": Reply(events=tuple(event.replace("\n", "\r\n") for event in streamed('{"lr": 0.1}').events)),
    "names of events": Reply(events=tuple(f"event: chunk\nid: 1\n{event}" for event in streamed('{"lr": 0.1}').events)),
    "no space after the colon": Reply(
        events=tuple(event.replace("data: ", "data:") for event in streamed('{"lr": 0.1}').events)
    ),
    "events that nothing can read": Reply(events=("data: {oops\n\n", "data: 7\n\n", *streamed('{"lr": 0.1}').events)),
    "events cut anywhere": Reply(
        events=tuple(piece for event in streamed('{"lr": 0.1}').events for piece in (event[:9], event[9:]))
    ),
    "odd shapes": pieces(
        None, 7, {"content": 7, "tool_calls": [None, 7]}, {"content": '{"lr": 0.1}', "tool_calls": {}}
    ),
    "all at once although a stream was asked for": message('{"lr": 0.1}'),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_stream_is_one_answer_however_it_is_cut(name: str) -> None:
    assert ask(ANSWERS[name]).value == 0.1


def test_tokens_of_a_stream_are_counted_where_the_server_reports_them() -> None:
    assert ask(streamed('{"lr": 0.1}')).call.usage.output == USAGE["completion_tokens"]
    assert ask(streamed('{"lr": 0.1}', usage=False)).call.usage.output is None


def test_a_server_that_still_brings_tokens_is_not_dead() -> None:
    slow = streamed(*'{"lr": 0.1}', pause_s=0.12)
    assert ask(slow, timeout_s=0.6).value == 0.1


def test_an_answer_that_never_ends_is_given_up_after_ten_time_outs() -> None:
    drips = streamed(*["x"] * 1000, pause_s=0.05)
    with serving(lambda request, before: drips) as server:  # noqa: ARG005
        with pytest.raises(ModelDown) as down:
            model_at(server.base_url, timeout_s=0.2).ask(QUESTION, RATE)
        assert 10 < len(server.sent_at) < 1000
    assert (down.value.kind, len(server.requests)) == (Down.TIMEOUT, 1)


UNUSABLE: dict[str, tuple[Reply, Unusable]] = {
    "cut at the limit": (pieces({"content": '{"lr": 0.'}, finish="length"), Unusable.TRUNCATED),
    "a filter": (pieces({"content": ""}, finish="content_filter"), Unusable.CONTENT_FILTER),
    "a refusal in pieces": (pieces({"refusal": "I can"}, {"refusal": "not"}), Unusable.REFUSAL),
    "nothing": (pieces({}), Unusable.EMPTY),
    "no event": (Reply(events=(": hello\n\n",)), Unusable.EMPTY),
    "prose": (streamed("a smaller", " rate"), Unusable.NOT_JSON),
    "more than an answer can have": (streamed("x" * (MAX_RESPONSE_BYTES + 2**20)), Unusable.TOO_LONG),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_stream_without_an_answer_says_why(name: str) -> None:
    reply, kind = UNUSABLE[name]
    with pytest.raises(AnswerUnusable) as caught:
        ask(reply)
    assert (caught.value.kind, caught.value.call.requests) == (kind, 1)


FAILURES: dict[str, tuple[Any, Down]] = {
    "an error with a status": ({"message": "out of memory", "code": 500}, Down.SERVER),
    "an error in one word": ("broken", Down.SERVER),
    "a full context": ({"message": "the request exceeds the available context size (4096)"}, Down.CONTEXT_OVERFLOW),
    "a full context by its code": ({"message": "too long", "code": "context_length_exceeded"}, Down.CONTEXT_OVERFLOW),
    "too many requests": ({"message": "slow down", "code": 429}, Down.RATE_LIMIT),
    "a status that is none": ({"message": "oops", "code": 200}, Down.SERVER),
}


@pytest.mark.parametrize("name", FAILURES)
def test_an_error_in_the_middle_of_a_stream_has_its_kind(name: str) -> None:
    failure, kind = FAILURES[name]
    with pytest.raises(ModelDown) as caught:
        ask(events({"choices": [{"delta": {"content": '{"lr"'}}]}, {"error": failure}))
    assert caught.value.kind is kind


def test_a_stream_that_breaks_off_is_a_lost_connection() -> None:
    with pytest.raises(ModelDown) as caught:
        ask(streamed(*'{"lr": 0.1}', cut=True))
    assert caught.value.kind is Down.CUT


@pytest.mark.parametrize(
    "words",
    [
        "stream: Extra inputs are not permitted",
        "Unsupported value: 'stream' does not support true with this model",
        "Unrecognized request argument supplied: stream_options",
        "streaming is not supported for this model",
        "body -> stream_options: Extra inputs are not permitted",
    ],
)
def test_a_server_that_cannot_stream_is_asked_for_the_answer_at_once(words: str) -> None:
    def strict(request: Request, before: int) -> Reply:  # noqa: ARG001
        return error(400, words) if request.get("stream") else message('{"lr": 0.1}')

    with serving(strict) as server:
        model = model_at(server.base_url)
        answers = [model.ask(QUESTION, RATE) for _ in range(2)]
    assert [answer.value for answer in answers] == [0.1, 0.1]
    assert [bool(request.get("stream")) for request in server.requests] == [True, False, False]
    assert "stream_options" not in server.requests[-1]
    assert answers[0].call.notes == ()


def test_a_person_may_switch_streams_off() -> None:
    options = RequestOptions(body={"stream": False})
    with serving(lambda request, before: message('{"lr": 0.1}')) as server:  # noqa: ARG005
        LangChainModel("m", base_url=server.base_url, options=options, own_prices={}).ask(QUESTION, RATE)
    assert server.requests[0]["stream"] is False
    assert "stream_options" not in server.requests[0]


def test_a_server_of_ones_own_works_on_one_question_at_a_time() -> None:
    at_work, most, lock = [0], [0], threading.Lock()

    def counting(request: Request, before: int) -> Reply:  # noqa: ARG001
        with lock:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
        threading.Event().wait(0.05)
        with lock:
            at_work[0] -= 1
        return message('{"lr": 0.1}')

    with serving(counting) as server:
        model = model_at(server.base_url)
        at_once(lambda: model.ask(QUESTION, RATE), 4)
    assert (len(server.requests), most) == (4, [1])


def at_once(work: Callable[[], object], count: int) -> None:
    threads: Sequence[threading.Thread] = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
