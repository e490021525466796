"""Bounds what a server may send: its response is counted while it arrives, and refused once it is too long.

Without it a server that never ends its answer fills the memory of the run. Imports the client's HTTP package, so
`openai_client` imports it only when a model is opened.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai

from tunesmith.agent.llm.client.replies.bounded_reply import ResponseTooLong
from tunesmith.agent.llm.client.types import MAX_RESPONSE_BYTES


def limited_clients() -> dict[str, Any]:
    """Return the HTTP clients, for calls and for coroutines, of a model whose responses are limited."""
    return {
        "http_client": openai.DefaultHttpxClient(event_hooks={"response": [_limit]}),
        "http_async_client": openai.DefaultAsyncHttpxClient(event_hooks={"response": [_limit_async]}),
    }


def _limit(response: Any) -> None:
    # What is counted is decoded: a few kilobytes of gzip may hold a gigabyte.
    arriving = response.iter_bytes

    def counted(*args: Any, **kwargs: Any) -> Iterator[bytes]:
        # A response that refers to itself would keep its megabytes until the next full garbage collection.
        del response.iter_bytes
        received = 0
        for piece in arriving(*args, **kwargs):
            received = _counted(received, piece)
            yield piece

    response.iter_bytes = counted


async def _limit_async(response: Any) -> None:
    arriving = response.aiter_bytes

    async def counted(*args: Any, **kwargs: Any) -> AsyncIterator[bytes]:
        del response.aiter_bytes
        received = 0
        async for piece in arriving(*args, **kwargs):
            received = _counted(received, piece)
            yield piece

    response.aiter_bytes = counted


def _counted(received: int, piece: bytes) -> int:
    received += len(piece)
    if received > MAX_RESPONSE_BYTES:
        raise ResponseTooLong(received)
    return received
