"""Watches, signals and ends processes. Needs only the standard library; knows no limits."""

from __future__ import annotations

# The module signal wraps every number in an enum, which takes 3 ms.
import _signal  # type: ignore[import-not-found]  # typeshed leaves it out
import os
import select
import sys

PR_SET_CHILD_SUBREAPER = 36


def raise_priority() -> None:
    """Schedule this process before those that it watches, if the system allows it.

    Among thousands of processes that want to run it would otherwise run too late.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except (AttributeError, OSError):
        return


def wake_at_end(poll: select.poll, pid: int) -> bool:
    """Let the command's end wake the poll; return False if the system cannot."""
    try:
        poll.register(os.pidfd_open(pid), select.POLLIN)
    except (AttributeError, OSError):
        return False
    return True


def is_over(pid: int) -> bool:
    """Return whether the command has exited; it can still be waited for."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def kill_group(pid: int, number: int) -> None:
    """Send a signal to the command's process group."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def end_descendants(pid: int) -> None:
    """Kill every process that the command left: its group, and the orphans that this process adopted."""
    kill_group(pid, _signal.SIGKILL)
    for _ in range(200):
        # The children of a killed process are adopted in turn, so repeating this finds all.
        left = [child for child in children(os.getpid()) if child != pid]
        for child in left:
            try:
                os.kill(child, _signal.SIGKILL)
                os.waitpid(child, 0)
            except (ProcessLookupError, PermissionError, ChildProcessError):
                continue
        if not left:
            return


def children(pid: int) -> list[int]:
    """Return the pids of the children of a process with one thread."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as stream:
            return [int(word) for word in stream.read().split()]
    except OSError:
        return []


def adopt_orphans() -> None:
    """Let every orphan among the descendants of this process become its child, on Linux."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)


def prctl(option: int, value: int) -> None:
    """Call prctl on Linux; on other systems the process group has to suffice."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
