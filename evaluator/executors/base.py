"""The contract of every executor: where a command runs, and how its end is learned.

Needs the standard library alone: it is imported on the machines where trials run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

GRACE_S = 5.0
"""How long a command has between SIGTERM and SIGKILL."""


class Cause(StrEnum):
    """Who ended a command: it exited by itself, its time was up, we asked it to stop, we killed it, it went over its
    limit of memory, processes, deleted files that it kept open or files in its folder, somebody else took it off the
    machine, or the machine was lost with it.
    """

    EXIT = "exit"
    TIMEOUT = "timeout"
    STOP = "stop"
    KILL = "kill"
    MEMORY = "memory"
    PROCESSES = "processes"
    DISK = "disk"
    QUOTA = "quota"
    CANCELLED = "cancelled"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A command to run.

    Attributes:
        environment: the whole environment, not additions to it.
        log: where both output streams go, at most `log_bytes` of them.
        file_bytes: no file that the command writes may grow larger.
        line_words: lines of standard output that hold one of these are handed on, all others only go to the log.
        memory_bytes: what all its processes together may use, and what each may reserve; 0 is no limit.
        processes: how many processes and threads it may have at once; 0 is no limit.
        is_enclosed: whether the command is one that makes a sandbox; signals then go to what is in it.
        grace_s: how long it has between SIGTERM and SIGKILL.
        folder: all that the command writes and that is kept lies below; None is `cwd`. On another machine it is a
            folder there, and the command line and the environment say so.
        report: the file in `folder` to which it reports.
        reads: folders that it reads beside the project's files, outside of `cwd`.
        gpus: how many GPUs it has the use of, a part of one as a part; those on this machine stand in the environment.
        cores: the cores that it keeps to; none for any.
    """

    argv: Sequence[str]
    cwd: Path
    environment: Mapping[str, str]
    log: Path
    log_bytes: int
    timeout_s: float | None
    file_bytes: int
    line_words: Sequence[str] = ()
    memory_bytes: int = 0
    processes: int = 0
    is_enclosed: bool = False
    grace_s: float = GRACE_S
    folder: Path | None = None
    report: Path | None = None
    reads: Sequence[Path] = ()
    gpus: float = 0.0
    cores: Sequence[int] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a command ended.

    Attributes:
        status: exit status; -N when signal N ended it; None when it could not start.
        error: why it could not start; "" otherwise.
        tail: the end of its standard error, else of its standard output; at most 16 KiB.
        gpu_mem_gib: the peak of its GPU memory; None, as with the next three, where it was not measured.
        gpu_busy: the mean share of the time in which its GPUs computed, from 0 to 1.
        energy_j: what its GPUs used, in equal parts for those that shared one.
        gpu_share_s: seconds of GPU, in such parts.
    """

    status: int | None
    cause: Cause = Cause.EXIT
    error: str = ""
    tail: str = ""
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_rss_gib: float = 0.0
    gpu_mem_gib: float | None = None
    gpu_busy: float | None = None
    energy_j: float | None = None
    gpu_share_s: float | None = None


class Job(ABC):
    """A command that was started.

    Nothing of it may outlive its Exit: no process of it, and none that it started. `stop` and `kill` may be called
    more than once and after the end.
    """

    @abstractmethod
    def poll(self) -> Exit | None:
        """Return how it ended, or None while it runs; never blocks."""

    @abstractmethod
    def lines(self) -> list[str]:
        """Return the interesting lines of standard output since the last call; never blocks."""

    @abstractmethod
    def stop(self) -> None:
        """Ask it to end, and end it after its grace; returns at once."""

    @abstractmethod
    def kill(self) -> None:
        """End it; returns at once."""


class Stillborn(Job):
    """A command that could not be started.

    Args:
        error: why, and what to do.
    """

    def __init__(self, error: str) -> None:
        self._exit = Exit(status=None, error=error)

    def poll(self) -> Exit:
        """Return at once why it could not start."""
        return self._exit

    def lines(self) -> list[str]:
        """Return nothing: it never said anything."""
        return []

    def stop(self) -> None:
        """Nothing is left to stop."""

    def kill(self) -> None:
        """Nothing is left to kill."""


class Executor(ABC):
    """Starts commands. One thread calls it; each job may use threads of its own."""

    def use(self, project: Path) -> None:  # noqa: B027  # only who runs elsewhere must know
        """Note where the project's files are of which every launch's `cwd` is a copy."""

    def room(self, *, gpus: float, cpus: int) -> int | None:  # noqa: ARG002  # for those that place commands themselves
        """Return how many commands that need so much fit at once; None when nobody can tell."""
        return None

    @abstractmethod
    def start(self, launch: Launch) -> Job:
        """Start the command; one that cannot start gives a job with an Exit that says why, never an exception."""

    def close(self) -> None:  # noqa: B027  # some hold nothing
        """Let go of what the executor holds; no job runs any more."""
