"""Stops and continues all processes of a worker, so that they run only while the clock does. Linux only.

What runs between two timed calls would be work that nobody times: a result that is computed after the function has
returned, a thread that prepares the next call, or one that slows the reference down.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator

STOP_WAIT_S = 5.0
"""Longest time that a process may take to stop; in the kernel, such as in a driver, it stops later."""
_STOPPED = frozenset("TtZXx")


class NotStopped(RuntimeError):
    """A process did not stop."""


def descendants(pid: int) -> list[int]:
    """Return a process and all processes below it; none of one that is gone."""
    found, waiting = [], [pid]
    while waiting:
        current = waiting.pop()
        found.append(current)
        waiting += children(current)
    return found


def children(pid: int) -> list[int]:
    """Return the children of all threads of a process."""
    found: list[int] = []
    for thread in _threads(pid):
        try:
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as stream:
                found += map(int, stream.read().split())
        except OSError:
            continue
    return found


def stop_all(roots: Iterable[int], adopted: Iterable[int] = ()) -> set[int]:
    """Stop processes and everything below them; return them all. None of them runs any more then.

    Args:
        roots: the processes.
        adopted: processes that are no descendants of these any more.

    Raises:
        NotStopped: one does not stop.
    """
    stopped: set[int] = set()
    while True:
        # A process that has stopped cannot fork, so that the second look finds what the first one missed.
        found = {pid for root in (*roots, *adopted) for pid in descendants(root)} - stopped
        if not found:
            return stopped
        for pid in found:
            send(pid, signal.SIGSTOP)
        for pid in found:
            _wait_until_stopped(pid)
        stopped |= found


def continue_all(pids: Iterable[int]) -> None:
    """Let stopped processes run again."""
    for pid in pids:
        send(pid, signal.SIGCONT)


def send(pid: int, number: int) -> None:
    """Send a signal to a process, which may be gone."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def _wait_until_stopped(pid: int) -> None:
    deadline = time.monotonic() + STOP_WAIT_S
    while any(state not in _STOPPED for state in _states(pid)):
        if time.monotonic() > deadline:
            raise NotStopped(f"process {pid} does not stop")
        os.sched_yield()


def _states(pid: int) -> Iterator[str]:
    for thread in _threads(pid):
        try:
            with open(f"/proc/{pid}/task/{thread}/stat", "rb") as stream:
                # The name may hold anything, also parentheses and spaces.
                yield stream.read().rpartition(b") ")[2][:1].decode()
        except OSError:
            continue


def _threads(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
