"""Reads a command's output while it runs: into a log of limited size, with the tail and some of its lines kept."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path

from tunesmith.evaluator.output.line_filter import LineFilter
from tunesmith.evaluator.output.output_line import MAX_LINES, OutputLine
from tunesmith.evaluator.output.thinning import FEWEST_LINES, LineBudget

CHUNK_BYTES = 65536
TAIL_BYTES = 16384
LONGEST_LINE_BYTES = 2**20
PAUSE_S = 0.02
"""Pause after a block of lines of which some were left out: a block of 64 KiB is read 50 times a second at most."""
MAX_QUEUED_LINES, MAX_QUEUED_CHARS = 16_384, 2**24
"""Lines of output, and their characters, that wait for the loop at most."""


class CappedLog:
    """A file with the first and the last part of what is written, `cap_bytes / 2` each; for several threads.

    What a full disk cannot take is dropped: a reader that stopped would block the command forever.
    """

    def __init__(self, path: Path, cap_bytes: int) -> None:
        self._file = path.open("wb", buffering=0)
        self._lock = threading.Lock()
        self._first_free = cap_bytes // 2
        self._last: deque[bytes] = deque()
        self._last_bytes = 0
        self._last_cap = cap_bytes - cap_bytes // 2
        self._left_out = 0

    def write(self, chunk: bytes) -> None:
        """Add a chunk."""
        with self._lock:
            first, rest = chunk[: self._first_free], chunk[self._first_free :]
            if first:
                with suppress(OSError):
                    self._file.write(first)
                self._first_free -= len(first)
            if rest:
                self._keep(rest)

    def close(self) -> None:
        """Write the last part after a line that says how many bytes are missing."""
        with self._lock:
            last = b"".join(self._last)
            kept = last[-self._last_cap :]
            left_out = self._left_out + len(last) - len(kept)
            with suppress(OSError):
                if left_out:
                    self._file.write(f"\n[... {left_out} bytes left out ...]\n".encode())
                self._file.write(kept)
            self._last.clear()
            with suppress(OSError):
                self._file.close()

    def _keep(self, chunk: bytes) -> None:
        self._last.append(chunk)
        self._last_bytes += len(chunk)
        while self._last_bytes - len(self._last[0]) >= self._last_cap:
            gone = self._last.popleft()
            self._last_bytes -= len(gone)
            self._left_out += len(gone)


class LineQueue:
    """Lines on their way from the pumps to the loop. A pump waits while it is full, and so does the command."""

    def __init__(self) -> None:
        self._lines: deque[OutputLine] = deque()
        self._chars = 0
        self._changed = threading.Condition()

    def put(self, line: OutputLine) -> None:
        """Add a line; waits for room."""
        with self._changed:
            while self._chars >= MAX_QUEUED_CHARS or len(self._lines) >= MAX_QUEUED_LINES:
                self._changed.wait()
            self._lines.append(line)
            self._chars += len(line.text)

    def take(self) -> list[OutputLine]:
        """Remove and return up to `MAX_LINES` lines; never waits."""
        with self._changed:
            taken = [self._lines.popleft() for _ in range(min(MAX_LINES, len(self._lines)))]
            self._chars -= sum(len(line.text) for line in taken)
            self._changed.notify_all()
            return taken


class Pump(threading.Thread):
    """A thread that copies one stream into the log until it ends.

    Args:
        descriptor: the pipe's read end; closed at the end.
        log: receives everything.
        on_line: called from this thread with each line that contains one of `words`, and with what belongs to it.
        words: texts in lower case.
        stream: its name, "stdout" or "stderr".
    """

    def __init__(
        self,
        descriptor: int,
        log: CappedLog,
        on_line: Callable[[OutputLine], None],
        words: Sequence[str] = (),
        stream: str = "stdout",
    ) -> None:
        super().__init__(daemon=True)
        self._descriptor = descriptor
        self._log = log
        self._on_line = on_line
        self._words = [word.lower().encode() for word in words]
        self._budget = LineBudget()
        self._overlap = max(map(len, self._words), default=1) - 1
        self._filter = LineFilter(words, stream)
        self._partial = b""
        self._partial_matters = False
        self._number = 1
        self._tail = b""

    @property
    def lines_left_out(self) -> int:
        """How many lines with one of `words` were not passed on because there were too many."""
        return self._budget.left_out

    @property
    def tail(self) -> str:
        """The last 16 KiB of the stream."""
        return self._tail.decode(errors="replace")

    def run(self) -> None:
        """Read until the stream ends."""
        while chunk := os.read(self._descriptor, CHUNK_BYTES):
            self._tail = (self._tail + chunk)[-TAIL_BYTES:]
            self._log.write(chunk)
            if self._words:
                self._split(chunk)
        os.close(self._descriptor)
        if self._words:
            self._emit([self._partial])
            for line in self._filter.flush():
                self._on_line(line)

    def _split(self, chunk: bytes) -> None:
        # Searching the whole chunk first keeps 100 MB of other output cheap. A word may begin in the chunk before.
        seam = self._partial[-self._overlap :] if self._overlap else b""
        matters = self._partial_matters or self._matters(seam + chunk)
        *lines, rest = (self._partial + chunk).split(b"\n")
        if matters or self._filter.is_waiting:
            self._emit(lines)
        else:
            self._number += len(lines)
        if len(rest) > LONGEST_LINE_BYTES:
            # Half a word could be taken for a whole name, half a number for a whole one.
            rest = rest[-LONGEST_LINE_BYTES:].partition(b" ")[2]
        if b"\r" in rest:
            rest = self._emit_rewritten(rest)
        self._partial, self._partial_matters = rest, matters and self._matters(rest)

    def _matters(self, data: bytes) -> bool:
        lowered = data.lower()
        return b"{" in lowered or any(word in lowered for word in self._words)

    def _left_out(self, lines: Sequence[bytes]) -> Collection[int]:
        """Return the indices of lines with a word that are one too many; rows of tables and objects always stay."""
        if len(lines) < FEWEST_LINES:
            return ()
        matching = [index for index, line in enumerate(lines) if self._matters(line)]
        before = self._budget.left_out
        picked = self._budget.pick([lines[index] for index in matching])
        if self._budget.left_out == before:
            return ()
        # Only a script that writes nothing but numbers gets here. It waits, so that others have their time.
        time.sleep(PAUSE_S)
        return set(matching) - {matching[index] for index in picked}

    def _emit_rewritten(self, rest: bytes) -> bytes:
        """Pass on what carriage returns ended, as in progress bars; return the last part, whose end is not known."""
        # A last carriage return may be half of a line break.
        body = rest.removesuffix(b"\r")
        done, _, last = body.rpartition(b"\r")
        if done and (self._matters(done) or self._filter.is_waiting):
            self._emit([done])
            self._number -= 1
        return last + rest[len(body) :]

    def _emit(self, lines: Sequence[bytes]) -> None:
        left_out = self._left_out(lines)
        for index, line in enumerate(lines):
            if index in left_out:
                self._number += 1
                continue
            for part in line.split(b"\r") if b"\r" in line else (line,):
                for picked in self._filter.feed(self._number, part[:LONGEST_LINE_BYTES].decode(errors="replace")):
                    self._on_line(picked)
            self._number += 1
