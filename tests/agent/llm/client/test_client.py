"""The client of a language model, over real HTTP: each failure has a kind, a reason, and a bounded cost."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from fakes.llm.server import Behaviour, Reply, Request, Server, error, format_method, message, serving, tool_call

from tunesmith.agent.llm.client.client import LangChainModel
from tunesmith.agent.llm.client.failures.errors import AnswerUnusable, Down, ModelDown, Unusable
from tunesmith.agent.llm.client.fallbacks import FallbackModel
from tunesmith.agent.llm.client.options import RequestOptions
from tunesmith.agent.llm.client.types import AnswerFormat, LookupTool, ModelAnswer
from tunesmith.prompts.message import Message
from tunesmith.study.errors import ToolRefused

KEY = "sk-secret-0123456789abcdef"
PROMPT = "a-prompt-that-no-error-may-contain"


def read_rate(found: Mapping[str, Any]) -> float:
    if set(found) != {"lr"} or isinstance(found["lr"], bool) or not isinstance(found["lr"], int | float):
        raise ValueError('lr: give a number, as in {"lr": 0.1}')
    return float(found["lr"])


RATE = AnswerFormat(
    "rate",
    {"type": "object", "properties": {"lr": {"type": "number"}}, "required": ["lr"], "additionalProperties": False},
    read_rate,
)
GOOD = message('{"lr": 0.1}')


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def always(reply: Reply) -> Behaviour:
    return lambda request, before: reply  # noqa: ARG005


def ask(
    server: Server,
    *,
    slept: list[float] | None = None,
    tools: tuple[LookupTool, ...] = (),
    options: RequestOptions | None = None,
) -> ModelAnswer[float]:
    waits = slept if slept is not None else []
    options = options or RequestOptions(timeout_s=5.0)
    model = LangChainModel("openai:m", base_url=server.base_url, sleep=waits.append, own_prices={}, options=options)
    return model.ask([Message("system", "be brief"), Message("user", PROMPT)], RATE, tools=tools)


def first_that(served: Callable[[Request], bool], reply: Reply, otherwise: Reply) -> Behaviour:
    return lambda request, before: reply if served(request) else otherwise  # noqa: ARG005


ANSWERS: dict[str, Behaviour] = {
    "as asked": always(GOOD),
    "in prose": always(message('Sure! I suggest {"lr": 0.1} because it is {usual}.')),
    "in a code fence": always(message('Here:\n```json\n{"lr": 0.1}\n```\nGood luck!')),
    "without usage": always(message('{"lr": 0.1}', usage=False)),
    "where json_schema is refused with 500": first_that(
        lambda r: format_method(r) == "json_schema",
        error(500, "Input should be 'text' or 'json_object'"),
        tool_call("rate", '{"lr": 0.1}'),
    ),
    "where only plain text works": first_that(
        lambda r: format_method(r) != "plain", error(400, "response_format and tools are not supported"), GOOD
    ),
    "where only json_object takes a schema": first_that(
        lambda r: format_method(r) != "json_object", error(500, "Input should be 'text' or 'json_object'"), GOOD
    ),
    "where a bare 400 meets every form": first_that(lambda r: format_method(r) != "plain", error(400), GOOD),
    "where tools are ignored": first_that(lambda r: format_method(r) == "json_schema", error(422, "json_schema"), GOOD),
    "after one 503": lambda request, before: error(503) if before == 0 else GOOD,  # noqa: ARG005
    "after one 429 that says when": lambda request, before: error(429, retry_after="3") if before == 0 else GOOD,  # noqa: ARG005
    "after one cut answer": lambda request, before: Reply(body=GOOD.body, cut=True) if before == 0 else GOOD,  # noqa: ARG005
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_found(name: str) -> None:
    with serving(ANSWERS[name]) as server:
        answer = ask(server)
    assert answer.value == 0.1
    assert answer.call.requests == len(server.requests) <= 4
    assert (answer.call.usage.input is None) == (name == "without usage")


def test_a_method_is_rejected_after_two_answers_that_ignore_it() -> None:
    """A server may accept tools and then ignore them."""

    def ignores_tools(request: Request, before: int) -> Reply:  # noqa: ARG001
        return message("as you like it") if format_method(request) == "function_calling" else GOOD

    with serving(ignores_tools) as server:
        model = LangChainModel("openai:m", base_url=server.base_url, own_prices={})
        tools = [LookupTool("look", "looks", {"type": "object", "properties": {}}, lambda given: "nothing")]  # noqa: ARG005
        for _ in range(2):
            with pytest.raises(AnswerUnusable):
                model.ask([Message("user", PROMPT)], RATE, tools=tools)
        assert model.ask([Message("user", PROMPT)], RATE, tools=tools).value == 0.1
        assert [format_method(r) for r in server.requests] == ["function_calling", "function_calling", "json_schema"]


DOWN: dict[str, tuple[Reply, Down, int]] = {
    "400": (error(400), Down.BAD_REQUEST, 4),
    "401": (error(401, f"bad key {KEY}", code="invalid_api_key"), Down.AUTH, 1),
    "403": (error(403), Down.FORBIDDEN, 1),
    "404 model": (error(404, "the model does not exist", code="model_not_found"), Down.NOT_FOUND, 1),
    "408": (error(408), Down.TIMEOUT, 4),
    "409": (error(409), Down.SERVER, 4),
    "413": (error(413), Down.TOO_LARGE, 1),
    "429": (error(429), Down.RATE_LIMIT, 4),
    "429 with Retry-After": (error(429, retry_after="2"), Down.RATE_LIMIT, 4),
    "429 with a long Retry-After": (error(429, retry_after="3600"), Down.RATE_LIMIT, 1),
    "quota": (error(429, "You exceeded your quota", code="insufficient_quota"), Down.QUOTA, 1),
    "500": (error(500), Down.SERVER, 4),
    "502": (error(502), Down.SERVER, 4),
    "503": (error(503), Down.SERVER, 4),
    "504": (error(504), Down.TIMEOUT, 1),
    "524": (error(524), Down.TIMEOUT, 1),
    "529": (error(529, "overloaded"), Down.SERVER, 4),
    "context overflow": (error(400, "too long", code="context_length_exceeded"), Down.CONTEXT_OVERFLOW, 1),
    "HTML with 200": (Reply(body=b"<html>hi</html>", headers={"content-type": "text/html"}), Down.GATEWAY, 4),
    "empty body": (Reply(body=b""), Down.GATEWAY, 4),
    "cut every time": (Reply(body=GOOD.body, cut=True), Down.CUT, 4),
    "too slow": (Reply(body=GOOD.body, delay_s=1.5), Down.TIMEOUT, 1),
}


@pytest.mark.parametrize("name", DOWN)
def test_each_failure_has_a_kind_a_reason_and_a_limited_number_of_requests(name: str) -> None:
    reply, kind, requests = DOWN[name]
    slept: list[float] = []
    with serving(always(reply)) as server, pytest.raises(ModelDown) as caught:
        ask(server, slept=slept, options=RequestOptions(timeout_s=0.4 if name == "too slow" else 5.0))
    assert caught.value.kind is kind
    assert len(server.requests) == requests == caught.value.call.requests
    assert_clean(caught.value.reason)
    if name == "429 with Retry-After":
        assert slept == [2.0, 2.0, 2.0]


def test_a_closed_port_and_an_unknown_host_name_base_url() -> None:
    with serving(always(GOOD)) as server:
        gone = server
    for url, kind in ((gone.base_url, Down.REFUSED_CONNECTION), ("http://model.invalid/v1", Down.DNS)):
        with pytest.raises(ModelDown) as caught:
            ask(Server(url))
        assert caught.value.kind is kind
        assert "base_url" in caught.value.reason
        assert_clean(caught.value.reason)


UNUSABLE: dict[str, tuple[Reply, Unusable]] = {
    "null content": (message(None), Unusable.EMPTY),
    "empty choices": (
        Reply(
            body=json.dumps(
                {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": []}
            ).encode()
        ),
        Unusable.EMPTY,
    ),
    "truncated": (message('{"lr": 0.', finish="length"), Unusable.TRUNCATED),
    "only prose": (message("I would try a smaller rate."), Unusable.NOT_JSON),
    "broken JSON": (message('{"lr": 0.1'), Unusable.NOT_JSON),
    "NaN": (message('{"lr": NaN}'), Unusable.NOT_JSON),
    "Infinity": (message('{"lr": -Infinity}'), Unusable.NOT_JSON),
    "wrong type": (message('{"lr": "fast"}'), Unusable.WRONG_SHAPE),
    "wrong names": (message('{"rate": 0.1}'), Unusable.WRONG_SHAPE),
    "10 MB": (message('{"lr": 0.1, "why": "' + "x" * 10_000_000 + '"}'), Unusable.TOO_LONG),
    "refusal": (message(None, refusal="I cannot help with that"), Unusable.REFUSAL),
    "content filter": (message("", finish="content_filter"), Unusable.CONTENT_FILTER),
    "deep nesting": (message('{"a":' * 20_000), Unusable.NOT_JSON),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_unusable_answer_has_a_reason_and_a_cost(name: str) -> None:
    reply, kind = UNUSABLE[name]
    with serving(always(reply)) as server, pytest.raises(AnswerUnusable) as caught:
        ask(server)
    assert caught.value.kind is kind
    assert len(server.requests) == 1
    assert len(caught.value.text) <= 2000
    assert_clean(caught.value.reason)


def test_a_rejected_method_is_tried_once() -> None:
    refusing = first_that(
        lambda r: format_method(r) == "json_schema", error(400, "no json_schema"), tool_call("rate", '{"lr": 0.1}')
    )
    with serving(refusing) as server:
        model = LangChainModel("m", base_url=server.base_url, own_prices={}, sleep=lambda _: None)
        for _ in range(3):
            assert model.ask([Message("user", "hi")], RATE).value == 0.1
    assert [format_method(r) for r in server.requests] == ["json_schema", *["function_calling"] * 3]


def looked_up(arguments: Mapping[str, Any]) -> str:
    if arguments.get("number") == 99:
        raise ToolRefused("trial 99 does not exist; the last one is 7")
    if "number" not in arguments:
        raise KeyError("number")
    return f"trial {arguments['number']} had loss 0.3 " + "." * 9000


TRIAL = LookupTool("trial", "one trial", {"type": "object", "properties": {"number": {"type": "integer"}}}, looked_up)


def test_tools_run_in_rounds_before_the_answer() -> None:
    replies = [
        tool_call("trial", '{"number": 3}'),
        tool_call("trial", '{"number": 99}'),
        tool_call("trial", "{}"),
        GOOD,
    ]
    with serving(lambda request, before: replies[before]) as server:  # noqa: ARG005
        answer = ask(server, tools=(TRIAL,))
    assert answer.value == 0.1
    assert [u.name for u in answer.call.tools] == ["trial"] * 3
    results = [m["content"] for m in server.requests[-1]["messages"] if m["role"] == "tool"]
    assert results[0].startswith("trial 3 had loss 0.3")
    assert len(results[0]) == 4000
    assert results[1:] == ["trial 99 does not exist; the last one is 7", "the tool failed: KeyError"]
    assert answer.call.usage.input == 400


@pytest.mark.parametrize("call", [tool_call("shell", '{"command": "rm -rf /"}'), tool_call("trial", '{"number": ')])
def test_an_unknown_tool_and_broken_arguments_go_back_to_the_model(call: Reply) -> None:
    with serving(lambda request, before: call if before == 0 else GOOD) as server:  # noqa: ARG005
        assert ask(server, tools=(TRIAL,)).value == 0.1
    results = [m["content"] for m in server.requests[-1]["messages"] if m["role"] == "tool"]
    assert "there is no tool 'shell'" in results[0] or "not a JSON object" in results[0]


def test_endless_tool_calls_are_stopped() -> None:
    with serving(always(tool_call("trial", '{"number": 1}'))) as server, pytest.raises(AnswerUnusable) as caught:
        ask(server, tools=(TRIAL,))
    assert caught.value.kind is Unusable.ENDLESS_TOOLS
    assert len(server.requests) == 8


def test_the_next_model_answers_when_one_is_down_and_a_refused_key_is_not_tried_again() -> None:
    with serving(always(error(401))) as broken, serving(always(GOOD)) as whole:
        models = [
            LangChainModel("m", base_url=s.base_url, own_prices={}, sleep=lambda _: None) for s in (broken, whole)
        ]
        both = FallbackModel(models)
        for _ in range(2):
            assert both.ask([Message("user", "hi")], RATE).value == 0.1
    assert len(broken.requests) == 1
    assert len(whole.requests) == 2


def test_a_missing_key_and_a_missing_package_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    for name, says in (
        ("openai:gpt-5-mini", "OPENAI_API_KEY"),
        ("anthropic:claude", "pip install langchain-anthropic"),
    ):
        with pytest.raises(ModelDown, match=says) as caught:
            LangChainModel(name, own_prices={}).ask([Message("user", PROMPT)], RATE)
        assert caught.value.permanent
        assert_clean(caught.value.reason)


def assert_clean(text: str) -> None:
    assert KEY not in text
    assert PROMPT not in text
    assert "Traceback" not in text
    assert "\n" not in text.strip()
