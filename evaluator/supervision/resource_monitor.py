"""Adds up what a trial's processes use, and finds the limit that they exceed. Needs only the standard library.

Linux limits the memory of one process and the processes of one user; a trial has many processes, and a user has many
trials. Where no control group can be made (control_group.py), the supervisor checks many times a second.
"""

from __future__ import annotations

import os
import time

import memory_use  # type: ignore[import-not-found]  # a module in the same folder, not in a package

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tunesmith.evaluator.supervision.control_group import ControlGroup

CHECK_S = 0.03
"""Interval at which processes and memory are checked; longer when a check takes long."""
CHECK_FILES_S = 0.25
"""Interval at which files without a name, and memory that no process has mapped, are checked."""


class ResourceMonitor:
    """Compares what all descendants of this process use with their limits; 0 means no limit.

    Args:
        memory_bytes: limit of the memory that they hold together; 0 also where a control group limits it.
        group: the control group in which the kernel limits their memory.
        processes: limit of processes and threads.
        disk_bytes: limit of files without a name on the disk of `folder`, which no directory lists.
        folder: the trial's working directory.
        is_sandboxed: whether they have namespaces of their own, whose memory counts too.
    """

    def __init__(
        self,
        *,
        memory_bytes: int,
        group: ControlGroup | None,
        processes: int,
        disk_bytes: int,
        folder: str,
        is_sandboxed: bool,
    ) -> None:
        self._memory_bytes, self._processes, self._disk_bytes = memory_bytes, processes, disk_bytes
        self._disk = os.stat(folder).st_dev
        self._is_sandboxed, self._group = is_sandboxed, group
        self._unmapped: dict[tuple[int, int], int] = {}
        self._system_v = self._sockets = 0
        self.next_at = 0.0
        self._next_files_at = self._next_memory_at = 0.0

    def exceeded_limit(self) -> str:
        """Return "memory", "processes" or "disk"; "" if no limit is exceeded, or the next check is not due."""
        started = time.monotonic()
        if started < self.next_at:
            return ""
        # Counting stops at the limit, so it stays cheap and is never delayed: a fork bomb doubles in the meantime.
        self.next_at = started + CHECK_S
        if self._group is not None and self._group.was_exceeded():
            return "memory"
        pids, tasks = [], 0
        for pid, count in memory_use.descendants(os.getpid()):
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
            on_disk, self._unmapped = memory_use.open_files(pids, self._disk)
            if self._disk_bytes and on_disk > self._disk_bytes:
                return "disk"
            if self._memory_bytes and self._is_sandboxed and pids:
                self._check_outside(pids)
        if not self._memory_bytes:
            return ""
        outside = sum(self._unmapped.values()) + self._system_v + self._sockets
        # The quick sum counts shared pages several times, so a slower one decides.
        if sum(map(memory_use.quick_bytes, pids)) + outside <= self._memory_bytes:
            return ""
        exact = memory_use.exact_bytes(pids, self._unmapped, self._system_v) + self._sockets
        return "memory" if exact > self._memory_bytes else ""

    def _check_outside(self, pids: list[int]) -> None:
        """Measure what no process of the sandbox has mapped."""
        import namespace_use  # type: ignore[import-not-found]

        # The last one is within the sandbox; the first is bubblewrap's, outside of it.
        self._unmapped.update(memory_use.named_files(pids[-1]))
        self._system_v, self._sockets = namespace_use.namespace_bytes(pids[-1])
