"""Walks, measures and removes folders that a trial wrote, even if they are locked, very deep or full of links.

Links are never followed. `os.walk` is not usable here: before Python 3.12 it recurses once for each level.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MAX_ENTRIES = 100_000
"""Largest number of a trial's files and folders: empty ones have no size, but use up the disk's inodes."""


class Unmeasurable(Exception):
    """The size of a trial's folder cannot be determined; the message says why."""


def walk(top: Path) -> Iterator[os.DirEntry[str]]:
    """Yield everything below `top`, a folder before its content; folders that cannot be read are skipped."""
    waiting = [str(top)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as found:
                entries = list(found)
        except OSError:
            continue
        yield from entries
        waiting += [entry.path for entry in entries if _is_folder(entry)]


def size_below(*tops: Path) -> int:
    """Return the bytes that files and folders below these folders take on the disk.

    Raises:
        Unmeasurable: a folder is locked or too deep, or there are more than `MAX_ENTRIES` files and folders.
    """
    total, count, waiting = 0, 0, [str(top) for top in tops]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as found:
                for entry in found:
                    count += 1
                    if count > MAX_ENTRIES:
                        raise Unmeasurable(f"made more than {MAX_ENTRIES:,} files and folders")
                    total += size(entry)
                    if _is_folder(entry):
                        waiting.append(entry.path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise Unmeasurable(f"has a folder that cannot be read: {error.strerror}") from None
    return total


def size(entry: os.DirEntry[str] | Path) -> int:
    """Return the bytes that a file or folder takes on the disk, 0 if it is gone.

    These are the blocks that are allocated: holes in sparse files do not count, blocks beyond the end of a file and its
    extended attributes do.

    Raises:
        PermissionError: its folder is locked.
    """
    try:
        status = entry.lstat() if isinstance(entry, Path) else entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return 0
    return status.st_blocks * 512


def remove(folder: Path) -> None:
    """Remove a folder of a trial that has ended, with any content.

    Folders within it are moved to its top before they are emptied, so that no path becomes too long.

    Raises:
        OSError: something in it cannot be removed.
    """
    folder.chmod(0o700)
    fresh = (folder / f"removing-{n}" for n in itertools.count())
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        # A missing entry was removed by its owner: on a cluster the node of a lost trial may still be cleaning up.
        with suppress(FileNotFoundError):
            with os.scandir(current) as found:
                entries = list(found)
            for entry in entries:
                with suppress(FileNotFoundError):
                    waiting += _remove_or_move(entry, fresh)
            if current != folder:
                os.rmdir(current)
    os.rmdir(folder)


def _remove_or_move(entry: os.DirEntry[str], fresh: Iterator[Path]) -> list[Path]:
    """Remove a file, or move a folder to the first path that is free; return the moved folder."""
    if not _is_folder(entry):
        os.unlink(entry.path)
        return []
    os.chmod(entry.path, 0o700)
    top = next(path for path in fresh if not os.path.lexists(path))
    os.rename(entry.path, top)
    return [top]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)
