"""The loop's side of a job that runs on another machine: its output, the requests to end it, and its result.

Knows neither Slurm nor Ray. A thread of the executor writes to a job, and the loop reads it. Needs only the standard
library.
"""

from __future__ import annotations

import signal
import time
from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path
from queue import SimpleQueue

from tunesmith.evaluator.executors.base import Cause, CommandResult, CommandSpec, Job
from tunesmith.evaluator.output.output_line import MAX_LINES, OutputLine

STOP, KILL = "T", "K"
"""Requests to end a command: SIGTERM with a grace period, and SIGKILL. The supervisor reads the same letters."""
OVERDUE_S = 10.0
"""Time that a worker has, after the grace period, to report the end of a job it was asked to end."""


class RemoteJob(Job):
    """A job whose command runs elsewhere. Subclasses say how a request reaches the worker."""

    def __init__(self, spec: CommandSpec) -> None:
        self.folder: Path = spec.folder or spec.cwd
        self._grace_s = spec.grace_s
        self._lines: SimpleQueue[OutputLine] = SimpleQueue()
        self._result: CommandResult | None = None
        self._requests = ""
        self._requested_at = 0.0

    def poll(self) -> CommandResult | None:
        """Return the result, or None while the command runs."""
        return self._result

    def lines(self) -> list[OutputLine]:
        """Return the lines since the last call, at most `MAX_LINES`."""
        return [self._lines.get() for _ in range(min(MAX_LINES, self._lines.qsize()))]

    def stop(self) -> None:
        """Request SIGTERM, and SIGKILL after the grace period."""
        self._request(STOP)

    def kill(self) -> None:
        """Request an immediate end."""
        self._request(KILL)

    @property
    def requests(self) -> str:
        """The requests so far, each once, in order."""
        return self._requests

    @property
    def is_overdue(self) -> bool:
        """Whether the worker should have reported the requested end long ago."""
        return bool(self._requests) and time.monotonic() > self._requested_at + self._grace_s + OVERDUE_S

    def add_lines(self, lines: Iterable[OutputLine]) -> None:
        """Store lines of output for the loop."""
        for line in lines:
            self._lines.put(line)

    def finish(self, result: CommandResult) -> None:
        """Store the result; the job is over."""
        self._result = result

    def ended_on_request(self) -> CommandResult:
        """Return the result of a job that was ended from here, without a word from its worker."""
        return killed(Cause.KILL if KILL in self._requests else Cause.STOP)

    @abstractmethod
    def _send_request(self, letter: str) -> None:
        """Pass a request on to the worker; returns at once."""

    def _request(self, letter: str) -> None:
        if self._result is None and letter not in self._requests:
            self._requests += letter
            self._requested_at = time.monotonic()
            self._send_request(letter)


def killed(cause: Cause) -> CommandResult:
    """Return the result of a command that was killed and reported nothing."""
    return CommandResult(status=-int(signal.SIGKILL), cause=cause)


def last_line(error: BaseException) -> str:
    """Return the last line of an error's text, at most 300 characters; the error's type when it has no text."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
