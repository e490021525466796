"""A real HTTP server on loopback with the OpenAI protocol, which can also fail in many ways."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
Request = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A reply of the server: status, headers and body.

    With `events` the body is a stream of server-sent events with `pause_s` between them. `cut` closes the connection
    after the first half of the body or of the events.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    delay_s: float = 0.0
    events: tuple[str, ...] = ()
    pause_s: float = 0.0


Behaviour = Callable[[Request, int], Reply]
"""(decoded request, number of earlier requests) -> reply."""


def message(content: str | None = None, *, usage: bool = True, finish: str = "stop", **more: Any) -> Reply:
    """Return a chat completion with one choice."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **more}, "finish_reason": finish}
    body: dict[str, Any] = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return Reply(body=json.dumps({**body, "usage": USAGE} if usage else body).encode())


def tool_call(name: str, arguments: str) -> Reply:
    """Return a completion that calls one tool."""
    call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}
    return message(None, finish="tool_calls", tool_calls=[call])


def streamed(
    *pieces: str, calls: Sequence[tuple[str, str]] = (), usage: bool = True, pause_s: float = 0.0, cut: bool = False
) -> Reply:
    """Return a streamed completion: pieces of text, then tool calls (name, arguments), also in pieces."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *({"content": piece} for piece in pieces)]
    for index, (name, arguments) in enumerate(calls):
        head = {"index": index, "id": f"call_{uuid.uuid4().hex[:8]}", "type": "function"}
        deltas.append({"tool_calls": [{**head, "function": {"name": name, "arguments": ""}}]})
        half = len(arguments) // 2
        for part in (arguments[:half], arguments[half:]):
            deltas.append({"tool_calls": [{"index": index, "function": {"arguments": part}}]})
    common = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunks = [{**common, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    end = "tool_calls" if calls else "stop"
    chunks.append({**common, "choices": [{"index": 0, "delta": {}, "finish_reason": end}]})
    if usage:
        chunks.append({**common, "choices": [], "usage": USAGE})
    events = tuple(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
    return Reply(events=(*events, "data: [DONE]\n\n"), pause_s=pause_s, cut=cut)


def error(status: int, text: str = "no", *, code: str | None = None, **headers: str) -> Reply:
    """Return an error in OpenAI's form."""
    body = json.dumps({"error": {"message": text, "type": "error", "code": code}}).encode()
    return Reply(status=status, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


def format_method(request: Request) -> str:
    """Return the method by which a request asks for the form of the answer."""
    if request.get("response_format"):
        return str(request["response_format"]["type"])
    return "function_calling" if request.get("tools") else "plain"


@dataclass
class Server:
    """A running server: its base_url, every request so far, and the times at which events of streams were sent."""

    base_url: str
    requests: list[dict[str, Any]] = field(default_factory=list)
    sent_at: list[float] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    """Answers each POST with the behaviour's reply; subclassed with `behaviour` and `server_record` for each server."""

    protocol_version = "HTTP/1.1"
    behaviour: Behaviour
    server_record: Server
    lock: threading.Lock

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.lock:
            before = len(self.server_record.requests)
            headers = {name.lower(): value for name, value in self.headers.items()}
            seen = {**request, "authorization": headers.get("authorization"), "headers": headers}
            self.server_record.requests.append(seen)
        reply = type(self).behaviour(request, before)
        if reply.delay_s:
            time.sleep(reply.delay_s)
        with suppress(OSError):  # the client has closed the connection
            self._send(reply)

    def _send(self, reply: Reply) -> None:
        if reply.events:
            self._stream(reply)
            return
        self.send_response(reply.status)
        headers = {"content-type": "application/json", **reply.headers, "content-length": str(len(reply.body))}
        # The header is needed: a client that reuses the connection would see it close during the next request.
        headers["connection"] = "close"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body[: len(reply.body) // 2] if reply.cut else reply.body)
        self.close_connection = True

    def _stream(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        for event in reply.events[: len(reply.events) // 2] if reply.cut else reply.events:
            part = event.encode()
            self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            self.wfile.flush()
            self.server_record.sent_at.append(time.time())
            time.sleep(reply.pause_s)
        if not reply.cut:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[Server]:
    """Serve on a free port of 127.0.0.1."""
    server = Server("")
    members = {"behaviour": staticmethod(behaviour), "lock": threading.Lock(), "server_record": server}
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), members))
    httpd.daemon_threads = True
    server.base_url = f"http://127.0.0.1:{httpd.server_address[1]}/v1"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join(5)
