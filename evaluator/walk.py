"""Looks through folders that a trial wrote, whatever it made of them: locked, endlessly deep, full of links.

Links are never followed. `os.walk` will not do: before Python 3.12 it calls itself once for each level.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
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

    Raises:
        OSError: it is still there.
    """
    try:
        shutil.rmtree(folder)
    except (OSError, RecursionError):
        # These two know folders of any depth, and follow no link.
        subprocess.run(["chmod", "-R", "u+rwX", "--", str(folder)], capture_output=True, check=False)
        subprocess.run(["rm", "-rf", "--", str(folder)], capture_output=True, check=False)
    if folder.exists():
        raise OSError(f"{folder} cannot be removed; remove it by hand")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)
