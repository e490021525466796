"""Counts what a model sends while it arrives: of most providers nothing else bounds a reply that never ends."""

from __future__ import annotations

from typing import Any

from tunesmith.agent.llm.client.failures.diagnosis import unusable_kind
from tunesmith.agent.llm.client.failures.errors import Unusable
from tunesmith.agent.llm.client.replies.bounded_reply import count_bytes
from tunesmith.agent.llm.client.types import BYTES_PER_TOKEN, MAX_RESPONSE_BYTES


class ReplyMeter:
    """The model calls of one run of the agent.

    Attributes:
        calls: their number so far.
        unread: the usage of a reply that was too long, in LangChain's form; empty without one.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.unread: dict[str, Any] = {}
        self._received = 0

    def count(self, mode: str, chunk: Any) -> None:
        """Count a piece of LangGraph's stream.

        Raises:
            ResponseTooLong: the reply is longer than an answer can be.
        """
        if is_of_reply(mode, chunk):
            self._received = count_bytes(self._received, chunk[0])
        elif mode == "updates" and "model" in chunk:
            self.calls += 1
            self._received = 0

    def count_failure(self, error: Exception) -> None:
        """Count a reply that ended by being too long: it is paid for, although nobody counted its tokens."""
        if unusable_kind(error) is Unusable.TOO_LONG:
            self.calls += 1
            self.unread = {"unread": {"output_tokens": MAX_RESPONSE_BYTES // BYTES_PER_TOKEN}}


def is_of_reply(mode: str, chunk: Any) -> bool:
    """Return whether a piece of LangGraph's stream is a piece of the model's reply."""
    is_message = mode == "messages" and chunk[1].get("langgraph_node") == "model"
    return is_message and type(chunk[0]).__name__ == "AIMessageChunk"
