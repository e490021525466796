"""A conversation whose dollars are used up asks no model and says why; forgetting it keeps the cost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

pytest.importorskip("langgraph.checkpoint.sqlite", reason="the extra chat is not installed")
from tunesmith.agent.chat.conversation import Conversation
from tunesmith.agent.chat.costs import Account
from tunesmith.agent.chat.events import ChatEvent, Notice
from tunesmith.agent.llm.client.client import LangChainModel
from tunesmith.study.commands import Charge
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.registry import CHAT

NOBODY = "http://127.0.0.1:9/v1"
"""An address at which no server answers."""


def test_at_the_limit_no_model_is_asked_and_nothing_is_charged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    charged: list[Charge] = []

    async def talk() -> list[ChatEvent]:
        model = LangChainModel("openai:m", base_url=NOBODY)
        account = Account(charged.append, lambda: "used up")
        store = tmp_path / "chat.db"
        async with Conversation(model, CHAT, ToolContext, store=store, thread="t", account=account) as conversation:
            events = [event async for event in conversation.send("hello")]
            await conversation.forget()
            events += [event async for event in conversation.send("hello again")]
            return events

    assert asyncio.run(talk()) == [Notice("used up")] * 2
    assert charged == []
