"""A reply without end is refused while it arrives, and billed, whichever provider sends it; the chat continues."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("langgraph.checkpoint.sqlite", reason="the extra chat is not installed")
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from tunesmith.agent.chat.conversation import Conversation
from tunesmith.agent.chat.events import ChatEvent, Notice, TextChunk
from tunesmith.agent.llm.client import client as client_module
from tunesmith.agent.llm.client.client import LangChainModel
from tunesmith.agent.llm.client.replies import bounded_reply
from tunesmith.agent.llm.client.types import BYTES_PER_TOKEN
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.registry import CHAT


class Provider(BaseChatModel):
    """A provider's client, which sends a piece without end at first, then a short answer."""

    piece: AIMessageChunk
    sent: list[int] = []  # noqa: RUF012  # a field of a pydantic model, which is copied

    @property
    def _llm_type(self) -> str:
        return "fake"

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content="whole"))])

    def _stream(self, *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        self.sent.append(0)
        pieces = repeat(self.piece) if len(self.sent) == 1 else [AIMessageChunk(content="short")]
        for piece in pieces:
            self.sent[-1] += 1
            yield ChatGenerationChunk(message=piece.model_copy())

    def bind_tools(self, *_: Any, **__: Any) -> Any:
        return self


@pytest.mark.parametrize(
    "piece",
    [
        AIMessageChunk(content="x" * 2**14),
        AIMessageChunk(content="\u6f22" * 2**14),
        AIMessageChunk(content=[{"type": "text", "text": "x" * 2**14, "index": 0}]),
        AIMessageChunk(content="", tool_call_chunks=[tool_call_chunk(args="[" * 2**14, index=0)]),
        AIMessageChunk(content=""),
    ],
    ids=["text", "other letters", "blocks", "arguments", "nothing"],
)
def test_a_reply_without_end_is_cut_off_and_billed(
    piece: AIMessageChunk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_reply, "MAX_RESPONSE_BYTES", 2**17)
    provider = Provider(piece=piece)
    monkeypatch.setattr(client_module, "connect", lambda *_: provider)

    async def talk() -> tuple[list[ChatEvent], int, list[ChatEvent]]:
        model = LangChainModel("somebody:m", own_prices={})
        async with Conversation(model, CHAT, ToolContext, store=tmp_path / "chat.db", thread="t") as conversation:
            first = [event async for event in conversation.send("hello")]
            billed = conversation.cost.output_tokens
            return first, billed, [event async for event in conversation.send("and now?")]

    first, billed, second = asyncio.run(talk())
    assert "longer than 32 MiB" in "".join(event.text for event in first if isinstance(event, Notice))
    assert billed >= 2**17 // BYTES_PER_TOKEN
    assert "short" in "".join(event.text for event in second if isinstance(event, TextChunk))
    assert provider.sent[0] <= 2**17 // bounded_reply.ENVELOPE_BYTES + 2
