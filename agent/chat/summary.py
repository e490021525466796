"""Replaces the older part of a long conversation by a summary that keeps the person's standing wishes.

Imports LangChain (1 s), so `conversation` imports this module only when a conversation is opened.
"""

from __future__ import annotations

from typing import Any

from langchain.agents.middleware import SummarizationMiddleware
from langchain_core.messages import AnyMessage

from tunesmith.prompts.render import render_text

_NO_SUMMARY = "Previous conversation was too long to summarize."
"""What LangChain writes when it could give the model nothing."""


class SummaryMiddleware(SummarizationMiddleware):
    """Summarizes with our own prompt; without a summary the messages stay as they are.

    Args:
        client: the model, as LangChain has it.
        above: length of the conversation that starts a summary, in tokens.
        kept: length of the latest messages that are kept, in tokens.
    """

    def __init__(self, client: Any, *, above: int, kept: int) -> None:
        super().__init__(
            client,
            trigger=("tokens", above),
            keep=("tokens", kept),
            trim_tokens_to_summarize=above,
            summary_prompt=render_text("chat_summary.md"),
        )

    async def abefore_model(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        """Summarize a long conversation; the next call tries again where the model answered nothing."""
        try:
            return await super().abefore_model(state, runtime)
        except _EmptySummary:
            return None

    async def _acreate_summary(self, messages_to_summarize: list[AnyMessage]) -> str:
        summary = await super()._acreate_summary(messages_to_summarize)
        if not summary.strip() or summary == _NO_SUMMARY:
            raise _EmptySummary
        return summary


class _EmptySummary(Exception):
    """The model answered a request for a summary with nothing."""
