"""Stores a conversation without secrets: a provider's error, which LangGraph keeps whole, may quote a key.

Imports LangGraph (1 s), so `conversation` imports this module only when a conversation is opened.
"""

from __future__ import annotations

from typing import Any

from langchain_core.messages import BaseMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from tunesmith.history.redact import redact


class RedactingSerializer(JsonPlusSerializer):
    """LangGraph's serializer, with secrets removed from what is written."""

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Return a value as bytes with its format."""
        return super().dumps_typed(without_secrets(obj))


def without_secrets(value: Any) -> Any:
    """Return a value whose texts, messages and exceptions have no secrets; other objects stay as they are."""
    match value:
        case str():
            return redact(value)
        case BaseException():
            return redact(repr(value))
        case BaseMessage():
            return value.model_copy(update={"content": without_secrets(value.content)})
        case dict():
            return {key: without_secrets(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(without_secrets, value))
    return value
