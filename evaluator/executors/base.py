"""The contract of every executor: where a command runs, and how its result becomes known.

Needs only the standard library, because it is imported on the machines where trials run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tunesmith.evaluator.output.output_line import OutputLine

GRACE_S = 5.0
"""Time between SIGTERM and SIGKILL."""


class Cause(StrEnum):
    """What ended a command.

    EXIT: it exited by itself. TIMEOUT: its time was up. STOP, KILL: we asked for it. MEMORY, PROCESSES, DISK (deleted
    files that it kept open), QUOTA (files in its folder): it exceeded a limit. CANCELLED: somebody else removed it from
    the cluster. LOST: its machine was lost.
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
class CommandSpec:
    """A command to run.

    Attributes:
        environment: the whole environment; nothing is inherited.
        log: file for both output streams, at most `log_bytes` long.
        file_bytes: largest size of a file that the command writes.
        line_words: lines of output that contain one of these, in lower case or not, are passed on, with the rows of a
            table and the object over several lines that contains one; all others only go to the log.
        memory_bytes: memory of all its processes together, and address space that each may reserve; 0 means no limit.
        processes: largest number of its processes and threads; 0 means no limit.
        is_sandboxed: whether the command starts a sandbox; signals then go to the process inside it.
        grace_s: time between SIGTERM and SIGKILL.
        folder: everything the command writes that is kept lies below; None means `cwd`. On another machine a folder
            there replaces it, in the command line and in the environment too.
        report: the file in `folder` that the command reports to.
        reads: folders outside of `cwd` that it reads.
        gpus: number of GPUs it may use, a fraction when it shares one; their ids are in the environment.
        cores: CPU cores it is pinned to; empty for any.
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
    is_sandboxed: bool = False
    grace_s: float = GRACE_S
    folder: Path | None = None
    report: Path | None = None
    reads: Sequence[Path] = ()
    gpus: float = 0.0
    cores: Sequence[int] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """How a command ended.

    Attributes:
        status: exit status; -N when signal N ended it; None when it could not start.
        error: why it could not start; "" otherwise.
        tail: the end of its standard error, else of its standard output; at most 16 KiB.
        unsafe: what its artifacts hold that nobody may open, "" for nothing; None if it ran without the sandbox.
        output_tail: the end of its standard output if `tail` is that of standard error; at most 16 KiB.
        gpu_mem_gib: peak GPU memory; None, as for the next three, when it was not measured.
        gpu_busy: mean utilization of its GPUs, from 0 to 1.
        energy_j: energy of its GPUs; the energy of a shared GPU is divided equally.
        gpu_share_s: GPU seconds; those of a shared GPU are divided equally.
    """

    status: int | None
    cause: Cause = Cause.EXIT
    error: str = ""
    tail: str = ""
    output_tail: str = ""
    unsafe: str | None = None
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_rss_gib: float = 0.0
    gpu_mem_gib: float | None = None
    gpu_busy: float | None = None
    energy_j: float | None = None
    gpu_share_s: float | None = None


class Job(ABC):
    """A command that was started.

    When `poll` returns a result, no process of the command is left, and none that it started. `stop` and `kill` may be
    called several times, and after the end.
    """

    @abstractmethod
    def poll(self) -> CommandResult | None:
        """Return the result, or None while the command runs; never blocks."""

    @abstractmethod
    def lines(self) -> list[OutputLine]:
        """Return lines with one of `line_words` since the last call, at most `MAX_LINES`; never blocks.

        There may be more as long as it returns that many; the command waits until they are fetched.
        """

    @property
    def lines_left_out(self) -> int:
        """How many lines with one of `line_words` were not passed on because there were too many."""
        return 0

    @abstractmethod
    def stop(self) -> None:
        """Send SIGTERM, and SIGKILL after the grace period; returns at once."""

    @abstractmethod
    def kill(self) -> None:
        """End the command now; returns at once."""


class FailedJob(Job):
    """A command that could not be started.

    Args:
        error: why, and what to do.
    """

    def __init__(self, error: str) -> None:
        self._result = CommandResult(status=None, error=error)

    def poll(self) -> CommandResult:
        """Return why the command could not start."""
        return self._result

    def lines(self) -> list[OutputLine]:
        """Return nothing: there was no output."""
        return []

    def stop(self) -> None:
        """Do nothing: no process was started."""

    def kill(self) -> None:
        """Do nothing: no process was started."""


class FinishedJob(FailedJob):
    """A step of a trial without a command: it has succeeded."""

    def __init__(self) -> None:
        self._result = CommandResult(status=0)


class Executor(ABC):
    """Starts commands. One thread calls it; each job may use threads."""

    def use_project(self, project: Path) -> None:  # noqa: B027  # only executors on other machines need the files
        """Set the folder of the project's files; `cwd` of every command is a copy of it."""

    def capacity(self, *, gpus: float, cpus: int) -> int | None:  # noqa: ARG002  # for executors that place commands
        """Return how many commands of this size run at once; None when that is not known."""
        return None

    @abstractmethod
    def start(self, spec: CommandSpec) -> Job:
        """Start the command. One that cannot start returns a job whose result says why; nothing is raised."""

    def close(self) -> None:  # noqa: B027  # some hold nothing
        """Release what the executor holds. Call it when no job runs."""
