"""Opens the history file, to read or to write. Knows the pragmas; knows no table's meaning."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.study.errors import PROGRESS_IS_SAFE, DiskFull, HistoryError

if TYPE_CHECKING:
    from sqlite_utils import Database

BUSY_TIMEOUT_S = 30.0

_NOTHING_BYTES = 2**20
"""With less than this free, an error of the disk is for want of room."""

MIGRATIONS_TABLE = "_sqlite_migrations"
"""Made before all others, so it alone is no history yet."""

LATEST_MIGRATION = "m006_what_a_trial_goes_on_from"
"""The newest step of schema.py, named here as well because importing that module takes longer than reading a file."""


def has_tables(path: Path) -> bool:
    """Tell whether there is a file with tables in it: whoever was killed while making one leaves a file without.

    Raises:
        HistoryError: the file is damaged, or no database.
    """
    if not path.is_file() or not path.stat().st_size:
        return False
    with _named(path), closing(_connected(path)) as db:
        return not _tables(db) <= {MIGRATIONS_TABLE}


def open_for_reading(path: Path, *, any_thread: bool = False) -> sqlite3.Connection:
    """Return a connection that cannot write; a study may run meanwhile. A file of an older version is migrated first.

    Args:
        path: the file.
        any_thread: whether other threads may use it, one at a time.

    Raises:
        HistoryError: there is no such file, it is damaged, or it is no history.
    """
    if not path.is_file():
        raise HistoryError(f"there is no history at {path}; `tunesmith run` makes one, --history names another file")
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
        raise HistoryError(f"{path} was written by a newer Tunesmith (it has {steps[-1]}); upgrade Tunesmith")
    if LATEST_MIGRATION not in steps:
        open_for_writing(path).close()
    return db


def open_for_writing(path: Path | None) -> Database:
    """Return a connection to the file, made and migrated when needed; None keeps the history in memory.

    Raises:
        HistoryError: the file cannot be made, is damaged, is no history, or a newer version wrote it.
    """
    from sqlite_utils import Database  # 0.12 s, which reading does without

    from tunesmith.history.schema import migrate

    with _named(path or Path(":memory:")):
        db = Database(sqlite3.connect(path or ":memory:", timeout=BUSY_TIMEOUT_S))
        db.execute("pragma foreign_keys=on")
        db.enable_wal()
        # In WAL mode NORMAL survives any crash of the process; only a power cut may cost the last transactions.
        db.execute("pragma synchronous=normal")
        migrate(db, path)
    return db


def is_disk_full(error: sqlite3.Error, path: Path | None) -> bool:
    """Tell whether an error means that the disk of a file is full: SQLite calls that by many names."""
    if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
        return True
    is_refused = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
    return is_refused and path is not None and shutil.disk_usage(path.absolute().parent).free < _NOTHING_BYTES


def _connected(path: Path, *, any_thread: bool = False) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(address, uri=True, timeout=BUSY_TIMEOUT_S, check_same_thread=not any_thread)


def _tables(db: sqlite3.Connection) -> set[str]:
    return {row[0] for row in db.execute("select name from sqlite_master where type = 'table'")}


def foreign_database_error(path: Path | None) -> HistoryError:
    """Return the error for a database that somebody else made."""
    return HistoryError(f"{path} is a database, but not Tunesmith's; name another file with --history")


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
