"""Options of [planner] in requests, what happens when a server refuses one, and prompts that are too long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from fakes.llm.server import Reply, Request, error, message, serving

from tunesmith.agent.llm.client.client import LangChainModel
from tunesmith.agent.llm.client.failures.errors import Down, ModelDown
from tunesmith.agent.llm.client.options import RequestOptions
from tunesmith.agent.llm.client.types import AnswerFormat
from tunesmith.prompts.message import Message
from tunesmith.study.config.load import parse_spec
from tunesmith.study.errors import SpecError

ANY = AnswerFormat("rate", {"type": "object", "properties": {}}, lambda found: found)
QUESTION = [Message("user", "hi")]
GOOD = message('{"lr": 0.1}')
STUDY: dict[str, Any] = {
    "study": {"name": "toy", "metric": "loss"},
    "run": {"command": "python train.py --x {x}"},
    "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}},
    "budget": {"trials": 3},
}


def options_of(**planner: Any) -> RequestOptions:
    return RequestOptions.from_planner(parse_spec({**STUDY, "planner": planner}, where="study.toml").planner)


def model_at(base_url: str, options: RequestOptions) -> LangChainModel:
    return LangChainModel("m", base_url=base_url, options=options, own_prices={}, sleep=lambda _: None)


def test_every_option_of_planner_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM_KEY", "a-value")
    options = options_of(
        max_tokens=700,
        temperature=0.3,
        reasoning_effort="low",
        headers={"X-Team": "Bearer $TEAM_KEY", "X-Plain": "vision"},
        body={"top_p": 0.9, "chat_template_kwargs": {"enable_thinking": False}},
    )
    with serving(lambda request, before: GOOD) as server:  # noqa: ARG005
        model_at(server.base_url, options).ask(QUESTION, ANY)
    (request,) = server.requests
    assert (request["max_tokens"], request["temperature"], request["reasoning_effort"]) == (700, 0.3, "low")
    assert (request["top_p"], request["chat_template_kwargs"]) == (0.9, {"enable_thinking": False})
    assert request["headers"]["x-team"] == "Bearer a-value"
    assert request["headers"]["x-plain"] == "vision"


def test_without_options_nothing_but_the_question_is_sent() -> None:
    with serving(lambda request, before: GOOD) as server:  # noqa: ARG005
        model_at(server.base_url, RequestOptions()).ask(QUESTION, ANY)
    assert not {"max_tokens", "max_completion_tokens", "temperature", "reasoning_effort"} & set(server.requests[0])


def test_the_timeout_is_five_minutes_unless_it_is_set() -> None:
    assert options_of().timeout_s == 300
    assert options_of(timeout="10m").timeout_s == 600
    assert options_of(timeout=45).timeout_s == 45


def test_a_header_whose_variable_is_missing_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEAM_KEY", raising=False)
    with pytest.raises(ModelDown, match="headers needs TEAM_KEY in the environment"):
        model_at("http://127.0.0.1:9/v1", options_of(headers={"X-Team": "$TEAM_KEY"})).ask(QUESTION, ANY)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "timeout": ({"timeout": 0}, "planner.timeout"),
    "timeout as a word": ({"timeout": "long"}, "planner.timeout"),
    "max_tokens": ({"max_tokens": 0}, "planner.max_tokens"),
    "max_tokens as text": ({"max_tokens": "700"}, "planner.max_tokens"),
    "temperature": ({"temperature": 3}, "planner.temperature"),
    "reasoning_effort": ({"reasoning_effort": 1}, "planner.reasoning_effort"),
    "headers": ({"headers": {"X": 1}}, "planner.headers"),
    "body": ({"body": "top_p"}, "planner.body"),
    "a key that does not exist": ({"max_token": 5}, "max_tokens"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_option_is_named(name: str) -> None:
    planner, key = WRONG[name]
    with pytest.raises(SpecError, match=key.replace(".", r"\.")):
        options_of(**planner)


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "temperature": ({"temperature": 0.3}, "Unsupported value: 'temperature' does not support 0.3 with this model."),
    "a plain sentence": ({"temperature": 0.3}, "temperature is not supported"),
    "reasoning_effort": ({"reasoning_effort": "low"}, "Unrecognized request argument supplied: reasoning_effort"),
    "max_tokens": ({"max_tokens": 9}, "max_tokens is too large: 9. This model supports at most 4 completion tokens"),
    "a key of body": ({"body": {"top_p": 0.9}}, "Extra inputs are not permitted: top_p"),
    "pydantic": ({"temperature": 0.3}, "body -> temperature: Extra inputs are not permitted"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refused_option_is_left_out_once_with_a_note_and_stays_out(name: str) -> None:
    planner, words = REFUSALS[name]
    (key,) = planner.get("body", planner)

    def strict(request: Request, before: int) -> Reply:  # noqa: ARG001
        return error(400, words) if key in request else GOOD

    with serving(strict) as server:
        model = model_at(server.base_url, options_of(**planner))
        first = model.ask(QUESTION, ANY).call
        second = model.ask(QUESTION, ANY).call
    assert (first.requests, second.requests) == (2, 1)
    assert [key in request for request in server.requests] == [True, False, False]
    assert len(first.notes) == 1
    assert key in first.notes[0]
    assert second.notes == ()
    assert "response_format" in server.requests[-1]  # the way of asking was not given up


def test_a_limit_that_has_a_newer_name_is_sent_under_it() -> None:
    words = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."

    def new_name(request: Request, before: int) -> Reply:  # noqa: ARG001
        return error(400, words) if "max_tokens" in request else GOOD

    with serving(new_name) as server:
        call = model_at(server.base_url, options_of(max_tokens=700)).ask(QUESTION, ANY).call
    assert (server.requests[-1]["max_completion_tokens"], call.notes) == (700, ())


OVERFLOW: Mapping[str, tuple[int, str]] = {
    "OpenAI": (400, "This model's maximum context length is 2048 tokens."),
    "OpenAI's Responses": (400, "Your input exceeds the context window of this model. Please adjust your input."),
    "llama.cpp": (400, "request (4267 tokens) exceeds the available context size (4096 tokens), try increasing it"),
    "llama.cpp, older": (500, "Context size has been exceeded."),
    "llama-cpp-python": (400, "Requested tokens (5000) exceed context window of 2048"),
    "Anthropic": (400, "prompt is too long: 215000 tokens > 200000 maximum"),
    "Anthropic with max_tokens": (400, "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"),
    "Gemini": (400, "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."),
    "Vertex": (400, "the input token count is 1200000 but model only supports up to 1048576"),
    "Ollama": (400, "input length exceeds the context length"),
    "Ollama, newer": (400, "prompt too long; exceeded max context length by 12 tokens"),
    "vLLM": (400, "The decoder prompt (length 5000) is longer than the maximum model length of 4096."),
    "vLLM, newer": (400, "You passed 5001 input tokens. However, the model's context length is only 4096 tokens"),
    "SGLang": (400, "The input (5000 tokens) is longer than the model's context length (4096 tokens)."),
    "TGI": (422, "Input validation error: `inputs` must have less than 1024 tokens. Given: 2000"),
    "TGI with the answer": (422, "`inputs` tokens + `max_new_tokens` must be <= 2048. Given: 3000"),
    "LM Studio": (400, "the model is loaded with context length of only 4096 tokens, which is not enough"),
    "LM Studio, newer": (
        400,
        "number of tokens to keep from the initial prompt is greater than the context length",
    ),
    "Bedrock": (400, "Input is too long for requested model."),
    "Mistral": (400, "Prompt contains 40000 tokens, too large for model with 32768 maximum context length"),
    "Groq": (400, "Please reduce the length of the messages or completion."),
    "Together": (422, "`inputs` tokens + `max_new_tokens` must be <= 4097. Given: 5000"),
    "OpenRouter": (400, "This endpoint's maximum context length is 32768 tokens. However, you requested about 40000"),
    "Cohere": (400, "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 5000."),
    "xAI": (400, "This model's maximum prompt length is 131072 but the request contains 200000 tokens."),
    "GitHub Models": (413, "Request body too large for gpt-4o model. Max size: 8000 tokens."),
}


@pytest.mark.parametrize("name", OVERFLOW)
def test_a_prompt_that_is_too_long_is_recognised_in_the_words_of(name: str) -> None:
    status, words = OVERFLOW[name]
    replies = [error(status, words), GOOD]
    with serving(lambda request, before: replies[min(before, 1)]) as server:  # noqa: ARG005
        model = model_at(server.base_url, RequestOptions())
        with pytest.raises(ModelDown) as caught:
            model.ask(QUESTION, ANY)
        assert (caught.value.kind, caught.value.call.requests) == (Down.CONTEXT_OVERFLOW, 1)
        model.ask(QUESTION, ANY)
    assert "response_format" in server.requests[-1]  # the way of asking was not given up


OTHERS: Mapping[str, tuple[int, str, Down]] = {
    "too many requests": (429, "too many tokens, please wait before trying again", Down.RATE_LIMIT),
    "tokens per minute": (413, "Request too large for model on tokens per minute (TPM): Limit 6000", Down.TOO_LARGE),
    "a busy server": (503, "the context was busy", Down.SERVER),
    "a missing model": (404, "the model does not exist", Down.NOT_FOUND),
    "a wrong schema": (400, "Invalid schema: context=('properties',) is too deep", Down.BAD_REQUEST),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_failures_are_not_taken_for_a_prompt_that_is_too_long(name: str) -> None:
    status, words, kind = OTHERS[name]
    with serving(lambda request, before: error(status, words)) as server, pytest.raises(ModelDown) as caught:  # noqa: ARG005
        model_at(server.base_url, RequestOptions()).ask(QUESTION, ANY)
    assert caught.value.kind is kind
