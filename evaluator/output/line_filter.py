"""Picks the lines of a command's output that may hold a metric, and joins what belongs together over several lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tunesmith.evaluator.output.output_line import OutputLine
from tunesmith.evaluator.output.printed_tables import PrintedTable, can_follow_header
from tunesmith.study.formatting import strip_escapes

MAX_OBJECT_LINES, MAX_OBJECT_CHARS = 1000, 2**18
"""Largest object over several lines that is joined; a larger one is passed on line by line."""
_CONTENT = re.compile(
    r"""\s{0,200}+(?:["'\[\]{}\d]|-\d|true|false|null|nan|infinity|none|\w{1,20}\.?\w{1,20}\()""", re.IGNORECASE
)


class LineFilter:
    """Picks lines of one stream.

    Args:
        words: a line with one of them, in lower case or not, is picked.
        stream: the name of the stream, for the picked lines.
    """

    def __init__(self, words: Sequence[str], stream: str) -> None:
        self._words = tuple(word.lower() for word in words)
        self._stream = stream
        self._object: list[tuple[int, str]] = []
        self._depth = self._object_chars = 0
        self._table_open = False

    @property
    def is_waiting(self) -> bool:
        """Whether the next lines matter even if they have none of the words."""
        return bool(self._object) or self._table_open

    def feed(self, number: int, line: str) -> Iterator[OutputLine]:
        """Yield what can be passed on now that this line is known."""
        if not self._object:
            if line.count("{") <= line.count("}"):
                yield from self._single(number, line)
                return
        elif not self._continues(line):
            yield from self.flush()
            yield from self.feed(number, line)
            return
        self._object.append((number, line))
        self._object_chars += len(line)
        self._depth += line.count("{") + line.count("[") - line.count("}") - line.count("]")
        if self._depth <= 0:
            yield from self._close_object()

    def flush(self) -> Iterator[OutputLine]:
        """Yield what was kept back, line by line."""
        kept, self._object, self._depth, self._object_chars = self._object, [], 0, 0
        for number, line in kept:
            yield from self._single(number, line)

    def _continues(self, line: str) -> bool:
        fits = len(self._object) < MAX_OBJECT_LINES and self._object_chars + len(line) < MAX_OBJECT_CHARS
        return fits and (not line.strip() or _CONTENT.match(strip_escapes(line)) is not None)

    def _close_object(self) -> Iterator[OutputLine]:
        kept, self._object, self._depth, self._object_chars = self._object, [], 0, 0
        first = next((number for number, line in kept if self._has_word(line)), None)
        if first is not None:
            yield OutputLine(" ".join(line.strip() for _, line in kept), self._stream, first)

    def _single(self, number: int, line: str) -> Iterator[OutputLine]:
        if self._has_word(line):
            # Most lines have numbers, and cannot be a header.
            self._table_open = PrintedTable().open(strip_escapes(line), number)
            yield OutputLine(line, self._stream, number)
        elif self._table_open:
            self._table_open = can_follow_header(strip_escapes(line))
            if self._table_open:
                yield OutputLine(line, self._stream, number)

    def _has_word(self, line: str) -> bool:
        lowered = line.lower()
        return any(word in lowered for word in self._words)
