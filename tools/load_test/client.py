"""Sends the requests of a load test to a server with OpenAI's API, streaming, and times every answer."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunesmith.study.errors import ProjectError
from tunesmith.study.formatting import strip_control
from tunesmith.tools.load_test.workload import LoadSpec, arrival_times, prompts_of

if TYPE_CHECKING:
    import httpx

MAX_EVENT_CHARS = 1 << 20
"""Longest event of a stream that is read; a longer one is an error of the request."""
MAX_ERROR_CHARS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back for one request; times in seconds of one monotonic clock.

    Attributes:
        due_at: when it should be sent.
        first_at, last_at: when its first and its last token came; 0.0 without one.
        tokens: its number of tokens, as the server counts them if it does, else the number of events with text.
        error: why it failed; "" if it did not.
    """

    due_at: float
    first_at: float = 0.0
    last_at: float = 0.0
    tokens: int = 0
    error: str = ""


async def run_load(
    spec: LoadSpec, url: str, *, key: str = "", on_answer: Callable[[], None] | None = None
) -> list[Answer]:
    """Send the requests and return an answer for each, in their order.

    Args:
        spec: what is sent.
        url: address of the server, with or without /v1.
        key: bearer token.
        on_answer: called after each measured request.

    Raises:
        ProjectError: no answer came for any request of the warm-up, or the server lists no model.
    """
    import httpx

    headers = {"Authorization": f"Bearer {key}"} if key else {}
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=spec.concurrency)
    timeout = httpx.Timeout(spec.timeout_s)
    base = url.rstrip("/").removesuffix("/v1")
    prompts = prompts_of(spec)
    # trust_env: a proxy of the environment must not stand between the client and a server on this machine.
    async with httpx.AsyncClient(
        base_url=base, headers=headers, limits=limits, timeout=timeout, trust_env=False
    ) as http:
        sender = _Sender(http, spec, spec.model or await _first_model(http, base))
        warm = [await sender.send(prompt, time.monotonic()) for prompt in prompts[: spec.warmup]]
        if warm and all(answer.error for answer in warm):
            raise ProjectError(f"no request of the warm-up to {base} succeeded: {warm[-1].error}")
        return await _send_all(sender, spec, prompts[spec.warmup :], on_answer)


async def _send_all(
    sender: _Sender, spec: LoadSpec, prompts: list[Any], on_answer: Callable[[], None] | None
) -> list[Answer]:
    places = asyncio.Semaphore(spec.concurrency)
    start = time.monotonic()

    async def send(prompt: Any, at: float) -> Answer:
        await asyncio.sleep(max(start + at - time.monotonic(), 0.0))
        async with places:
            # With a rate, waiting for a place counts: users do not wait with asking until the server is free.
            answer = await sender.send(prompt, start + at if spec.rate is not None else time.monotonic())
        if on_answer is not None:
            on_answer()
        return answer

    return list(await asyncio.gather(*(send(p, at) for p, at in zip(prompts, arrival_times(spec), strict=True))))


class _Sender:
    """Sends one request at a time; several may run at once."""

    def __init__(self, http: httpx.AsyncClient, spec: LoadSpec, model: str) -> None:
        self._http, self._spec, self._model = http, spec, model
        self._path = "/v1/chat/completions" if spec.is_chat else "/v1/completions"

    async def send(self, prompt: Any, due_at: float) -> Answer:
        """Return the answer; a failure is part of it."""
        import httpx

        try:
            async with asyncio.timeout(self._spec.timeout_s):
                return await self._stream(prompt, due_at)
        except TimeoutError:
            return Answer(due_at=due_at, error=f"no complete answer within {self._spec.timeout_s:g} s")
        except httpx.HTTPError as error:
            return Answer(due_at=due_at, error=f"{type(error).__name__}: {error}"[:MAX_ERROR_CHARS])

    async def _stream(self, prompt: Any, due_at: float) -> Answer:
        first_at = last_at = 0.0
        events, counted = 0, 0
        async with self._http.stream("POST", self._path, json=self._body(prompt)) as response:
            if response.status_code != 200:  # noqa: PLR2004  # the HTTP status of success
                text = (await response.aread()).decode("utf-8", "replace")
                return Answer(due_at=due_at, error=_refusal(response.status_code, text))
            async for event in _events(response):
                if event.get("error"):
                    return Answer(due_at=due_at, error=f"error event: {event['error']}"[:MAX_ERROR_CHARS])
                counted = _token_count(event) or counted
                if _has_text(event):
                    last_at = time.monotonic()
                    first_at = first_at or last_at
                    events += 1
        if not events:
            return Answer(due_at=due_at, error="an answer without a token")
        return Answer(due_at=due_at, first_at=first_at, last_at=last_at, tokens=counted or events)

    def _body(self, prompt: Any) -> dict[str, Any]:
        spec = self._spec
        if spec.is_chat:
            said: dict[str, Any] = {
                "messages": prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
            }
        else:
            said = {"prompt": _flat(prompt)}
        until_end = {} if spec.stops_early else {"ignore_eos": True}
        return {
            "model": self._model,
            **said,
            "max_tokens": spec.output_tokens,
            "temperature": 0.0,
            "stream": True,
            "stream_options": {"include_usage": True},
            **until_end,
            **(spec.body or {}),
        }


def _refusal(status: int, text: str) -> str:
    """Return an answer without success as a reason, with what to do where the request itself was not accepted."""
    hint = " (--stops-early leaves ignore_eos out)" if "ignore_eos" in text else ""
    return f"HTTP {status}: {' '.join(strip_control(text).split())}"[:MAX_ERROR_CHARS] + hint


async def _events(response: httpx.Response) -> Any:
    """Yield the JSON objects of a stream of server-sent events."""
    async for line in response.aiter_lines():
        if not line.startswith("data:"):
            continue
        data = line[5:].strip()
        if data == "[DONE]":
            return
        if len(data) > MAX_EVENT_CHARS:
            continue
        try:
            event = json.loads(data)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event


def _has_text(event: Mapping[str, Any]) -> bool:
    choices = event.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    delta = choice.get("delta")
    said = [choice.get("text")]
    if isinstance(delta, dict):
        said += [delta.get(key) for key in ("content", "reasoning_content", "reasoning")]
    return any(said)


def _token_count(event: Mapping[str, Any]) -> int:
    usage = event.get("usage")
    count = usage.get("completion_tokens") if isinstance(usage, dict) else None
    return count if isinstance(count, int) and count > 0 else 0


def _flat(prompt: Any) -> str:
    if not isinstance(prompt, list):
        return str(prompt)
    return "\n".join(str(message.get("content", "")) for message in prompt if isinstance(message, dict))


async def _first_model(http: httpx.AsyncClient, base: str) -> str:
    """Return the first model that the server lists.

    Raises:
        ProjectError: it lists none; the message says what to do.
    """
    import httpx

    try:
        response = await http.get("/v1/models")
        listed = response.json().get("data") if response.status_code == 200 else None  # noqa: PLR2004
    except httpx.HTTPError as error:
        message = f"{base} does not answer ({type(error).__name__}: {error}); is the server running?"
        raise ProjectError(message) from None
    except (ValueError, AttributeError):
        listed = None
    if isinstance(listed, list) and listed and isinstance(listed[0], dict) and listed[0].get("id"):
        return str(listed[0]["id"])
    raise ProjectError(f"{base}/v1/models lists no model; name it with --model")
