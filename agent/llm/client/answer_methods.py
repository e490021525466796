"""The ways of requesting the form of an answer, and which of them a server has shown to support."""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.agent.llm.client.failures.errors import Unusable

_MAX_BROKEN_ANSWERS = 2
"""Answers without JSON in a row after which a method is not used again."""


class AnswerMethods:
    """What one server's answers have shown: json_schema, function_calling, json_object; plain text works everywhere."""

    def __init__(self) -> None:
        self._rejected: set[str] = set()
        self._proven: set[str] = set()
        self._broken: dict[str, int] = {}

    def in_order(self, *, speaks_openai: bool, with_tools: bool) -> Iterator[str]:
        """Yield the methods that the server has not rejected, the best first.

        With tools, function_calling comes first: there the answer is one more call.
        """
        order = ("function_calling", "json_schema") if with_tools else ("json_schema", "function_calling")
        for method in order:
            if method not in self._rejected and (speaks_openai or method != "json_schema"):
                yield method
        # llama-cpp-python does not support json_schema, but enforces a schema that is passed with json_object.
        if speaks_openai and "json_object" not in self._rejected:
            yield "json_object"
        yield "plain"

    def reject(self, method: str) -> None:
        """Take in that the server refuses a method."""
        self._rejected.add(method)

    def count_good(self, method: str) -> None:
        """Take in that a method brought an answer."""
        self._broken.pop(method, None)
        self._proven.add(method)

    def count_broken(self, method: str, kind: Unusable) -> bool:
        """Take in an unusable answer; return whether a method that is known to work is worth a try at once.

        A method is rejected after two answers in a row without JSON: the server accepts the form and ignores it. One is
        enough where another method is known to work and this one has never worked.
        """
        if method == "plain" or kind not in (Unusable.NOT_JSON, Unusable.EMPTY):
            return False
        self._broken[method] = self._broken.get(method, 0) + 1
        has_better = bool(self._proven) and method not in self._proven
        if has_better or self._broken[method] >= _MAX_BROKEN_ANSWERS:
            self.reject(method)
        return has_better
