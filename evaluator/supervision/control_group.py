"""A control group for each trial, in which the kernel itself limits memory, all kinds of it.

The loop looks for a group in which it may make others (`find_parent`): version 2 where systemd delegated one, as
`systemd-run --user --scope -p Delegate=yes tunesmith run` does, or version 1 for root. The supervisor makes the trial's
group there. Needs only the standard library.
"""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress
from functools import cache

MOUNTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
MOUNT_V1 = "/sys/fs/cgroup/memory"
_PREFIX = "tunesmith-"
_OWN = "tunesmith-loop"
_PROBE = "tunesmith-probe"


class ControlGroup:
    """The group of one trial.

    Args:
        parent: the group that it is made in, as `find_parent` returned it.
        memory_bytes: its limit.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, parent: str, memory_bytes: int) -> None:
        version, _, folder = parent.partition(":")
        self._is_v2 = version == "2"
        self._folder = f"{folder}/{_PREFIX}{os.getpid()}"
        os.mkdir(self._folder)
        if self._is_v2:
            self._write("memory.max", memory_bytes)
            # Otherwise one process dies and its parent waits for it forever.
            self._write_if_any("memory.oom.group", 1)
            self._write_if_any("memory.swap.max", 0)
        else:
            self._write("memory.limit_in_bytes", memory_bytes)
            self._write_if_any("memory.memsw.limit_in_bytes", memory_bytes)

    def enter(self) -> None:
        """Move this process into the group; its later children are in it too.

        Raises:
            OSError: it cannot enter.
        """
        self._write("cgroup.procs", 0)

    def was_exceeded(self) -> bool:
        """Return whether the kernel ended a process of the group because of its limit."""
        name = "memory.events" if self._is_v2 else "memory.oom_control"
        counts = dict(line.split() for line in _read(f"{self._folder}/{name}").splitlines() if line.count(" ") == 1)
        return int(counts.get("oom_kill", 0)) > 0

    def remove(self) -> None:
        """Remove the group, whose processes have ended."""
        for _ in range(50):
            try:
                os.rmdir(self._folder)
            except OSError:
                # The kernel takes a moment to forget the last process.
                time.sleep(0.01)
            else:
                return

    def _write(self, name: str, value: int) -> None:
        with open(f"{self._folder}/{name}", "w") as stream:
            stream.write(str(value))

    def _write_if_any(self, name: str, value: int) -> None:
        try:
            self._write(name, value)
        except OSError:
            return


@cache
def find_parent() -> tuple[str, str]:
    """Return the group in which trials get theirs, as VERSION:FOLDER, and "" or why there is none.

    In a delegated group this process moves to a group below, because a group with processes cannot have groups with
    limits below.
    """
    own = dict(line.split(":", 2)[1:] for line in _read("/proc/self/cgroup").splitlines() if line.count(":") >= 2)
    folder = next((f"{mount}{own.get('', '/')}".rstrip("/") for mount in MOUNTS if _has_memory(mount)), "")
    if folder and _delegate(folder) and _can_hold_trials(f"2:{folder}"):
        _sweep(folder)
        return f"2:{folder}", ""
    version_1 = next((path for names, path in own.items() if "memory" in names.split(",")), None)
    if version_1 is not None:
        folder = f"{MOUNT_V1}{version_1}".rstrip("/")
        if _can_hold_trials(f"1:{folder}"):
            _sweep(folder)
            return f"1:{folder}", ""
    return "", "start it with systemd-run --user --scope -p Delegate=yes tunesmith run"


def _sweep(folder: str) -> None:
    """Remove the groups of supervisors that were killed; those with processes stay."""
    for name in os.listdir(folder):
        pid = name.removeprefix(_PREFIX)
        if name.startswith(_PREFIX) and pid.isdigit() and not os.path.exists(f"/proc/{pid}"):
            with suppress(OSError):
                os.rmdir(f"{folder}/{name}")


def _has_memory(mount: str) -> bool:
    return "memory" in _read(f"{mount}/cgroup.controllers").split()


def _delegate(folder: str) -> bool:
    """Let groups below a folder have limits of memory; return whether they have."""
    if "memory" in _read(f"{folder}/cgroup.subtree_control").split():
        return True
    if "memory" not in _read(f"{folder}/cgroup.controllers").split():
        return False
    processes = [int(word) for word in _read(f"{folder}/cgroup.procs").split()]
    # Processes of others stay where they are: the group is theirs as well.
    if any(pid != os.getpid() and not _descends(pid) for pid in processes):
        return False
    try:
        os.makedirs(f"{folder}/{_OWN}", exist_ok=True)
        for pid in processes:
            with open(f"{folder}/{_OWN}/cgroup.procs", "w") as stream:
                stream.write(str(pid))
        with open(f"{folder}/cgroup.subtree_control", "w") as stream:
            stream.write("+memory")
    except OSError:
        return False
    return True


def _descends(pid: int) -> bool:
    """Return whether a process descends from this one."""
    while pid > 1:
        words = _read(f"/proc/{pid}/stat").rpartition(") ")[2].split()
        pid = int(words[1]) if len(words) > 1 else 0
        if pid == os.getpid():
            return True
    return False


def _can_hold_trials(parent: str) -> bool:
    """Try it out: make a group with a limit, and have a process enter it."""
    folder = f"{parent.partition(':')[2]}/{_PROBE}-{os.getpid()}"
    limit = "memory.max" if parent.startswith("2") else "memory.limit_in_bytes"
    enter = f'echo 1073741824 > "{folder}/{limit}" && echo 0 > "{folder}/cgroup.procs"'
    try:
        os.mkdir(folder)
        done = subprocess.run(["/bin/sh", "-c", enter], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    finally:
        for _ in range(50):
            try:
                os.rmdir(folder)
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(0.01)
            else:
                break
    return done.returncode == 0


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read()
    except OSError:
        return ""
