"""Receives a reply piece by piece from any client of LangChain, and refuses one that is too long while it arrives.

For providers whose HTTP responses are not counted. Imports LangChain (1 s) only when a reply is received.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunesmith.agent.llm.client.types import MAX_RESPONSE_BYTES

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage, BaseMessage

ENVELOPE_BYTES = 300
"""Bytes that a streamed piece is counted for in addition to its text, so that pieces without text end too."""


class ResponseTooLong(Exception):
    """A server sent more than an answer can have.

    Attributes:
        received: number of bytes that had arrived.
    """

    def __init__(self, received: int) -> None:
        self.received = received
        super().__init__(f"the response is longer than {MAX_RESPONSE_BYTES >> 20} MiB")


def bounded_reply(client: Any, conversation: list[BaseMessage]) -> AIMessage:
    """Return the reply of a client; one that cannot stream is asked for all of it at once.

    Args:
        client: LangChain's model, with the answer's form and the tools attached.
        conversation: the messages.

    Raises:
        ResponseTooLong: the reply is longer than MAX_RESPONSE_BYTES.
    """
    from langchain_core.messages import AIMessage, AIMessageChunk, message_chunk_to_message

    pieces: list[AIMessageChunk] = []
    received = 0
    for piece in client.stream(conversation):
        if not isinstance(piece, AIMessageChunk):
            return piece if isinstance(piece, AIMessage) else AIMessage(content=str(piece))
        received = count_bytes(received, piece)
        pieces.append(piece)
    if not pieces:
        return AIMessage(content="")
    whole = message_chunk_to_message(pieces[0] + pieces[1:])
    assert isinstance(whole, AIMessage)  # noqa: S101  # what chunks of one add up to
    return whole


def count_bytes(received: int, piece: Any) -> int:
    """Return the size of a reply so far, in bytes.

    Args:
        received: its size before this piece.
        piece: LangChain's message chunk.

    Raises:
        ResponseTooLong: the reply is longer than MAX_RESPONSE_BYTES.
    """
    received += _bytes_of(piece)
    if received > MAX_RESPONSE_BYTES:
        raise ResponseTooLong(received)
    return received


def _bytes_of(piece: Any) -> int:
    content = piece.content if isinstance(piece.content, str) else str(piece.content)
    calls = sum(len(call.get("args") or "") for call in piece.tool_call_chunks)
    return ENVELOPE_BYTES + len(content) + calls + len(str(piece.additional_kwargs or ""))
