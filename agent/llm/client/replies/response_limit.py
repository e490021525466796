"""Bounds what a server may send, in bytes and in time, while it arrives; a streamed reply is added up to a whole one.

Without the bounds a server that never ends its answer fills the memory of the run, or keeps it waiting. Imports the
client's HTTP package, so `openai_client` imports it only when a model is opened.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import openai

from tunesmith.agent.llm.client.replies.bounded_reply import ResponseTooLong
from tunesmith.agent.llm.client.replies.streamed_reply import StreamedReply
from tunesmith.agent.llm.client.types import MAX_RESPONSE_BYTES

MAX_TIMEOUTS = 10
"""Longest answer that keeps arriving, in time-outs: the time-out is for the next bytes, not for the answer."""


class AnswerTimeout(Exception):
    """An answer kept arriving for too long."""


def limited_clients(*, timeout_s: float, joins_streams: bool) -> dict[str, Any]:
    """Return the HTTP clients, for calls and for coroutines, of a model whose responses are limited.

    Args:
        timeout_s: the time-out of one request.
        joins_streams: a streamed reply reads like one that was sent at once; only for calls.
    """

    def limit(response: Any) -> None:
        # What is counted is decoded: a few kilobytes of gzip may hold a gigabyte.
        _replace_bytes(response, lambda arriving: _counted(arriving, MAX_TIMEOUTS * timeout_s))
        if joins_streams and "text/event-stream" in response.headers.get("content-type", ""):
            _replace_bytes(response, lambda arriving: _joined(arriving, response))

    return {
        "http_client": openai.DefaultHttpxClient(event_hooks={"response": [limit]}),
        "http_async_client": openai.DefaultAsyncHttpxClient(event_hooks={"response": [_limit_async]}),
    }


def _replace_bytes(response: Any, change: Callable[[Iterator[bytes]], Iterator[bytes]]) -> None:
    arriving = response.iter_bytes

    def changed(*args: Any, **kwargs: Any) -> Iterator[bytes]:
        # A response that refers to itself would keep its megabytes until the next full garbage collection.
        response.__dict__.pop("iter_bytes", None)
        yield from change(arriving(*args, **kwargs))

    response.iter_bytes = changed


def _counted(arriving: Iterator[bytes], longest_s: float) -> Iterator[bytes]:
    received, until = 0, time.monotonic() + longest_s
    for piece in arriving:
        received = _within_limit(received, piece)
        if time.monotonic() > until:
            raise AnswerTimeout(f"the answer did not end within {longest_s:g} s")
        yield piece


def _joined(arriving: Iterator[bytes], response: Any) -> Iterator[bytes]:
    """Yield the whole reply once its last event has arrived; an error among the events becomes the status."""
    reply = StreamedReply()
    for piece in arriving:
        reply.feed(piece)
    body = reply.body()
    response.headers["content-type"] = "application/json"
    if reply.error is not None:
        response.status_code = reply.status
    yield body


async def _limit_async(response: Any) -> None:
    arriving = response.aiter_bytes

    async def counted(*args: Any, **kwargs: Any) -> AsyncIterator[bytes]:
        del response.aiter_bytes
        received = 0
        async for piece in arriving(*args, **kwargs):
            received = _within_limit(received, piece)
            yield piece

    response.aiter_bytes = counted


def _within_limit(received: int, piece: bytes) -> int:
    received += len(piece)
    if received > MAX_RESPONSE_BYTES:
        raise ResponseTooLong(received)
    return received
