"""No answer of a server ends a study: each is read, or refused with its reason, and billed in requests and tokens."""

from __future__ import annotations

import gc
import gzip
import json
import threading
import traceback
from typing import Any

import pytest
from fakes.llm.server import Reply, message, serving, tool_call
from langchain_core.messages import AIMessage

from tunesmith.agent.llm.client import client as client_module
from tunesmith.agent.llm.client.client import LangChainModel
from tunesmith.agent.llm.client.failures.errors import AnswerUnusable, ModelDown, Unusable
from tunesmith.agent.llm.client.options import RequestOptions
from tunesmith.agent.llm.client.types import MAX_RESPONSE_BYTES, AnswerFormat, LookupTool, ModelAnswer
from tunesmith.prompts.message import Message

ANY = AnswerFormat("rate", {"type": "object"}, lambda found: {**found})
FLOATS = AnswerFormat("rate", {"type": "object"}, lambda found: {name: float(value) for name, value in found.items()})
TOOL = LookupTool("look", "looks", {"type": "object", "properties": {}}, lambda args: str(args))


def make(base_url: str) -> LangChainModel:
    options = RequestOptions(timeout_s=20.0)
    return LangChainModel("openai:m", base_url=base_url, sleep=lambda s: None, own_prices={}, options=options)


def ask(reply: Reply, answer_format: AnswerFormat[Any] = ANY, **more: Any) -> ModelAnswer[Any]:
    with serving(lambda request, before: reply) as server:  # noqa: ARG005
        return make(server.base_url).ask([Message("user", "x")], answer_format, **more)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")


REFUSED = {
    "half of a pair in a text": r'{"rationale": "h \ud800"}',
    "half of a pair in a name": r'{"h\udfff": 1}',
    "half of a pair deep inside": r'{"a": [{"b": ["\udc00\ud800"]}]}',
    "half of a pair as Python": r"{'rationale': '\ud800'}",
    "a zero byte in a text": r'{"path": "x\u0000.py"}',
    "a zero byte in a name": r'{"\u0000": {}}',
    "a zero byte itself": '{"path": "x\0.py"}',
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("as_call", [False, True])
def test_text_that_nothing_can_hold_is_refused_and_billed(text: str, as_call: bool) -> None:
    with pytest.raises(AnswerUnusable) as refused:
        ask(tool_call("rate", text) if as_call else message(text))
    assert refused.value.kind in (Unusable.WRONG_SHAPE, Unusable.NOT_JSON)
    assert "leave it out" in refused.value.reason or refused.value.kind is Unusable.NOT_JSON
    refused.value.text.encode()
    refused.value.reason.encode()
    assert refused.value.call.requests >= 1
    assert refused.value.call.usage.output == 20 * refused.value.call.requests


@pytest.mark.parametrize(
    "text", ['{"x": 1' + "0" * 400 + "}", '{"x": 1' + "0" * 5000 + "}", '{"x": "' + "9" * 99999 + '"}']
)
def test_numbers_that_no_float_can_hold_are_refused_or_infinite(text: str) -> None:
    try:
        found = ask(message(text), FLOATS).value["x"]
    except AnswerUnusable as refused:
        found = float(refused.call.usage.input or 0)
    assert found >= 100


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000,
        b"null", b"[]", b"{}", b'"text"', b"\xff\xfe\x00", b"",
        b'{"choices": null}', b'{"choices": [null]}', b'{"choices": [{}]}', b'{"choices": [{"message": null}]}',
        b'{"choices": [{"message": {"role": "assistant", "content": {"a": 1}}}], "usage": {"prompt_tokens": "lots"}}',
        b'{"choices": [{"message": {"role": "assistant", "content": [1, null]}}], "usage": []}',
        b'{"choices": [{"message": {"role": "nobody", "content": "{}"}}], "usage": {"prompt_tokens": -1e999}}',
        b'{"choices": [{"message": {"role": "assistant", "content": 7, "tool_calls": [{"function": {"name": []}}]}}]}',
        b'{"choices": [{"message": {"tool_calls": [{"id": 5, "function": {"name": "rate", "arguments": [1]}}]}}]}',
        json.dumps({"choices": [{"message": {"role": "assistant", "content": "{" * 100_000}}]}).encode(),
        json.dumps({"choices": [{"message": {"role": "assistant", "content": '{"a":' * 50_000}}]}).encode(),
    ],
)  # fmt: skip
def test_a_response_of_any_shape_is_a_refusal(body: bytes) -> None:
    with pytest.raises((AnswerUnusable, ModelDown)) as refused:
        ask(Reply(body=body))
    assert refused.value.call.requests >= 1


@pytest.mark.parametrize("packed", [False, True])
def test_an_endless_answer_is_cut_off_while_it_arrives_and_billed(packed: bool) -> None:
    text = json.dumps({"choices": [{"message": {"role": "assistant", "content": "x" * (MAX_RESPONSE_BYTES + 2**20)}}]})
    body = gzip.compress(text.encode(), 1) if packed else text.encode()
    with pytest.raises(AnswerUnusable) as refused:
        ask(Reply(body=body, headers={"content-encoding": "gzip"} if packed else {}))
    assert refused.value.kind is Unusable.TOO_LONG
    assert "32 MiB" in refused.value.reason
    assert refused.value.call.requests == 1
    assert (refused.value.call.usage.output or 0) > 1_000_000


@pytest.mark.parametrize("text", ["[" * 100_000, "x" * 300_000, '{"a": ' + "1" * 9_000 + "}", '{"a": "\\ud800"}', ""])
def test_a_refusal_does_not_keep_the_answer(text: str) -> None:
    """Futures and logs keep the error; what its frames hold would stay with it."""
    with pytest.raises((AnswerUnusable, ModelDown)) as refused:
        ask(message(text))
    error = refused.value
    assert error.__context__ is None
    assert error.__cause__ is None
    held = [value for frame, _ in traceback.walk_tb(error.__traceback__) for value in frame.f_locals.values()]
    assert not any(isinstance(value, AIMessage) for value in held)


def test_a_response_is_freed_without_a_garbage_collection() -> None:
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(AnswerUnusable):
            ask(message("x" * 300_000))
        kept = [
            o for o in gc.get_objects() if type(o).__name__ == "Response" and len(getattr(o, "content", b"")) > 300_000
        ]
    finally:
        gc.enable()
    assert kept == []


def test_a_long_answer_in_a_call_is_refused() -> None:
    with pytest.raises(AnswerUnusable) as refused:
        ask(tool_call("rate", json.dumps({"x": "y" * 300_000})))
    assert refused.value.kind is Unusable.TOO_LONG


def test_what_a_tool_is_given_and_answers_is_valid_text() -> None:
    seen: list[Any] = []

    def look(args: Any) -> str:
        seen.append(args)
        return "found \udc80"

    replies = [tool_call("look", r'{"w": "\ud800", "\udfff": "\u0000"}'), tool_call("rate", '{"lr": 0.1}')]
    tool = LookupTool("look", "looks", {"type": "object", "properties": {}}, look)
    with serving(lambda request, before: replies[min(before, 1)]) as server:  # noqa: ARG005
        answer = make(server.base_url).ask([Message("user", "x \ud800")], ANY, tools=[tool])
        assert answer.value == {"lr": 0.1}
        json.dumps(server.requests[1], ensure_ascii=False).encode()
    assert seen == [{"w": "\ufffd", "\ufffd": "\ufffd"}]
    answer.call.tools[0].result.encode()


class Unprintable(Exception):
    """An exception whose text cannot be read, as of a client's own bug."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    @property
    def response(self) -> None:
        raise RuntimeError("no response")


class Panic(BaseException):
    """What a client written in Rust raises: not an Exception."""


ERRORS: list[BaseException] = [
    Unprintable(), Panic("panicked"), SystemExit(3), RecursionError("deep"), MemoryError(), StopIteration(),
    ExceptionGroup("several", [ValueError("a")]), AssertionError(), UnicodeEncodeError("utf-8", "\ud800", 0, 1, "no"),
    KeyError("choices"), OverflowError("too large"), OSError(5, "I/O"), NotImplementedError(), EOFError(),
    ImportError("x" * 10**6),
]  # fmt: skip


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("in_thread", [False, True])
def test_an_exception_of_any_class_is_no_answer(
    error: BaseException, in_thread: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> AIMessage:
        raise error

    monkeypatch.setattr(client_module, "bind_format", lambda *_, **__: type("C", (), {"invoke": broken})())
    found: list[BaseException] = []

    def question() -> None:
        try:
            make("http://127.0.0.1:1/v1").ask([Message("user", "x")], ANY)
        except (ModelDown, AnswerUnusable) as refused:
            found.append(refused)

    if in_thread:
        thread = threading.Thread(target=question)
        thread.start()
        thread.join()
    else:
        question()
    (refused,) = found
    assert isinstance(refused, ModelDown | AnswerUnusable)
    assert refused.call.requests >= 1
    assert len(refused.reason) < 500


def test_ctrl_c_is_still_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> AIMessage:
        raise KeyboardInterrupt

    monkeypatch.setattr(client_module, "bind_format", lambda *_, **__: type("C", (), {"invoke": interrupted})())
    with pytest.raises(KeyboardInterrupt):
        make("http://127.0.0.1:1/v1").ask([Message("user", "x")], ANY)


def test_reading_an_answer_may_raise_anything() -> None:
    for error in (TypeError("no"), KeyError("a"), RecursionError(), ZeroDivisionError(), Unprintable()):

        def read(found: Any, error: Exception = error) -> Any:  # noqa: ARG001
            raise error

        with pytest.raises(AnswerUnusable) as refused:
            ask(message('{"a": 1}'), AnswerFormat("rate", {"type": "object"}, read))
        assert refused.value.call.usage.output == 20
