"""Notices that a history file was removed or replaced while it is open, and copies what it held.

SQLite writes on to a removed file without a word, and what it wrote is gone once it is closed.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from itertools import count
from pathlib import Path

from tunesmith.study.errors import HistoryRemoved


class OpenFile:
    """The file behind an open connection.

    Args:
        path: the file; None for a history in memory, which cannot be removed.
        db: the connection. Nothing else opens the file: closing it again would drop SQLite's locks.
    """

    def __init__(self, path: Path | None, db: sqlite3.Connection) -> None:
        self._path, self._db = path, db
        self._identity = _identity(path) if path is not None else None

    def require(self) -> None:
        """Check that the path still leads to the file, outside of a transaction.

        Raises:
            HistoryRemoved: it does not; the message says where a copy of the history is, if one could be made.
        """
        if self._path is None or (found := _identity(self._path)) == self._identity:
            return
        what = f"{self._path} was {'removed' if found is None else 'replaced by another file'} while it ran"
        kept = _copy(self._db, self._path)
        if kept is None:
            raise HistoryRemoved(
                f"the run ended because {what}. Running trials were ended; what the history held could not be kept, "
                f"since {self._path.parent} cannot be written. Start again with: tunesmith run"
            )
        raise HistoryRemoved(
            f"the run ended because {what}. Running trials were ended; everything up to then is kept in {kept}. "
            f"To resume: mv {kept.name} {self._path.name} in {self._path.parent}, then: tunesmith run"
        )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _copy(db: sqlite3.Connection, path: Path) -> Path | None:
    """Copy the history next to where it was; return the copy's path, None where it cannot be written."""
    names = (f"{path.stem}.kept{'' if number == 1 else f'-{number}'}{path.suffix}" for number in count(1))
    copy = next(path.with_name(name) for name in names if not path.with_name(name).exists())
    try:
        with closing(sqlite3.connect(copy)) as target:
            db.backup(target)
            # The copy is one file: with a log next to it, moving only the file would lose changes.
            target.execute("pragma journal_mode = delete")
        for suffix in ("-wal", "-shm"):
            # SQLite would take the log of the lost file for one of the copy, once that is moved here.
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    except (sqlite3.Error, OSError):
        with suppress(OSError):
            copy.unlink(missing_ok=True)
        return None
    return copy
