"""A process whose output is passed on line by line, and kept for later. Standard library only."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO

MAX_LINES, MAX_LINE_BYTES = 2000, 4000
"""How much of the output is kept."""
GRACE_S = 8.0
"""Time between SIGTERM and SIGKILL; the supervisor ends what is left after that."""


class LoggedProcess:
    """A process in its own group, so that its workers end with it.

    Args:
        words: its command.
        environment: the whole environment.
        passes_stdout: whether its standard output goes to ours; else both streams go to our standard error.
        ready_log: pattern of a line after which `is_ready` is set.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self, words: Sequence[str], environment: Mapping[str, str], *, passes_stdout: bool, ready_log: str = ""
    ) -> None:
        self._pattern = re.compile(ready_log) if ready_log else None
        self._lines: deque[str] = deque(maxlen=MAX_LINES)
        self.is_ready = threading.Event()
        self._process = subprocess.Popen(
            list(words),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=None if passes_stdout else subprocess.PIPE,
            stderr=subprocess.PIPE if passes_stdout else subprocess.STDOUT,
            start_new_session=True,
        )
        stream = self._process.stderr if passes_stdout else self._process.stdout
        assert stream is not None  # noqa: S101  # opened as a pipe
        self._thread = threading.Thread(target=self._pump, args=(stream,), daemon=True)
        self._thread.start()

    @property
    def status(self) -> int | None:
        """Its exit status; -N when signal N ended it, None while it runs."""
        return self._process.poll()

    def lines(self) -> list[str]:
        """Return the end of its output; all of it once it has ended."""
        if self.status is not None:
            self._thread.join(timeout=2.0)  # a process that it left behind may keep the stream open
        return list(self._lines)

    def wait(self, timeout_s: float) -> None:
        """Wait until it ends, or until the time is over."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)

    def end(self) -> None:
        """End it, and what it started in its group."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
            self.wait(GRACE_S if number == signal.SIGTERM else 2.0)
        self._thread.join(timeout=2.0)

    def _pump(self, stream: IO[bytes]) -> None:
        while line := stream.readline(MAX_LINE_BYTES):
            with suppress(OSError):
                sys.stderr.buffer.write(line)
                sys.stderr.buffer.flush()
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            # Progress bars rewrite a line; what is left of it at the end is its last state.
            self._lines.append(text.rpartition("\r")[2])
            if self._pattern is not None and self._pattern.search(text):
                self.is_ready.set()
