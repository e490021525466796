"""Small models behind a server of one's own: short contexts, slow answers, forms that the server does not support."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from fakes.llm.answers import candidates_reply, candidates_text, drawn_points
from fakes.llm.server import USAGE, Reply, Request, Server, error, format_method, message, serving, tool_call
from fakes.views import view

import tunesmith as ts
from tunesmith.agent.llm.client.client import LangChainModel
from tunesmith.agent.llm.client.failures.errors import AnswerUnusable, Unusable
from tunesmith.agent.llm.client.failures.overflow import context_tokens
from tunesmith.agent.llm.client.options import DEFAULT_ANSWER_TOKENS, RequestOptions
from tunesmith.agent.llm.client.types import AnswerFormat, LookupTool
from tunesmith.agent.llm.planner import Batch, BatchFailure, LLMPlanner
from tunesmith.agent.llm.prompt_context import make_prompt_context
from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.prompts.message import Message
from tunesmith.prompts.planner_prompts import StudyBrief
from tunesmith.study.config.load import parse_spec
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.view import Objective

SPACE = {f"x{i}": ts.Float(0.0, 1.0) for i in range(8)}
RATE = AnswerFormat("rate", {"type": "object", "properties": {"lr": {"type": "number"}}}, lambda found: found["lr"])
QUESTION = [Message("user", "hi")]
LOOK = LookupTool("look", "Looks into the trials. " * 40, {"type": "object", "properties": {}}, lambda _: "nothing")
STUDY: dict[str, Any] = {
    "study": {"name": "toy", "metric": "loss"},
    "run": {"command": "python train.py --x {x}"},
    "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}},
    "budget": {"trials": 3},
}


def options(**planner: Any) -> RequestOptions:
    return RequestOptions.from_planner(parse_spec({**STUDY, "planner": planner}, where="study.toml").planner)


def model_at(server: Server, **planner: Any) -> LangChainModel:
    return LangChainModel(
        "m", base_url=server.base_url, options=options(**planner), own_prices={}, sleep=lambda _: None
    )


def planner_at(server: Server, **planner: Any) -> LLMPlanner:
    brief = StudyBrief(name="s", space=SearchSpace(SPACE), objectives=(Objective("loss"),), script="x = 1\n" * 3000)
    return LLMPlanner(model_at(server, **planner), brief, tools=lambda view: [LOOK])  # noqa: ARG005


def asked(planner: LLMPlanner) -> Batch:
    known = view(SPACE, [({name: 0.011 * i for name in SPACE}, float(i)) for i in range(60)])
    return planner.candidates(make_prompt_context(known, BayesSampler()))


def prompt_tokens(request: Request) -> int:
    parts = [request.get("messages"), request.get("tools"), request.get("response_format")]
    return len(json.dumps(parts)) // 3


def with_context(tokens: int, refusal: Callable[[int, int, int], Reply]) -> Callable[[Request, int], Reply]:
    """Return a server with this context; `refusal(context, prompt, answer)` answers what does not fit."""

    def serve(request: Request, before: int) -> Reply:
        prompt, answer = prompt_tokens(request), int(request.get("max_tokens") or 0)
        refused = refusal(tokens, prompt, answer)
        return candidates_reply(drawn_points(list(SPACE), before)) if refused.status == 200 else refused

    return serve


def vllm(context: int, prompt: int, answer: int) -> Reply:
    if prompt + answer <= context:
        return message()
    words = f"This model's maximum context length is {context} tokens. However, you requested {prompt + answer} tokens"
    return error(400, f"{words} ({prompt} in the messages, {answer} in the completion).")


def vllm_newer(context: int, prompt: int, answer: int) -> Reply:
    if prompt + answer <= context:
        return message()
    words = f"'max_tokens' or 'max_completion_tokens' is too large: {answer}. This model's maximum context length is"
    return error(400, f"{words} {context} tokens and your request has {prompt} input tokens")


def llama_cpp(context: int, prompt: int, answer: int) -> Reply:  # noqa: ARG001
    words = f"request ({prompt} tokens) exceeds the available context size ({context} tokens), try increasing it"
    return message() if prompt <= context else error(400, words)


def llama_cpp_python(context: int, prompt: int, answer: int) -> Reply:  # noqa: ARG001
    words = f"This model's maximum context length is {context} tokens, however you requested {prompt} tokens"
    return message() if prompt <= context else error(400, words, code="context_length_exceeded")


def nameless(context: int, prompt: int, answer: int) -> Reply:
    return message() if prompt + answer <= 4 * context else error(400, "Input is too long for requested model.")


@pytest.mark.parametrize("refusal", [vllm, vllm_newer, llama_cpp, llama_cpp_python, nameless])
@pytest.mark.parametrize("context", [4096, 8192])
def test_a_question_fits_a_context_that_is_known(context: int, refusal: Callable[[int, int, int], Reply]) -> None:
    with serving(with_context(context, refusal)) as server:
        planner = planner_at(server)
        first, asked_so_far = asked(planner), len(server.requests)
        second = asked(planner)
    assert first.candidates
    assert second.candidates
    assert asked_so_far <= 6
    assert len(server.requests) == asked_so_far + 1
    if refusal is not nameless and context == 4096:
        assert "look" not in [tool["function"]["name"] for tool in server.requests[-1].get("tools", ())]


def test_fewer_candidates_are_asked_for_where_the_answer_has_little_room() -> None:
    with serving(with_context(4096, llama_cpp_python)) as server:
        assert asked(planner_at(server)).candidates
    (last,) = [m["content"] for m in server.requests[-1]["messages"] if "# Your task" in m["content"]]
    assert "Give 3 candidates" in last


def test_an_answer_of_a_server_of_ones_own_has_a_limit_unless_it_has_one_by_another_name() -> None:
    cases: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = [
        ({}, {"max_tokens": DEFAULT_ANSWER_TOKENS}),
        ({"max_tokens": 700}, {"max_tokens": 700}),
        ({"max_tokens": 100_000}, {"max_tokens": 100_000}),
        ({"body": {"max_tokens": 50}}, {"max_tokens": 50}),
        ({"body": {"max_completion_tokens": 50}}, {"max_completion_tokens": 50}),
        ({"body": {"max_new_tokens": 50}}, {"max_new_tokens": 50}),
    ]
    with serving(lambda request, before: message('{"lr": 0.1}')) as server:  # noqa: ARG005
        for given, _ in cases:
            model_at(server, **given).ask(QUESTION, RATE)
    for request, (_, expected) in zip(server.requests, cases, strict=True):
        assert {key: value for key, value in request.items() if key.startswith("max_")} == expected


def test_our_limit_is_left_out_or_renamed_without_a_word_where_a_server_refuses_it() -> None:
    renamed = (
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    )
    unknown = "max_tokens: Extra inputs are not permitted"
    for words, expected in ((renamed, {"max_completion_tokens": DEFAULT_ANSWER_TOKENS}), (unknown, {})):

        def strict(request: Request, before: int, words: str = words) -> Reply:  # noqa: ARG001
            return error(400, words) if "max_tokens" in request else message('{"lr": 0.1}')

        with serving(strict) as server:
            call = model_at(server).ask(QUESTION, RATE).call
        assert {k: v for k, v in server.requests[-1].items() if k.startswith("max_")} == expected
        assert call.notes == ()


THOUGHTS: dict[str, Mapping[str, Any]] = {
    "an empty answer": {"content": ""},
    "no answer": {"content": None, "reasoning_content": "let me see"},
    "an open tag": {"content": '<think>if {"lr": 0.1} is too large, then'},
    "a tag of Mistral": {"content": "[THINK]the rate"},
    "a channel of gpt-oss": {"content": "<|channel|>analysis<|message|>the rate"},
    "thinking once more": {"content": "<think>a</think> so <think>b"},
}


@pytest.mark.parametrize("name", THOUGHTS)
def test_a_model_that_is_cut_while_it_thinks_is_asked_without_our_limit(name: str) -> None:
    def thinking(request: Request, before: int) -> Reply:  # noqa: ARG001
        return message(finish="length", **THOUGHTS[name]) if "max_tokens" in request else message('{"lr": 0.1}')

    with serving(thinking) as server:
        model = model_at(server)
        with pytest.raises(AnswerUnusable) as cut:
            model.ask(QUESTION, RATE)
        assert model.ask(QUESTION, RATE).value == 0.1
        with pytest.raises(AnswerUnusable):  # a limit that a person has set stays
            [model_at(server, max_tokens=50).ask(QUESTION, RATE) for _ in range(2)]
    assert cut.value.kind is Unusable.TRUNCATED
    assert cut.value.call.usage.output == USAGE["completion_tokens"]


def test_a_model_that_rambles_keeps_our_limit_and_is_asked_for_one_candidate() -> None:
    def rambling(request: Request, before: int) -> Reply:  # noqa: ARG001
        is_short = any("Give 1" in m["content"] or "one candidate" in m["content"] for m in request["messages"])
        done = message(candidates_text([{name: 0.7 for name in SPACE}]))
        return done if is_short else message('{"candidates": [{"rationale": "so so so so', finish="length")

    with serving(rambling) as server:
        assert asked(planner_at(server)).candidates
    assert [request["max_tokens"] for request in server.requests] == [DEFAULT_ANSWER_TOKENS] * len(server.requests)


def test_a_call_that_is_cut_is_a_cut_answer() -> None:
    cut = tool_call("rate", '{"lr": 0.')
    body = json.loads(cut.body)
    body["choices"][0]["finish_reason"] = "length"
    with (
        serving(lambda request, before: Reply(body=json.dumps(body).encode())) as server,  # noqa: ARG005
        pytest.raises(AnswerUnusable) as caught,
    ):
        model_at(server).ask(QUESTION, RATE)
    assert caught.value.kind is Unusable.TRUNCATED


def test_tools_that_a_server_ignores_are_given_up_at_once_where_another_form_has_worked() -> None:
    def ignoring(request: Request, before: int) -> Reply:  # noqa: ARG001
        return message("as you like") if format_method(request) == "function_calling" else message('{"lr": 0.1}')

    with serving(ignoring) as server:
        model = model_at(server)
        values = [model.ask(QUESTION, RATE, tools=tools).value for tools in ((), (LOOK,), (LOOK,))]
    methods = [format_method(request) for request in server.requests]
    assert values == [0.1, 0.1, 0.1]
    assert methods == ["json_schema", "function_calling", "json_schema", "json_schema"]


def test_starting_points_need_no_tools() -> None:
    with serving(lambda request, before: candidates_reply([{name: 0.3 for name in SPACE}])) as server:  # noqa: ARG005
        assert planner_at(server).starting_points(view(SPACE, [])).candidates
    assert format_method(server.requests[0]) == "json_schema"


def test_a_question_that_timed_out_is_not_followed_before_as_much_time_has_passed_again() -> None:
    silent = Reply(body=message("{}").body, delay_s=0.8)
    with serving(lambda request, before: silent) as server:  # noqa: ARG005
        batch = asked(planner_at(server, timeout=0.3))
    assert batch.failure is BatchFailure.DOWN
    assert batch.retry_after_s is not None
    assert batch.retry_after_s >= 0.3
    assert len(server.requests) == 1


CONTEXTS: dict[str, int | None] = {
    "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens": 4096,
    "maximum context length is 128,000 tokens": 128_000,
    "request (4267 tokens) exceeds the available context size (4096 tokens), try increasing it": 4096,
    "Requested tokens (5000) exceed context window of 2048": 2048,
    "prompt is too long: 215000 tokens > 200000 maximum": 200_000,
    "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000": 200_000,
    "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).": 1_048_576,
    "the input token count is 1200000 but model only supports up to 1048576": 1_048_576,
    "The decoder prompt (length 5000) is longer than the maximum model length of 4096.": 4096,
    "You passed 5001 input tokens. However, the model's context length is only 4096 tokens": 4096,
    "The input (5000 tokens) is longer than the model's context length (4096 tokens).": 4096,
    "Input validation error: `inputs` must have less than 1024 tokens. Given: 2000": 1024,
    "`inputs` tokens + `max_new_tokens` must be <= 4097. Given: 5000": 4097,
    "the model is loaded with context length of only 4096 tokens, which is not enough": 4096,
    "Prompt contains 40000 tokens, too large for model with 32768 maximum context length": 32_768,
    "the prompt cannot exceed 4081 - received 5000.": 4081,
    "This model's maximum prompt length is 131072 but the request contains 200000 tokens.": 131_072,
    "Request body too large for gpt-4o model. Max size: 8000 tokens.": 8000,
    "Invalid request: Your request exceeded model token limit: 8192": 8192,
    '{"message": "exceed_context_size_error", "n_prompt_tokens": 5000, "n_ctx": 4096}': 4096,
    "Range of input length should be [1, 6000]": 6000,
    "Malformed input request: expected maxLength: 8192, actual: 9000": 8192,
    "max_tokens is too large: 16384 (16384 > 8192 - 6000)": 8192,
    "prompt too long; exceeded max context length by 12 tokens": None,
    "input length exceeds the context length": None,
    "Input is too long for requested model.": None,
    "Please reduce the length of the messages or completion.": None,
    "the context length is 0 tokens": None,
    "the context length is 99999999999999999999999 tokens": None,
}


@pytest.mark.parametrize("text", CONTEXTS)
def test_the_context_is_read_from_the_words_of_the_server(text: str) -> None:
    assert context_tokens(text) == CONTEXTS[text]
