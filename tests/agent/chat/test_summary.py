"""The summary of a long conversation: our own prompt, and no summary is not a reason to forget."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytest.importorskip("langchain", reason="the extra chat is not installed")
from langchain_core.language_models.fake_chat_models import FakeListChatModel, FakeMessagesListChatModel
from langchain_core.messages import AIMessage, HumanMessage

from tunesmith.agent.chat.summary import SummaryMiddleware
from tunesmith.prompts.render import render_text

WISH = "from now on never touch the optimizer"


def summarized(client: Any, *, turns: int = 30) -> dict[str, Any] | None:
    messages = [HumanMessage(WISH)]
    for n in range(turns):
        messages += [HumanMessage(f"{n} " + "word " * 50), AIMessage(f"answer {n}")]
    middleware = SummaryMiddleware(client, above=1000, kept=200)
    return asyncio.run(middleware.abefore_model({"messages": messages}, None))


def test_older_messages_become_a_summary() -> None:
    found = summarized(FakeListChatModel(responses=["never touch the optimizer; #3 was confirmed"]))
    assert found is not None
    texts = [message.text for message in found["messages"] if message.text]
    assert "never touch the optimizer; #3 was confirmed" in texts[0]
    assert "29 word" in " ".join(texts)
    assert "answer 1 " not in " ".join(texts)


@pytest.mark.parametrize("nothing", ["", " ", "\n\n", "\t", "  \n "])
def test_an_empty_summary_replaces_nothing(nothing: str) -> None:
    assert summarized(FakeMessagesListChatModel(responses=[AIMessage(nothing)])) is None


def test_a_short_conversation_stays_as_it_is() -> None:
    assert summarized(FakeListChatModel(responses=["summary"]), turns=2) is None


def test_the_prompt_asks_for_standing_wishes_and_contains_the_conversation() -> None:
    asked = render_text("chat_summary.md").format(messages=f"person: {WISH} {{braces}}")
    assert "Standing wishes" in asked
    assert WISH in asked
