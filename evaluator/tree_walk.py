"""Looks through folders that a trial wrote, whatever it made of them: locked, endlessly deep, full of links.

Links are never followed. `os.walk` will not do: before Python 3.12 it calls itself once for each level.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

ENTRIES = 1_000_000
"""A trial with more files and folders than this is ended: an empty one has no size, and still uses up the disk's."""


class Unmeasurable(Exception):
    """A trial made its folder such that nobody can tell how much is in it; the message says how."""


def walk(top: Path) -> Iterator[os.DirEntry[str]]:
    """Yield everything below `top`, a folder before what is in it; what cannot be looked into is passed over."""
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
    """Return the bytes that files below these folders take on the disk.

    Raises:
        Unmeasurable: a folder is locked or too deep to be looked into, or there is too much in them.
    """
    total, count, waiting = 0, 0, [str(top) for top in tops]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as found:
                for entry in found:
                    count += 1
                    if _is_folder(entry):
                        waiting.append(entry.path)
                    else:
                        total += size(entry)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise Unmeasurable(f"has a folder that cannot be looked into: {error.strerror}") from None
        if count > ENTRIES:
            raise Unmeasurable(f"made more than {ENTRIES:,} files and folders")
    return total


def size(entry: os.DirEntry[str] | Path) -> int:
    """Return the bytes that a file takes on the disk, 0 when it is gone; a hole takes none.

    Raises:
        PermissionError: its folder is locked.
    """
    try:
        status = entry.lstat() if isinstance(entry, Path) else entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return 0
    return min(status.st_size, status.st_blocks * 512)


def remove(folder: Path) -> None:
    """Remove a folder of a trial that is over, whatever is in it.

    Folders within it are moved to its top before they are emptied: no path grows too long, and none is followed twice.

    Raises:
        OSError: something in it cannot be removed.
    """
    folder.chmod(0o700)
    fresh = (folder / f"removing-{n}" for n in itertools.count())
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        # What is gone by now was removed by its owner: on a cluster a lost trial's node may still be clearing up.
        with suppress(FileNotFoundError):
            with os.scandir(place) as found:
                entries = list(found)
            for entry in entries:
                with suppress(FileNotFoundError):
                    waiting += _emptied_later(entry, fresh)
            if place != folder:
                os.rmdir(place)
    os.rmdir(folder)


def _emptied_later(entry: os.DirEntry[str], fresh: Iterator[Path]) -> list[Path]:
    """Remove a file, or move a folder to the first place that is free; return where it is to be emptied."""
    if not _is_folder(entry):
        os.unlink(entry.path)
        return []
    os.chmod(entry.path, 0o700)
    top = next(path for path in fresh if not os.path.lexists(path))
    os.rename(entry.path, top)
    return [top]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)
