"""A small server with OpenAI's streaming API and continuous batching, for trying out how servers are tuned.

Its "model" multiplies matrices and says made-up words; what is real is what makes a server fast or slow. A step
computes one token for each running request and a part of the prompts of new ones, at most --max-num-batched-tokens
together. Few tokens in a step waste it, since the weights are read from memory either way; many make every running
request wait. It needs NumPy only.

    python server.py --port 8000 --max-num-seqs 8 --max-num-batched-tokens 256
"""

from __future__ import annotations

import argparse
import json
import queue
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

NAME = "matmul-1"
WIDTH, LAYERS = 512, 8


@dataclass
class Request:
    """One request: the tokens of its prompt that are not computed yet, those to say, and where they go."""

    prompt_left: int
    to_say: int
    said: queue.Queue[str | None] = field(default_factory=queue.Queue)
    waiting: list[str] = field(default_factory=list)


class Engine:
    """Computes steps for all requests in one thread."""

    def __init__(self, max_num_seqs: int, max_num_batched_tokens: int, stream_interval: int) -> None:
        if max_num_batched_tokens < max_num_seqs:
            raise ValueError(
                f"max_num_batched_tokens ({max_num_batched_tokens}) must be greater than or equal to max_num_seqs "
                f"({max_num_seqs})."
            )
        self._most, self._budget, self._interval = max_num_seqs, max_num_batched_tokens, stream_interval
        draw = np.random.default_rng(0)
        self._weights = [draw.standard_normal((WIDTH, WIDTH)).astype(np.float32) / WIDTH**0.5 for _ in range(LAYERS)]
        self._new: queue.Queue[Request] = queue.Queue()
        self._running: list[Request] = []
        threading.Thread(target=self._run, daemon=True).start()

    def submit(self, request: Request) -> None:
        self._new.put(request)

    def _run(self) -> None:
        while True:
            self._admit()
            self._step()

    def _admit(self) -> None:
        """Take new requests as long as there are places; wait for one if nothing runs."""
        while len(self._running) < self._most:
            try:
                self._running.append(self._new.get(block=not self._running))
            except queue.Empty:
                return

    def _step(self) -> None:
        saying = [r for r in self._running if not r.prompt_left]
        budget = self._budget - len(saying)
        tokens = len(saying)
        for request in self._running:
            if request.prompt_left and budget > 0:
                part = min(request.prompt_left, budget)
                request.prompt_left -= part
                budget -= part
                tokens += part
        self._compute(tokens)
        for request in saying:
            request.to_say -= 1
            request.waiting.append("word ")
            if len(request.waiting) >= self._interval or not request.to_say:
                for word in request.waiting:
                    request.said.put(word)
                request.waiting.clear()
            if not request.to_say:
                request.said.put(None)
        self._running = [r for r in self._running if r.to_say]

    def _compute(self, tokens: int) -> None:
        state = np.ones((tokens, WIDTH), dtype=np.float32)
        for weights in self._weights:
            state = np.maximum(state @ weights, 0.0)


class Handler(BaseHTTPRequestHandler):
    """GET /health and /v1/models, POST /v1/chat/completions and /v1/completions."""

    engine: Engine
    max_model_len: int
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/v1/models":
            self._send_json(200, {"object": "list", "data": [{"id": NAME, "object": "model"}]})
        else:
            self._send_json(200 if self.path == "/health" else 404, {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = body.get("prompt") or " ".join(str(m["content"]) for m in body.get("messages", []))
        prompt, to_say = max(len(text.split()), 1), int(body.get("max_tokens") or 16)
        if prompt + to_say > self.max_model_len:
            message = (
                f"This model's maximum context length is {self.max_model_len} tokens; {prompt + to_say} were asked"
            )
            self._send_json(400, {"error": {"message": message}})
            return
        request = Request(prompt, to_say)
        self.engine.submit(request)
        self._stream(request, to_say, is_chat="messages" in body)

    def _stream(self, request: Request, to_say: int, *, is_chat: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        while (word := request.said.get()) is not None:
            choice = {"index": 0, "delta": {"content": word}} if is_chat else {"index": 0, "text": word}
            self._event({"model": NAME, "choices": [choice]})
        self._event({"model": NAME, "choices": [], "usage": {"completion_tokens": to_say}})
        self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, event: dict[str, object]) -> None:
        self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())

    def _send_json(self, status: int, content: object) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Say nothing about each request."""


class Server(ThreadingHTTPServer):
    """Keeps as many connections waiting as a benchmark opens at once."""

    request_queue_size = 256
    daemon_threads = True


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--max-num-seqs", type=int, default=4, help="requests that are computed at once")
    parser.add_argument("--max-num-batched-tokens", type=int, default=256, help="tokens in a step")
    parser.add_argument("--stream-interval", type=int, default=1, help="tokens that are sent together")
    parser.add_argument("--max-model-len", type=int, default=4096)
    parser.add_argument("--load-seconds", type=float, default=0.0, help="as long as loading a model takes")
    args = parser.parse_args()
    time.sleep(args.load_seconds)
    Handler.engine = Engine(args.max_num_seqs, args.max_num_batched_tokens, args.stream_interval)
    Handler.max_model_len = args.max_model_len
    server = Server(("127.0.0.1", args.port), Handler)
    print(f"listening on port {args.port}", file=sys.stderr, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
