"""Starts a worker, hands it requests and measures its replies with this process's clock. Judges nothing."""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import secrets
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.evaluator.supervision.signals import signal_name
from tunesmith.evaluator.timing.worker.freezing import children, continue_all, descendants, send, stop_all

WORKER = Path(__file__).with_name("worker.py")
MAX_REPLY_BYTES = 65536
_FIRST_DESCRIPTOR = 30
"""Descriptors below are used by shells that start the worker."""
START_TIMEOUT_S = 600.0
"""Longest time for imports, compilation at import, and making one input."""


class WorkerFailed(Exception):
    """A worker raised, ended, or did not answer.

    Attributes:
        kind: "raised", "ended", "late" or "garbled".
        text: the error in a line.
        trace: the end of its traceback; "" without one.
    """

    def __init__(self, kind: str, text: str, trace: str = "") -> None:
        super().__init__(text)
        self.kind, self.text, self.trace = kind, text, trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """How a worker is started, and what it calls.

    Attributes:
        argv: the command line in front of the worker's own arguments.
        cwd: its working directory.
        environment: the whole environment.
        target: the function, FILE.py:NAME; "" for a program.
        program: the words of a program's command line; empty for a function.
        arguments: further arguments of the function, by name.
    """

    argv: Sequence[str]
    cwd: str
    environment: Mapping[str, str]
    target: str
    program: Sequence[str]
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """The reply to a request, and the seconds from the moment at which it could run to that at which it could not."""

    values: Mapping[str, Any]
    seconds: float


class WorkerProcess:
    """A worker. It is stopped except while it answers a request.

    Args:
        program: what to start.
        owns_orphans: whether processes that this process adopted belong to it.
    """

    def __init__(self, program: Program, *, owns_orphans: bool) -> None:
        self._program = program
        self._owns_orphans = owns_orphans
        self._file = os.memfd_create("tunesmith-timing", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        self._memory: mmap.mmap | None = None
        requests_out, self._requests = os.pipe()
        self._replies, replies_in = os.pipe()
        given = [fcntl.fcntl(fd, fcntl.F_DUPFD, _FIRST_DESCRIPTOR) for fd in (requests_out, replies_in, self._file)]
        try:
            self._process = subprocess.Popen(
                [*program.argv, str(WORKER), *map(str, given)],
                cwd=program.cwd,
                env=dict(program.environment),
                stdin=subprocess.DEVNULL,
                pass_fds=given,
            )
        finally:
            for descriptor in (*given, requests_out, replies_in):
                os.close(descriptor)
        os.set_blocking(self._replies, False)
        self._stopped: set[int] = set()
        self._waiting = b""

    @property
    def pid(self) -> int:
        """The first process of the worker."""
        return self._process.pid

    @property
    def memory(self) -> mmap.mmap:
        """The memory that it shares; `share` was called."""
        assert self._memory is not None  # noqa: S101  # the order of the judge's calls
        return self._memory

    def share(self, size: int) -> None:
        """Give the shared memory its size, for good: a smaller file would end this process."""
        os.ftruncate(self._file, size)
        fcntl.fcntl(self._file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        self._memory = mmap.mmap(self._file, size)
        self.ask("map", bytes=size)

    def load(self) -> None:
        """Import what it calls."""
        program = self._program
        self.ask(
            "load",
            timeout_s=START_TIMEOUT_S,
            target=program.target,
            argv=list(program.program),
            arguments=dict(program.arguments),
        )

    def ask(self, action: str, *, timeout_s: float = START_TIMEOUT_S, **request: Any) -> Answer:
        """Let it run until it has answered a request, and stop it again; the seconds include both.

        Raises:
            WorkerFailed: it raised, ended, did not answer in time, or its answer is none.
        """
        token = secrets.token_hex(8)
        line = json.dumps({"id": token, "do": action, **request}).encode() + b"\n"
        started = time.perf_counter()
        continue_all(self._stopped)
        try:
            self._write(line)
            reply = self._read(started + timeout_s)
        finally:
            # The clock runs until nothing of it runs any more: what it does after its answer is part of its time.
            self._stopped = stop_all([self.pid], self._orphans())
            seconds = time.perf_counter() - started
        return Answer(_checked(reply, token), seconds)

    def end(self) -> None:
        """Kill it and everything it started."""
        for pid in {*descendants(self.pid), *self._orphans()}:
            send(pid, signal.SIGKILL)
        self._process.wait()
        _started.discard(self.pid)
        if self._memory is not None:
            # Views of the memory may still exist; it is freed with the last of them.
            self._memory = None
        for descriptor in (self._file, self._requests, self._replies):
            os.close(descriptor)

    def _orphans(self) -> list[int]:
        if not self._owns_orphans:
            return []
        return [pid for pid in children(os.getpid()) if pid not in _started]

    def _write(self, line: bytes) -> None:
        try:
            os.write(self._requests, line)
        except BrokenPipeError:
            raise self._ended() from None

    def _read(self, deadline: float) -> bytes:
        poll = select.poll()
        poll.register(self._replies, select.POLLIN | select.POLLHUP)
        while b"\n" not in self._waiting:
            left = deadline - time.perf_counter()
            if left <= 0 or not poll.poll(left * 1000):
                raise WorkerFailed("late", "gave no answer in time")
            part = os.read(self._replies, 65536)
            if not part:
                raise self._ended()
            self._waiting += part
            if len(self._waiting) > MAX_REPLY_BYTES:
                raise WorkerFailed("garbled", "wrote to the judge's pipe")
        line, _, self._waiting = self._waiting.partition(b"\n")
        return line

    def _ended(self) -> WorkerFailed:
        status = self._process.wait(timeout=10)
        if status > 128:  # how a shell and bubblewrap report a signal
            status = 128 - status
        if status < 0:
            return WorkerFailed("ended", f"was ended by signal {signal_name(-status)}")
        return WorkerFailed("ended", f"ended with exit status {status}")


_started: set[int] = set()
"""Processes that this process started as workers; its other children are orphans that it adopted."""


def start(program: Program, *, owns_orphans: bool) -> WorkerProcess:
    """Start a worker."""
    worker = WorkerProcess(program, owns_orphans=owns_orphans)
    _started.add(worker.pid)
    return worker


def _checked(reply: bytes, token: str) -> Mapping[str, Any]:
    try:
        values = json.loads(reply)
    except ValueError:
        values = None
    if not isinstance(values, dict) or values.get("id") != token:
        raise WorkerFailed("garbled", "wrote to the judge's pipe")
    if "error" in values:
        text, trace = str(values["error"]), str(values.get("trace", ""))
        raise WorkerFailed("raised", text[:500], trace[-4000:])
    return values
