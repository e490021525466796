"""A real HTTP server on loopback that speaks the OpenAI protocol, and misbehaves on command."""

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
    """What the server sends: a status, headers and a body; `cut` breaks the connection after half of it.

    With `events` the body is a stream of server-sent events with `pause_s` between them; `cut` then leaves out the last
    half.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    delay_s: float = 0.0
    events: tuple[str, ...] = ()
    pause_s: float = 0.0


Behaviour = Callable[[Request, int], Reply]
"""(the decoded request, how many came before it) -> the reply."""


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
    """Return a streamed completion: pieces of text, then calls of tools, each (name, arguments), in pieces too."""
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


def way_of(request: Request) -> str:
    """Return how the request asks for a form."""
    if request.get("response_format"):
        return str(request["response_format"]["type"])
    return "function_calling" if request.get("tools") else "plain"


@dataclass
class Server:
    """A running server: its address for base_url, every request it got, and when each event of a stream went out."""

    base_url: str
    requests: list[dict[str, Any]] = field(default_factory=list)
    sent_at: list[float] = field(default_factory=list)


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[Server]:
    """Serve on a free port of 127.0.0.1."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with lock:
                before = len(server.requests)
                server.requests.append({**request, "authorization": self.headers.get("authorization")})
            reply = behaviour(request, before)
            if reply.delay_s:
                time.sleep(reply.delay_s)
            with suppress(OSError):  # the client did not wait
                self._send(reply)

        def _send(self, reply: Reply) -> None:
            if reply.events:
                self._stream(reply)
                return
            self.send_response(reply.status)
            headers = {"content-type": "application/json", **reply.headers, "content-length": str(len(reply.body))}
            # Said, not just done: a client that keeps the connection would meet its end with the next request.
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
            sent = reply.events[: len(reply.events) // 2] if reply.cut else reply.events
            for event in sent:
                part = event.encode()
                self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
                self.wfile.flush()
                server.sent_at.append(time.time())
                time.sleep(reply.pause_s)
            if not reply.cut:
                self.wfile.write(b"0\r\n\r\n")

        def log_message(self, *_: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    server = Server(f"http://127.0.0.1:{httpd.server_address[1]}/v1")
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join(5)
