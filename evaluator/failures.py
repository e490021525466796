"""Classifies failures: turns exit status, cause and log tail into a `Failure`. Pure functions."""

from __future__ import annotations

import math
import re
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from tunesmith.evaluator.executors.base import Cause, CommandResult
from tunesmith.evaluator.out_of_memory import find_out_of_memory, last_traceback
from tunesmith.evaluator.supervision.signals import signal_name
from tunesmith.study.formatting import strip_control
from tunesmith.study.trials.observed.resources import RESOURCES
from tunesmith.study.trials.trial import Failure, FailureKind
from tunesmith.study.units import short_seconds

TAIL_CHARS = 4000
"""Length of the log tail in a failure."""
MAX_LINES_BEHIND_TRACEBACK = 5
"""Number of lines from the error of a traceback to the end of a log that ends in it."""
MAX_REASON_CHARS = 300
"""Longest line of a log that becomes a reason."""
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
_ERROR_LINE = re.compile(
    r"(?:\[rank\d{1,5}\]:\s?)?(?:[│|]\s?)?(?:\w{1,80}\.){0,12}+"
    r"(?:\w{0,80}(?:Error|Exception|Interrupt|Failure|Exit|Panic)\b"
    r"|[\w./-]{1,80}(?:[:(]\d{1,9}[):]*){0,2}:\s(?:fatal\s)?error\b|(?:fatal|critical|panic|error)\b)"
    r"(?:[:( ]|\Z)|\[?\w{0,20}\]?\s?\[?(?:FATAL|CRITICAL|Fatal|ERROR)\b|thread '.{1,80}' panicked|terminate called",
)
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
    result = replace(result, tail=strip_control(result.tail), output_tail=strip_control(result.output_tail))
    tail = result.tail[-TAIL_CHARS:]
    kind, reason = _classify(result, timeout_s, killed_for, disk_bytes)
    if reason.startswith("ModuleNotFoundError") and program:
        reason += f" (run by {program}; activate the environment that has it, or name its python in [run].command)"
    return None if kind is None else Failure(kind=kind, reason=reason, tail=tail)


def metric_failure(
    values: Mapping[str, float], wanted: Sequence[str], *, tail: str, unread: Mapping[str, str] = MappingProxyType({})
) -> Failure | None:
    """Return why a command that succeeded has no usable objective, None if it reported all of them.

    Args:
        values: the last value of each metric.
        wanted: the objectives.
        tail: the end of the log.
        unread: for metrics without a value: where the output named them, and why that was not taken.
    """
    missing = [name for name in wanted if name not in values]
    if missing:
        how = f"print a line such as {missing[0]}=0.41, or call tunesmith.report({missing[0]}=...)"
        named = {name: unread[name] for name in missing if name in unread}
        where = "".join(f"; {why}" if len(missing) == 1 else f"; {name}: {why}" for name, why in named.items())
        reason = f"it exited with status 0, but never reported {', '.join(missing)}{strip_control(where)}; {how}"
        return Failure(kind=FailureKind.NO_METRIC, reason=reason, tail=strip_control(tail)[-TAIL_CHARS:])
    bad = next((name for name in wanted if not math.isfinite(values[name])), None)
    if bad is None:
        return None
    return Failure(kind=FailureKind.NAN, reason=f"{bad} ended as {values[bad]}", tail=strip_control(tail)[-TAIL_CHARS:])


def resource_failure(measured: Mapping[str, float], wanted: Sequence[str]) -> Failure | None:
    """Return why a measured resource that is an objective has no value, None if all have one."""
    missing = next((name for name in wanted if name in RESOURCES and name not in measured), None)
    if missing is None:
        return None
    reason = f"{missing} ({RESOURCES[missing].about}) was not measured where it ran"
    hint = '; pip install "tunesmith[gpu]" there' if RESOURCES[missing].needs_gpu else ""
    return Failure(kind=FailureKind.NO_METRIC, reason=f"{reason}{hint}")


def traceback_note(result: CommandResult) -> str:
    """Return that the log of a command that succeeded ends in a traceback, with its error; "" if it does not."""
    for tail in (result.tail, result.output_tail):
        text = strip_control(tail)
        start = last_traceback(text)
        if start is None:
            continue
        lines = [line for line in text[start:].split("\n")[1:] if line.strip()]
        ending = next((index for index, line in enumerate(lines) if not line.startswith((" ", "\t", "│"))), None)
        if ending is not None and len(lines) - ending <= MAX_LINES_BEHIND_TRACEBACK:
            return f"its log ends in a traceback ({lines[ending].strip()[:200]}), although it exited with status 0"
    return ""


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
    memory = find_out_of_memory(result.tail)
    if not memory and not _error_line(result.tail):
        memory = find_out_of_memory(result.output_tail)
    if memory:
        return FailureKind.OOM, memory[:MAX_REASON_CHARS]
    if result.status in _KILLED_BY_KERNEL:
        return FailureKind.OOM, "was killed from outside (SIGKILL), as the system does when memory runs out"
    if result.status in _FILE_TOO_LARGE or _DISK_FULL.search(f"{result.tail}\n{result.output_tail}"):
        return FailureKind.KILLED, f"filled its disk quota of {disk_bytes / 2**20:,.0f} MiB ([run].disk), or the disk"
    if result.status is not None and result.status < 0:
        number = -result.status
        kind = FailureKind.KILLED if number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP) else FailureKind.CRASH
        return kind, f"was ended by signal {signal_name(number)}"
    error = _error_line(result.tail) or _error_line(result.output_tail) or _last_line(result.tail)
    if not error:
        return FailureKind.CRASH, f"exit status {result.status}, with no output"
    return FailureKind.CRASH, error if result.status == 1 else f"{error} (exit status {result.status})"


def _error_line(text: str) -> str:
    """Return the last line that reads like an error; of a traceback, the line after its frames."""
    start = last_traceback(text)
    if start is not None:
        after = text[start:].split("\n")[1:]
        found = next((line for line in after if line.strip() and not line.startswith((" ", "\t", "│", "[rank"))), "")
        if found and _ERROR_LINE.match(found):
            return found.strip()[:MAX_REASON_CHARS]
    lines = (line.strip() for line in reversed(text.split("\n")))
    return next((line[:MAX_REASON_CHARS] for line in lines if _ERROR_LINE.match(line)), "")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:MAX_REASON_CHARS] if lines else ""
