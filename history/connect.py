"""Opens the history file for reading or writing. Knows the pragmas and no table's meaning."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.history.names import LATEST_MIGRATION, MIGRATIONS_TABLE, foreign_database_error, newer_version_error
from tunesmith.study.errors import PROGRESS_IS_SAFE, DiskFull, HistoryError

if TYPE_CHECKING:
    from sqlite_utils import Database

BUSY_TIMEOUT_S = 30.0

_FULL_DISK_BYTES = 2**20
"""Free bytes below which an I/O error counts as a full disk."""


def has_tables(path: Path) -> bool:
    """Return whether the file exists and has tables. A process killed while it made the file leaves one without.

    Raises:
        HistoryError: the file is damaged or not a database.
    """
    if not path.is_file() or not path.stat().st_size:
        return False
    with _named(path), closing(_connected(path)) as db:
        return not _tables(db) <= {MIGRATIONS_TABLE}


def table_names(path: Path) -> set[str]:
    """Return the names of the tables of any SQLite file.

    Raises:
        HistoryError: the file is damaged or not a database.
    """
    with _named(path), closing(_connected(path)) as db:
        return _tables(db)


def open_for_reading(path: Path, *, any_thread: bool = False) -> sqlite3.Connection:
    """Return a read-only connection; a study may run meanwhile. A file of an older version is migrated first.

    Args:
        path: the file.
        any_thread: whether other threads may use the connection, one at a time.

    Raises:
        HistoryError: the file does not exist, is damaged, or is not a history.
    """
    if not path.is_file():
        raise HistoryError(f"no history at {path}; `tunesmith run` creates one, --history names another file")
    with _named(path):
        db = _connected(path, any_thread=any_thread)
        tables = _tables(db)
    if tables <= {MIGRATIONS_TABLE}:
        raise HistoryError(f"{path} is empty: no study has run there yet")
    if MIGRATIONS_TABLE not in tables:
        raise foreign_database_error(path)
    with _named(path):
        steps = [row[0] for row in db.execute("select name from _sqlite_migrations order by name")]
    if steps and steps[-1] > LATEST_MIGRATION:
        raise newer_version_error(path, steps[-1])
    if LATEST_MIGRATION not in steps:
        open_for_writing(path).close()
    return db


def open_for_writing(path: Path | None) -> Database:
    """Return a connection to the file, which is created and migrated as needed; None keeps the history in memory.

    Raises:
        HistoryError: the file cannot be created, is damaged, is not a history, or is of a newer version.
    """
    from sqlite_utils import Database  # takes 0.12 s, which reading does not need

    from tunesmith.history.schema import migrate

    with _named(path or Path(":memory:")):
        db = Database(sqlite3.connect(path or ":memory:", timeout=BUSY_TIMEOUT_S))
        db.execute("pragma foreign_keys=on")
        db.enable_wal()
        # In WAL mode NORMAL survives any crash of the process; only a power cut may lose the last transactions.
        db.execute("pragma synchronous=normal")
        migrate(db, path)
    return db


def is_disk_full(error: sqlite3.Error, path: Path | None) -> bool:
    """Return whether an SQLite error, of which several kinds are possible, means that the disk is full."""
    if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
        return True
    is_refused = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
    return is_refused and path is not None and shutil.disk_usage(path.absolute().parent).free < _FULL_DISK_BYTES


def _connected(path: Path, *, any_thread: bool = False) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(address, uri=True, timeout=BUSY_TIMEOUT_S, check_same_thread=not any_thread)


def _tables(db: sqlite3.Connection) -> set[str]:
    return {row[0] for row in db.execute("select name from sqlite_master where type = 'table'")}


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        if is_disk_full(error, path):
            raise DiskFull(f"{path} cannot be opened: {error}; {PROGRESS_IS_SAFE}") from None
        raise HistoryError(
            f"{path} cannot be opened as a history: {error}; restore a copy or name another file with --history"
        ) from None
