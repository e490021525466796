"""Counts the processes and threads that a sandboxed trial starts, before each one starts. Standard library alone.

The kernel limits processes for every user but root, whose fork without end outgrows any look at it within a second.
So where root runs a trial, each fork waits for the keeper's word, by the kernel's seccomp notifications
(seccomp_unotify(2), Linux 5.5).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

REFUSALS = 1000
"""Who was refused so often tries without end, and is ended."""
RECOUNT_S = 0.03

_CALLS = {"x86_64": (0xC000003E, 317, (56, 57, 58, 435)), "aarch64": (0xC00000B7, 277, (220, 435))}
"""Per machine: its id, the number of seccomp, and of clone, fork, vfork and clone3 (arm has but the first and last)."""
_PIDFD_GETFD = 438
_NO_NEW_PRIVS, _SET_FILTER, _NEW_LISTENER = 38, 1, 8
_RECEIVE, _SEND, _CONTINUE = 0xC0502100, 0xC0182101, 1
_LOAD, _IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NOTIFY, _ALLOW = 0x7FC00000, 0x7FFF0000


class Gate:
    """Lets forks pass while there are fewer than `limit` processes and threads, and refuses them (EAGAIN) beyond.

    Args:
        listener: the descriptor on which forks are announced; the gate closes it.
        limit: how many there may be.
        count: tells how many there are.
    """

    def __init__(self, listener: int, limit: int, count: Callable[[], int]) -> None:
        self.listener = listener
        self._limit, self._count = limit, count
        # The command itself, whose fork was before this.
        self._known, self._counted_at = 1, 0.0
        self._refused = 0

    def answer(self, now: float) -> bool:
        """Answer the fork that waits; return False when so many were refused that the trial is to be ended."""
        request = bytearray(80)
        try:
            fcntl.ioctl(self.listener, _RECEIVE, request)
        except OSError:
            return True  # who asked is gone
        if self._known >= self._limit and now >= self._counted_at + RECOUNT_S:
            self._known, self._counted_at = self._count(), now
        passes = self._known < self._limit
        self._known += passes
        self._refused += not passes
        verdict = (0, _CONTINUE) if passes else (-errno.EAGAIN, 0)
        try:
            fcntl.ioctl(self.listener, _SEND, struct.pack("QqiI", *struct.unpack_from("Q", request), 0, *verdict))
        except OSError:
            return True
        return self._refused < REFUSALS


def is_needed() -> bool:
    """Tell whether the kernel's own limit does not hold for this process's children: it is root."""
    return os.getuid() == 0 and os.uname().machine in _CALLS


def announce() -> int:
    """Have every fork of this process, and of what it becomes, announced; return the descriptor on which.

    Raises:
        OSError: the kernel is too old, or something else listens already.
    """
    library = ctypes.CDLL(None, use_errno=True)
    machine, seccomp, calls = _CALLS[os.uname().machine]
    steps = [(_LOAD, 0, 0, 4), (_IF_EQUAL, 1, 0, machine), (_RETURN, 0, 0, _ALLOW), (_LOAD, 0, 0, 0)]
    for index, call in enumerate(calls):
        steps.append((_IF_EQUAL, len(calls) - index, 0, call))
    steps += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _NOTIFY)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    described = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(program))
    library.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    listener = library.syscall(seccomp, _SET_FILTER, _NEW_LISTENER, described)
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return int(listener)


def take(pid: int, descriptor: int) -> int:
    """Return a copy of another process's descriptor.

    Raises:
        OSError: it has none such, or this process may not.
    """
    library = ctypes.CDLL(None, use_errno=True)
    whose = os.pidfd_open(pid)
    try:
        taken = library.syscall(_PIDFD_GETFD, whose, descriptor, 0)
    finally:
        os.close(whose)
    if taken < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return int(taken)
