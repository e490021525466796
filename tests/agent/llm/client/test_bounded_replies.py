"""Providers without a counted HTTP client: replies arrive in pieces, and one without end is refused and billed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import Any, TypeAlias

import pytest
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from tunesmith.agent.llm.client import client as client_module
from tunesmith.agent.llm.client.client import LangChainModel
from tunesmith.agent.llm.client.failures.errors import AnswerUnusable, ModelDown, Unusable
from tunesmith.agent.llm.client.replies import bounded_reply
from tunesmith.agent.llm.client.types import AnswerFormat, ModelAnswer
from tunesmith.prompts.message import Message

ANY = AnswerFormat("rate", {"type": "object"}, lambda found: {**found})
USAGE: Any = {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12}
Ask: TypeAlias = Callable[[BaseChatModel], ModelAnswer[Any]]


class AtOnce(BaseChatModel):
    """A provider's client that cannot stream."""

    reply: AIMessage

    @property
    def _llm_type(self) -> str:
        return "fake"

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self.reply)])

    def bind_tools(self, *_: Any, **__: Any) -> Any:
        return self


class InPieces(AtOnce):
    """A provider's client that streams what `pieces` returns."""

    pieces: Callable[[], Iterator[AIMessageChunk]]

    def _stream(self, *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        for piece in self.pieces():
            yield ChatGenerationChunk(message=piece)


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Ask:
    def asked(client: BaseChatModel) -> ModelAnswer[Any]:
        monkeypatch.setattr(client_module, "connect", lambda *_: client)
        model = LangChainModel("somebody:m", sleep=lambda s: None, own_prices={})
        return model.ask([Message("user", "x")], ANY)

    return asked


def in_pieces(pieces: Callable[[], Iterator[AIMessageChunk]]) -> InPieces:
    return InPieces(reply=AIMessage(content="it was not asked for at once"), pieces=pieces)


def arguments(text: str) -> AIMessageChunk:
    return AIMessageChunk(content="", tool_call_chunks=[tool_call_chunk(args=text, index=0)])


ENDLESS: dict[str, AIMessageChunk] = {
    "text": AIMessageChunk(content="x" * 2**16),
    "a text without spaces": AIMessageChunk(content="\u6f22" * 2**16),
    "blocks": AIMessageChunk(content=[{"type": "text", "text": "x" * 2**16, "index": 0}]),
    "arguments": arguments("[" * 2**16),
    "reasoning": AIMessageChunk(content="", additional_kwargs={"reasoning_content": "x" * 2**16}),
    "nothing": AIMessageChunk(content=""),
}


@pytest.mark.parametrize("piece", ENDLESS.values(), ids=ENDLESS)
def test_a_reply_without_end_is_cut_off_while_it_arrives_and_billed(
    piece: AIMessageChunk, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_reply, "MAX_RESPONSE_BYTES", 2**18)
    sent = [0]

    def pieces() -> Iterator[AIMessageChunk]:
        for again in repeat(piece):
            sent[0] += 1
            yield again.model_copy()

    with pytest.raises(AnswerUnusable) as refused:
        ask(in_pieces(pieces))
    assert refused.value.kind is Unusable.TOO_LONG
    assert "32 MiB" in refused.value.reason
    assert refused.value.call.requests == 1
    assert (refused.value.call.usage.output or 0) > 1_000_000
    assert sent[0] <= 2**18 // bounded_reply.ENVELOPE_BYTES + 1


def test_an_answer_in_pieces_is_one_answer(ask: Ask) -> None:
    text = json.dumps({"lr": 0.1, "why": "because " * 50})

    def as_text() -> Iterator[AIMessageChunk]:
        yield from (AIMessageChunk(content=text[n : n + 7]) for n in range(0, len(text), 7))
        yield AIMessageChunk(content="", usage_metadata=USAGE)

    def as_call() -> Iterator[AIMessageChunk]:
        yield AIMessageChunk(content="", tool_call_chunks=[tool_call_chunk(name="rate", args="", id="1", index=0)])
        yield from (arguments(text[n : n + 7]) for n in range(0, len(text), 7))
        yield AIMessageChunk(content="", usage_metadata=USAGE)

    for pieces in (as_text, as_call):
        answer = ask(in_pieces(pieces))
        assert answer.value == json.loads(text)
        assert (answer.call.usage.input, answer.call.usage.output) == (7, 5)


@pytest.mark.parametrize("pieces", [[], [AIMessageChunk(content="")]])
def test_a_reply_without_pieces_is_no_answer(pieces: Sequence[AIMessageChunk], ask: Ask) -> None:
    with pytest.raises((AnswerUnusable, ModelDown)) as refused:
        ask(in_pieces(lambda: iter(pieces)))
    assert refused.value.call.requests >= 1


def test_a_client_that_cannot_stream_answers_at_once(ask: Ask) -> None:
    reply = AIMessage(content='{"lr": 0.5}', usage_metadata=USAGE)
    answer = ask(AtOnce(reply=reply))
    assert answer.value == {"lr": 0.5}
    assert answer.call.usage.output == 5
