"""Classifies failures: turns exit status, cause and log tail into a `Failure`. Pure functions."""

from __future__ import annotations

import math
import re
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tunesmith.evaluator.executors.base import Cause, CommandResult
from tunesmith.study.formatting import strip_control
from tunesmith.study.trials.trial import Failure, FailureKind
from tunesmith.study.units import short_seconds

TAIL_CHARS = 4000
"""Length of the log tail in a failure."""
_OUT_OF_MEMORY = re.compile(
    r"""
    CUDA\ out\ of\ memory | CUDA\ error:\ out\ of\ memory | torch(?:\.cuda)?\.OutOfMemoryError
    | CUBLAS_STATUS_ALLOC_FAILED | HIP\ out\ of\ memory | MPS\ backend\ out\ of\ memory
    | RESOURCE_EXHAUSTED | ResourceExhaustedError
    | ^(?:[\w.]*\.)?(?:MemoryError|_ArrayMemoryError)\b | DefaultCPUAllocator:\ can't\ allocate\ memory
    | std::bad_alloc | Cannot\ allocate\ memory | OutOfMemoryError
    """,
    re.VERBOSE | re.MULTILINE,
)
_DISK_FULL = re.compile(
    r"\[Errno 27\]|File too large|\[Errno 28\]|No space left on device|\[Errno 122\]|Disk quota exceeded"
)
_BY_CAUSE = {
    Cause.MEMORY: (FailureKind.OOM, "used more memory than [run].memory allows"),
    Cause.PROCESSES: (FailureKind.KILLED, "started more processes and threads than [run].processes allows"),
    Cause.DISK: (FailureKind.KILLED, "filled its disk quota ([run].disk) with files that it had deleted"),
    Cause.QUOTA: (FailureKind.KILLED, "filled its disk quota ([run].disk)"),
    Cause.CANCELLED: (FailureKind.KILLED, "was removed from the cluster by somebody else"),
    Cause.LOST: (FailureKind.LOST, "its machine was lost"),
}
_KILLED_BY_KERNEL = (-signal.SIGKILL, 128 + signal.SIGKILL)
_FILE_TOO_LARGE = (-signal.SIGXFSZ, 128 + signal.SIGXFSZ)


def command_failure(
    result: CommandResult, *, timeout_s: float | None, killed_for: str = "", disk_bytes: int = 0, program: str = ""
) -> Failure | None:
    """Return why a command failed, None if it exited with status 0 by itself.

    Args:
        result: how it ended.
        timeout_s: its time limit.
        killed_for: the reason if we killed it, "" otherwise.
        disk_bytes: quota of its folder.
        program: path of the program that ran.
    """
    result = replace(result, tail=strip_control(result.tail))
    tail = result.tail[-TAIL_CHARS:]
    kind, reason = _classify(result, timeout_s, killed_for, disk_bytes)
    if reason.startswith("ModuleNotFoundError") and program:
        reason += f" (run by {program}; activate the environment that has it, or name its python in [run].command)"
    return None if kind is None else Failure(kind=kind, reason=reason, tail=tail)


def metric_failure(values: Mapping[str, float], wanted: Sequence[str], *, tail: str) -> Failure | None:
    """Return why a command that succeeded has no usable objective, None if it reported all of them."""
    missing = [name for name in wanted if name not in values]
    if missing:
        how = f"print a line such as {missing[0]}=0.41, or call tunesmith.report({missing[0]}=...)"
        reason = f"it exited with status 0, but never reported {', '.join(missing)}; {how}"
        return Failure(kind=FailureKind.NO_METRIC, reason=reason, tail=strip_control(tail)[-TAIL_CHARS:])
    bad = next((name for name in wanted if not math.isfinite(values[name])), None)
    if bad is None:
        return None
    return Failure(kind=FailureKind.NAN, reason=f"{bad} ended as {values[bad]}", tail=strip_control(tail)[-TAIL_CHARS:])


def _classify(
    result: CommandResult, timeout_s: float | None, killed_for: str, disk_bytes: int
) -> tuple[FailureKind | None, str]:
    if result.error:
        return FailureKind.CRASH, result.error
    if result.cause is Cause.TIMEOUT:
        limit = f"{short_seconds(timeout_s)} ([run].timeout)" if timeout_s else "its job may ([executor].time)"
        return FailureKind.TIMEOUT, f"ran longer than {limit}"
    if result.cause in _BY_CAUSE:
        return _BY_CAUSE[result.cause]
    if killed_for:
        return FailureKind.KILLED, killed_for
    if result.status == 0:
        return None, ""
    return _classify_status(result, disk_bytes)


def _classify_status(result: CommandResult, disk_bytes: int) -> tuple[FailureKind, str]:
    memory = _OUT_OF_MEMORY.search(result.tail)
    if memory:
        return FailureKind.OOM, _line_around(result.tail, memory.start())
    if result.status in _KILLED_BY_KERNEL:
        return FailureKind.OOM, "was killed from outside (SIGKILL), as the system does when memory runs out"
    if result.status in _FILE_TOO_LARGE or _DISK_FULL.search(result.tail):
        return FailureKind.KILLED, f"filled its disk quota of {disk_bytes / 2**20:,.0f} MiB ([run].disk), or the disk"
    if result.status is not None and result.status < 0:
        number = -result.status
        name = signal.Signals(number).name if number in signal.valid_signals() else str(number)
        kind = FailureKind.KILLED if number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP) else FailureKind.CRASH
        return kind, f"was ended by signal {name}"
    return FailureKind.CRASH, _last_line(result.tail) or f"exit status {result.status}, with no output"


def _line_around(text: str, position: int) -> str:
    start, stop = text.rfind("\n", 0, position) + 1, text.find("\n", position)
    return text[start : stop if stop >= 0 else None].strip()[:300]


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
