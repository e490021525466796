"""Decides on calls of a sandboxed trial before they happen: forks, and locks of files that it only reads.

The kernel limits the processes of every user but root, whose fork bomb outgrows any periodic check within a second. So
where root runs a trial, each fork waits for the supervisor's answer, through the kernel's seccomp notifications
(seccomp_unotify(2), Linux 5.5). An exclusive lock (flock) of a file that all trials read would hold up the others; it
succeeds without being taken. Needs only the standard library.
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

MAX_REFUSALS = 1000
"""Number of refused forks after which the trial is ended as a fork bomb."""
RECOUNT_S = 0.03
"""Shortest interval between two counts of the processes while the limit is reached."""

_CALLS = {"x86_64": (0xC000003E, 317, 73, (56, 57, 58, 435)), "aarch64": (0xC00000B7, 277, 32, (220, 435))}
"""Per machine: its id, the numbers of seccomp and flock, and those of clone, fork, vfork and clone3 (arm: two)."""
_EXCLUSIVE = 2
"""LOCK_EX, in the second argument of flock."""
_PIDFD_GETFD = 438
_NO_NEW_PRIVS, _SET_FILTER, _NEW_LISTENER = 38, 1, 8
_RECEIVE, _SEND, _CONTINUE = 0xC0502100, 0xC0182101, 1
_LOAD, _IF_EQUAL, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_NOTIFY, _ALLOW = 0x7FC00000, 0x7FFF0000


class ForkGate:
    """Admits forks while there are fewer than `limit` processes and threads, and refuses them (EAGAIN) otherwise.

    Args:
        listener: the descriptor on which calls are announced.
        limit: largest number of processes and threads.
        count: returns their current number.
    """

    def __init__(self, listener: int, limit: int, count: Callable[[], int]) -> None:
        self.listener = listener
        self._flock = _CALLS[os.uname().machine][2]
        self._limit, self._count = limit, count
        # The command itself, which was forked before.
        self._known, self._counted_at = 1, 0.0
        self._refused = 0

    def answer(self, now: float) -> bool:
        """Answer the waiting call; return False if the trial should be ended because too many forks were refused."""
        request = bytearray(80)
        try:
            fcntl.ioctl(self.listener, _RECEIVE, request)
        except OSError:
            return True  # the process is gone
        if struct.unpack_from("i", request, 16)[0] == self._flock:
            self._send(request, (0, 0) if _locks_what_others_read(request) else (0, _CONTINUE))
            return True
        if self._known >= self._limit and now >= self._counted_at + RECOUNT_S:
            self._known, self._counted_at = self._count(), now
        is_admitted = self._known < self._limit
        self._known += is_admitted
        self._refused += not is_admitted
        self._send(request, (0, _CONTINUE) if is_admitted else (-errno.EAGAIN, 0))
        return self._refused < MAX_REFUSALS

    def _send(self, request: bytearray, answer: tuple[int, int]) -> None:
        try:
            fcntl.ioctl(self.listener, _SEND, struct.pack("QqiI", *struct.unpack_from("Q", request), 0, *answer))
        except OSError:
            return  # the process is gone


def _locks_what_others_read(request: bytearray) -> bool:
    """Return whether a lock is of a file that the trial opened for reading only, where it may only read."""
    pid, descriptor = struct.unpack_from("I", request, 8)[0], struct.unpack_from("i", request, 32)[0]
    try:
        with open(f"/proc/{pid}/fdinfo/{descriptor}") as stream:
            fields = dict(line.split()[:2] for line in stream if line.startswith(("flags:", "mnt_id:")))
        with open(f"/proc/{pid}/mountinfo") as stream:
            options = next(words[5] for words in map(str.split, stream) if words[0] == fields["mnt_id:"])
    except (OSError, StopIteration, KeyError):
        return False
    return int(fields["flags:"], 8) & os.O_ACCMODE == os.O_RDONLY and "ro" in options.split(",")


def counts_forks() -> bool:
    """Return whether the kernel's own limit does not apply to this process's children, because it is root."""
    return os.getuid() == 0 and os.uname().machine in _CALLS


def is_possible() -> bool:
    """Return whether the numbers of this machine's calls are known."""
    return os.uname().machine in _CALLS


def announce() -> int:
    """Have this process's calls, and those of its later program, announced; return the descriptor for it.

    Raises:
        OSError: the kernel is too old, or another listener exists.
    """
    library = ctypes.CDLL(None, use_errno=True)
    machine, seccomp, flock, forks = _CALLS[os.uname().machine]
    calls = forks if counts_forks() else ()
    steps = [(_LOAD, 0, 0, 4), (_IF_EQUAL, 1, 0, machine), (_RETURN, 0, 0, _ALLOW), (_LOAD, 0, 0, 0)]
    # Its second argument, whose low word is at 24: exclusive locks only.
    steps += [(_IF_EQUAL, 0, 4, flock), (_LOAD, 0, 0, 24), (_IF_ANY_BIT, 0, 1, _EXCLUSIVE)]
    steps += [(_RETURN, 0, 0, _NOTIFY), (_RETURN, 0, 0, _ALLOW)]
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
        OSError: there is no such descriptor, or this process may not have it.
    """
    library = ctypes.CDLL(None, use_errno=True)
    process = os.pidfd_open(pid)
    try:
        taken = library.syscall(_PIDFD_GETFD, process, descriptor, 0)
    finally:
        os.close(process)
    if taken < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return int(taken)
