"""Reads a command's output while it runs: into a log of limited size, with the tail and some of its lines kept."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

CHUNK_BYTES = 65536
TAIL_BYTES = 16384
LONGEST_LINE_BYTES = 2**20


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


class Pump(threading.Thread):
    """A thread that copies one stream into the log until it ends.

    Args:
        descriptor: the pipe's read end; closed at the end.
        log: receives everything.
        on_line: called from this thread with each line that contains one of `words`.
    """

    def __init__(
        self, descriptor: int, log: CappedLog, on_line: Callable[[str], None] | None = None, words: Sequence[str] = ()
    ) -> None:
        super().__init__(daemon=True)
        self._descriptor = descriptor
        self._log = log
        self._on_line = on_line
        self._words = [word.encode() for word in words]
        self._partial = b""
        self._tail = b""

    @property
    def tail(self) -> str:
        """The last 16 KiB of the stream."""
        return self._tail.decode(errors="replace")

    def run(self) -> None:
        """Read until the stream ends."""
        while chunk := os.read(self._descriptor, CHUNK_BYTES):
            self._tail = (self._tail + chunk)[-TAIL_BYTES:]
            self._log.write(chunk)
            if self._on_line is not None:
                self._split(chunk)
        os.close(self._descriptor)
        self._emit([self._partial])

    def _split(self, chunk: bytes) -> None:
        # A progress bar rewrites its line after a carriage return.
        *lines, rest = (self._partial + chunk).replace(b"\r", b"\n").split(b"\n")
        # Searching the whole chunk first keeps 100 MB of other output cheap.
        if any(word in chunk or word in self._partial for word in self._words):
            self._emit(lines)
        self._partial = rest[-LONGEST_LINE_BYTES:]

    def _emit(self, lines: Sequence[bytes]) -> None:
        if self._on_line is None:
            return
        for line in lines:
            if any(word in line for word in self._words):
                self._on_line(line[:LONGEST_LINE_BYTES].decode(errors="replace"))
