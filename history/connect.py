"""Opens the history file, to read or to write. Knows the pragmas; knows no table's meaning."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlite_utils import Database

from tunesmith.history import schema
from tunesmith.study.errors import HistoryError

BUSY_TIMEOUT_S = 30.0


def open_for_reading(path: Path) -> Database:
    """Return a connection that cannot write; a study may run meanwhile.

    Raises:
        HistoryError: there is no such file, it is damaged, or it is no history.
    """
    if not path.is_file():
        raise HistoryError(f"there is no history at {path}; `tunesmith run` makes one, --history names another file")
    uri = f"{path.absolute().as_uri()}?mode=ro"
    return _checked(path, lambda: sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S), writing=False)


def open_for_writing(path: Path | None) -> Database:
    """Return a connection to the file, made and migrated when needed; None keeps the history in memory.

    Raises:
        HistoryError: the file cannot be made, is damaged, or is no history.
    """
    if path is None:
        return _checked(Path(":memory:"), lambda: sqlite3.connect(":memory:"), writing=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HistoryError(f"the folder of {path} cannot be made: {error.strerror}") from None
    return _checked(path, lambda: sqlite3.connect(path, timeout=BUSY_TIMEOUT_S), writing=True)


def _checked(path: Path, connect, *, writing: bool) -> Database:  # type: ignore[no-untyped-def]
    try:
        db = Database(connect())
        db.execute("pragma foreign_keys=on")
        if not writing:
            if not schema.check(db, path):
                raise HistoryError(f"{path} is empty: no study has run there yet")
            return db
        db.enable_wal()
        # In WAL mode NORMAL survives any crash of the process; only a power cut may cost the last transactions.
        db.execute("pragma synchronous=normal")
        schema.migrate(db, None if str(path) == ":memory:" else path)
    except sqlite3.DatabaseError as error:
        raise HistoryError(
            f"{path} cannot be opened as a history: {error}; restore a copy or name another file with --history"
        ) from None
    return db
