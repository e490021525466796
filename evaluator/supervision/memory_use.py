"""Adds up the memory that a trial's processes hold, shared memory included. Needs only the standard library.

The private pages of each process are counted, and every page of shared memory once: anonymous mappings that forks
share, memfds, files in /dev/shm and segments of System V, whether or not a process has them mapped.
"""

from __future__ import annotations

import os
import re
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_MAPPING = re.compile(rb"([0-9a-f]+)-([0-9a-f]+) \S+ ([0-9a-f]+) ([0-9a-f]+):([0-9a-f]+) (\d+) *(.*)")
_SYSTEM_V = b"/SYSV"
_IN_MEMORY = (b"/dev/zero (deleted)", b"/memfd:", b"/dev/shm/", _SYSTEM_V, b"/anon_hugepage")
_COUNTED = ("RssAnon:", "RssShmem:", "HugetlbPages:")

# What identifies a file: device and inode.
FileId = tuple[int, int]


def quick_bytes(pid: int) -> int:
    """Return the memory of a process; what it shares with others is counted in each, so that a sum is never too low."""
    lines = read(f"/proc/{pid}/status").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(_COUNTED)) * 1024


def exact_bytes(pids: list[int], unmapped: dict[FileId, int], system_v: int) -> int:
    """Return the memory of all processes together, with each shared page once.

    Args:
        pids: the processes.
        unmapped: the size of files in memory that are open or have a name.
        system_v: the size of all segments of System V.
    """
    total, mapped_system_v = 0, 0
    files = dict(unmapped)
    mapped: dict[FileId, int] = {}
    for pid in pids:
        total += _private_bytes(pid)
        for file, name, size in _mapped_pages(pid):
            if name.startswith(_SYSTEM_V):
                mapped_system_v += size
            else:
                mapped[file] = mapped.get(file, 0) + size
    for file, size in mapped.items():
        files[file] = max(files.get(file, 0), size)
    return total + sum(files.values()) + max(system_v, mapped_system_v)


def open_files(pids: list[int], disk: int) -> tuple[int, dict[FileId, int]]:
    """Return the bytes on the device `disk` that have no name any more, and the size of each such file in memory.

    A file is held by an open descriptor or by a mapping. Where the system does not show the size of a mapped file, as
    to everybody but root, it counts up to the end of what is mapped.
    """
    on_disk: dict[FileId, int] = {}
    in_memory: dict[FileId, int] = {}
    for pid in pids:
        for status in _open_descriptors(pid):
            if stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
                found = on_disk if status.st_dev == disk else in_memory
                found[status.st_dev, status.st_ino] = status.st_blocks * 512
        for file, size in _deleted_mappings(pid):
            on_disk[file] = max(on_disk.get(file, 0), size)
    return sum(on_disk.values()), in_memory


def named_files(pid: int) -> dict[FileId, int]:
    """Return the size of each file in a sandboxed process's /dev/shm."""
    found, waiting = {}, [os.path.join("/proc", str(pid), "root", "dev", "shm")]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:
            continue
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISDIR(status.st_mode):
                waiting.append(entry.path)
            found[status.st_dev, status.st_ino] = status.st_blocks * 512
    return found


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


def read(path: str) -> str:
    """Return the text of a small file in /proc, "" if its process is gone."""
    try:
        with open(path, encoding="ascii", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def _private_bytes(pid: int) -> int:
    """Return the private memory of a process, with pages that forks share divided among them."""
    for line in read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Pss_Anon:"):
            return int(line.split()[1]) * 1024
    words = read(f"/proc/{pid}/statm").split()
    return (int(words[1]) - int(words[2])) * _PAGE_BYTES if len(words) > 2 else 0


def _mapped_pages(pid: int) -> Iterator[tuple[FileId, bytes, int]]:
    """Yield the file, its name and this process's part of its pages for each mapping of shared memory."""
    current: tuple[FileId, bytes] | None = None
    for line in _lines(f"/proc/{pid}/smaps"):
        match = _MAPPING.match(line)
        if match:
            name = match[7]
            is_counted = name.startswith(_IN_MEMORY)
            current = (_file_id(match), name) if is_counted else None
        elif current is not None and line.startswith(b"Pss:"):
            yield (*current, int(line.split()[1]) * 1024)


def _deleted_mappings(pid: int) -> Iterator[tuple[FileId, int]]:
    """Yield each mapped file on a disk that has no name any more, with its size."""
    for line in _lines(f"/proc/{pid}/maps"):
        if not line.endswith(b" (deleted)"):
            continue
        match = _MAPPING.match(line)
        if match and not match[7].startswith(_IN_MEMORY):
            start, end, offset = (int(match[n], 16) for n in (1, 2, 3))
            try:
                size = os.stat(f"/proc/{pid}/map_files/{start:x}-{end:x}").st_blocks * 512
            except OSError:
                size = offset + end - start
            yield _file_id(match), size


def _file_id(match: re.Match[bytes]) -> FileId:
    return os.makedev(int(match[4], 16), int(match[5], 16)), int(match[6])


def _lines(path: str) -> list[bytes]:
    try:
        with open(path, "rb") as stream:
            return stream.read().splitlines()
    except OSError:
        return []


def _open_descriptors(pid: int) -> Iterator[os.stat_result]:
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        try:
            yield os.stat(f"{folder}/{name}")
        except OSError:
            continue
