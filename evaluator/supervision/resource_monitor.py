"""Adds up what a trial's processes use, and says when it is more than they may. Standard library alone.

Linux limits memory for one process and processes for one user; a trial is many of the first and one of several of the
second. Control groups would do, but an ordinary user may rarely make one. So the keeper looks, many times a second.
"""

from __future__ import annotations

import os
import stat
import time

# Importing it for real would take as long as all of the keeper's other imports.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

LOOK_S = 0.03
"""How often processes and memory are looked at; less often where looking takes long."""
LOOK_AT_FILES_S = 0.5
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Tally:
    """What everything below this process uses, against its limits; 0 is no limit.

    Args:
        memory_bytes: memory of their own, and files in memory that have no name.
        processes: processes and threads.
        disk_bytes: files without a name on the disk of `folder`, which no look into folders finds.
    """

    def __init__(self, *, memory_bytes: int, processes: int, disk_bytes: int, folder: str) -> None:
        self._memory_bytes, self._processes, self._disk_bytes = memory_bytes, processes, disk_bytes
        self._disk = os.stat(folder).st_dev
        self._deleted_in_memory = 0
        self.next_at = 0.0
        self._files_at = self._weighed_at = 0.0

    def excess(self) -> str:
        """Return which limit is broken: "memory", "processes" or "disk"; "" when none is, or when it is not time."""
        began = time.monotonic()
        if began < self.next_at:
            return ""
        # Counting ends at the limit, so it stays cheap and is never put off: who forks without end doubles meanwhile.
        self.next_at = began + LOOK_S
        pids, tasks = [], 0
        for pid, count in descendants(os.getpid()):
            pids.append(pid)
            tasks += count
            if self._processes and tasks > self._processes:
                return "processes"
        if began < self._weighed_at:
            return ""
        found = self._weigh(pids, began)
        now = time.monotonic()
        self._weighed_at = now + 20 * (now - began)
        return found

    def _weigh(self, pids: list[int], now: float) -> str:
        if now >= self._files_at:
            self._files_at = now + LOOK_AT_FILES_S
            on_disk, self._deleted_in_memory = deleted_bytes(pids, self._disk)
            if self._disk_bytes and on_disk > self._disk_bytes:
                return "disk"
        room = self._memory_bytes - self._deleted_in_memory
        # Pages that a fork shares with its parent count in both by the quick look, so a slower one has the last word.
        if self._memory_bytes and sum(map(own_bytes, pids)) > room and sum(map(fair_bytes, pids)) > room:
            return "memory"
        return ""


def descendants(root: int) -> Iterator[tuple[int, int]]:
    """Yield each process below `root` with how many threads it has; those that end meanwhile may be missing."""
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
    """Return what is in memory of a process's own pages, those shared with its forks included."""
    words = read(f"/proc/{pid}/statm").split()
    return (int(words[1]) - int(words[2])) * _PAGE_BYTES if len(words) > 2 else 0


def fair_bytes(pid: int) -> int:
    """Return the same with each shared page divided among those that share it; own_bytes where that is not told."""
    for line in read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Pss_Anon:"):
            return int(line.split()[1]) * 1024
    return own_bytes(pid)


def deleted_bytes(pids: list[int], disk: int) -> tuple[int, int]:
    """Return the size of open files without a name: those on the device `disk`, and those elsewhere, in memory."""
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
    """Return a small file of /proc, "" when its process is gone."""
    try:
        with open(path, encoding="ascii", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""
