"""Adds up the events of a streamed reply to the reply that a server would have sent at once.

Knows the events of the OpenAI protocol, and those of servers that follow it loosely. Knows no HTTP and no model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")
"""Keys of a piece whose texts follow one another."""


class StreamedReply:
    """The events so far.

    Attributes:
        error: the error that the server sent in place of further events; None without one.
    """

    def __init__(self) -> None:
        self._unread: list[bytes] = []
        self._texts: dict[str, list[str]] = {}
        self._calls: list[dict[str, Any]] = []
        self._outer: dict[str, Any] = {}
        self._finish_reason: Any = None
        self.error: Any = None

    @property
    def status(self) -> int:
        """The HTTP status of the reply: that in the error, 500 for an error without one, 200 without an error."""
        if self.error is None:
            return 200
        code = self.error.get("code") if isinstance(self.error, Mapping) else None
        return code if isinstance(code, int) and 400 <= code < 600 else 500  # noqa: PLR2004  # the errors of HTTP

    def feed(self, received: bytes) -> None:
        """Take in the next bytes of the response, which may end anywhere."""
        self._unread.append(received)
        if b"\n" in received:  # a line of megabytes is joined once
            *lines, rest = b"".join(self._unread).split(b"\n")
            self._unread = [rest]
            for line in lines:
                self._read_line(line)

    def body(self) -> bytes:
        """Return the reply as one JSON text, in the form of a response that is not streamed."""
        self.feed(b"\n")
        if self.error is not None:
            return json.dumps({"error": self.error}).encode()
        message: dict[str, Any] = {"role": "assistant", "content": None}
        message |= {key: "".join(pieces) for key, pieces in self._texts.items()}
        if self._calls:
            message["tool_calls"] = [_whole_call(call) for call in self._calls]
        choice = {"index": 0, "message": message, "finish_reason": self._finish_reason}
        return json.dumps({**self._outer, "object": "chat.completion", "choices": [choice]}).encode()

    def _read_line(self, line: bytes) -> None:
        field, _, text = line.strip().partition(b":")
        if field != b"data":
            return  # a comment that keeps the connection open, or the name of the event
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            return  # the end mark, or an event that nothing can read
        if isinstance(event, dict):
            self._read_event(event)

    def _read_event(self, event: Mapping[str, Any]) -> None:
        if event.get("error"):
            self.error = event["error"]
        self._outer |= {key: event[key] for key in ("id", "model", "created", "usage") if event.get(key)}
        for choice in _mappings(event.get("choices")):
            if choice.get("index") in (0, None):
                self._finish_reason = choice.get("finish_reason") or self._finish_reason
                self._read_piece(choice.get("delta") or choice.get("message"))

    def _read_piece(self, piece: Any) -> None:
        if not isinstance(piece, Mapping):
            return
        for key in _TEXTS:
            text = _text(piece.get(key))
            if text:
                self._texts.setdefault(key, []).append(text)
        for call in _mappings(piece.get("tool_calls")):
            self._read_call(call)

    def _read_call(self, piece: Mapping[str, Any]) -> None:
        """Add a piece of a tool call. Its number says to which; without one, an id or a name begins another call."""
        function = piece.get("function")
        function = function if isinstance(function, Mapping) else {}
        number = piece.get("index")
        known = [call for call in self._calls if number is None or call["index"] == number]
        if not known or (number is None and (piece.get("id") or function.get("name"))):
            known = [{"index": number, "id": piece.get("id"), "name": function.get("name"), "arguments": []}]
            self._calls += known
        call, arguments = known[-1], function.get("arguments")
        if arguments:
            call["arguments"].append(arguments if isinstance(arguments, str) else json.dumps(arguments))


def _whole_call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": call["name"], "arguments": "".join(call["arguments"])}
    return {"id": call["id"], "type": "function", "function": function}


def _text(value: Any) -> str:
    """Return the text of a piece: itself, or the parts of a list."""
    if isinstance(value, list):
        return "".join(_text(part.get("text")) for part in _mappings(value))
    return value if isinstance(value, str) else ""


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    return (item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else iter(())
