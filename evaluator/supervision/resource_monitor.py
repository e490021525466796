"""Adds up what a trial's processes use, and finds the limit that they exceed. Needs only the standard library.

Linux limits the memory of one process and the processes of one user; a trial has many processes, and a user has many
trials. Control groups would do, but ordinary users can rarely make one. So the supervisor checks many times a second.
"""

from __future__ import annotations

import os
import stat
import time

# Importing it would take as long as all other imports of the supervisor.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

CHECK_S = 0.03
"""Interval at which processes and memory are checked; longer when a check takes long."""
CHECK_FILES_S = 0.5
"""Interval at which open files without a name are checked."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class ResourceMonitor:
    """Compares what all descendants of this process use with their limits; 0 is no limit.

    Args:
        memory_bytes: limit of their own memory and of files in memory without a name.
        processes: limit of processes and threads.
        disk_bytes: limit of files without a name on the disk of `folder`, which no directory lists.
        folder: the trial's working directory.
    """

    def __init__(self, *, memory_bytes: int, processes: int, disk_bytes: int, folder: str) -> None:
        self._memory_bytes, self._processes, self._disk_bytes = memory_bytes, processes, disk_bytes
        self._disk = os.stat(folder).st_dev
        self._deleted_in_memory = 0
        self.next_at = 0.0
        self._next_files_at = self._next_memory_at = 0.0

    def exceeded_limit(self) -> str:
        """Return "memory", "processes" or "disk"; "" if no limit is exceeded, or the next check is not due."""
        started = time.monotonic()
        if started < self.next_at:
            return ""
        # Counting stops at the limit, so it stays cheap and is never delayed: a fork bomb doubles in the meantime.
        self.next_at = started + CHECK_S
        pids, tasks = [], 0
        for pid, count in descendants(os.getpid()):
            pids.append(pid)
            tasks += count
            if self._processes and tasks > self._processes:
                return "processes"
        if started < self._next_memory_at:
            return ""
        limit = self._check_bytes(pids, started)
        now = time.monotonic()
        self._next_memory_at = now + 20 * (now - started)
        return limit

    def _check_bytes(self, pids: list[int], now: float) -> str:
        if now >= self._next_files_at:
            self._next_files_at = now + CHECK_FILES_S
            on_disk, self._deleted_in_memory = deleted_bytes(pids, self._disk)
            if self._disk_bytes and on_disk > self._disk_bytes:
                return "disk"
        left = self._memory_bytes - self._deleted_in_memory
        # The quick sum counts pages that a fork shares with its parent twice, so a slower one decides.
        if self._memory_bytes and sum(map(own_bytes, pids)) > left and sum(map(proportional_bytes, pids)) > left:
            return "memory"
        return ""


def descendants(root: int) -> Iterator[tuple[int, int]]:
    """Yield pid and number of threads of each descendant of `root`; those that end meanwhile may be missing."""
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        try:
            tasks = os.listdir(f"/proc/{pid}/task")
        except OSError:
            continue
        if pid != root:
            yield pid, len(tasks)
        for task in tasks:
            waiting += [int(word) for word in read(f"/proc/{pid}/task/{task}/children").split()]


def own_bytes(pid: int) -> int:
    """Return the resident private memory of a process, with the pages that it shares with its forks."""
    words = read(f"/proc/{pid}/statm").split()
    return (int(words[1]) - int(words[2])) * _PAGE_BYTES if len(words) > 2 else 0


def proportional_bytes(pid: int) -> int:
    """Return the same with shared pages divided among their processes; `own_bytes` if the kernel does not say."""
    for line in read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Pss_Anon:"):
            return int(line.split()[1]) * 1024
    return own_bytes(pid)


def deleted_bytes(pids: list[int], disk: int) -> tuple[int, int]:
    """Return the bytes of open files without a name: those on the device `disk`, and the others, in memory."""
    found: dict[tuple[int, int], int] = {}
    for pid in pids:
        folder = f"/proc/{pid}/fd"
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        for name in names:
            try:
                status = os.stat(f"{folder}/{name}")
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
                found[status.st_dev, status.st_ino] = status.st_blocks * 512
    on_disk = sum(size for (device, _), size in found.items() if device == disk)
    return on_disk, sum(found.values()) - on_disk


def read(path: str) -> str:
    """Return the text of a small file in /proc, "" if its process is gone."""
    try:
        with open(path, encoding="ascii", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""
