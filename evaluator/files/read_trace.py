"""Traces which data files of its working copy a command reads: edited code may not use what only the judge reads.

The file system keeps the time of the last access. Copies get an old one before a command starts; those with a newer one
afterwards were read, by any program. What the command wrote itself does not count. Where the file system keeps no such
times (noatime), nothing is found. Links are not followed: what is too large to be copied belongs into [evaluate].data.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tunesmith.evaluator.files.tree_walk import walk
from tunesmith.study.files import write_atomic

UNREAD_NS = 10**9
"""Time of access that a copy gets: a second after 1970, older than any change, so that `relatime` updates it."""
FILE_NAME = "reads.json"
"""File in the study's folder that keeps what is known over several runs."""
_CODE = (".py", ".pyc", ".pyi", ".sh", ".toml", ".cfg", ".ini", ".md", ".lock", ".ipynb")
"""Files that training and judge may share: code and settings hold no answers."""


class JudgedData:
    """What the judge reads, and what training with the user's own code reads.

    Args:
        folder: the study's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE_NAME
        known = _stored(self._file)
        self._of_judge, self._of_training = set(known.get("judge", ())), set(known.get("training", ()))
        self._is_known = bool(known)

    def note_judge(self, names: set[str]) -> None:
        """Add what a judge read."""
        self._note(self._of_judge, names)

    def note_training(self, names: set[str]) -> None:
        """Add what training with the user's own code read."""
        self._is_known = True
        self._note(self._of_training, names)

    def forbidden(self, names: set[str]) -> str:
        """Return the first of some files that only the judge reads; "" if there is none, or not enough is known yet."""
        return min(names & (self._of_judge - self._of_training), default="") if self._is_known else ""

    def _note(self, known: set[str], names: set[str]) -> None:
        if not names <= known:
            known |= names
            found = {"judge": sorted(self._of_judge), "training": sorted(self._of_training)}
            with suppress(OSError):
                write_atomic(self._file, json.dumps(found))


class ReadMarks:
    """The data files of a working copy, each marked as unread.

    Args:
        folder: the working copy, before its command starts.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: dict[int, str] = {}
        for path, status in _data_files(folder):
            with suppress(OSError):
                os.utime(path, ns=(UNREAD_NS, status.st_mtime_ns), follow_symlinks=False)
                self._names[status.st_ino] = os.path.relpath(path, folder)

    def read(self) -> set[str]:
        """Return the files that were read since then, by their names of then: renaming one hides nothing."""
        # A new file may get the number of a deleted one, which then counts as read: it was at least replaced.
        read = {status.st_ino for _, status in _data_files(self._folder) if status.st_atime_ns > UNREAD_NS}
        return {name for inode, name in self._names.items() if inode in read}


def _data_files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    for entry in walk(folder):
        if not entry.name.endswith(_CODE):
            with suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    yield entry.path, status


def _stored(file: Path) -> dict[str, list[str]]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
