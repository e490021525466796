"""Opens the history file for reading or writing, and waits for other programs that lock it.

Knows the pragmas and no table's meaning.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.history.database.names import (
    LATEST_MIGRATION,
    MIGRATIONS_TABLE,
    foreign_database_error,
    newer_version_error,
)
from tunesmith.study.errors import PROGRESS_IS_SAFE, DiskFull, HistoryError, HistoryLocked

if TYPE_CHECKING:
    from tunesmith.history.database.sqlite_utils_import import Database

BUSY_TIMEOUT_S = 30.0
"""How long a statement waits for another program that locks the file."""
RETRY_TIMEOUT_S = 0.5
"""The same once the run waits for that program; between two of these waits it looks for interrupts."""

_IO_LOCKS = (sqlite3.SQLITE_IOERR_LOCK, sqlite3.SQLITE_IOERR_RDLOCK, sqlite3.SQLITE_IOERR_UNLOCK)
"""What a network disk answers where a local one would say that the file is locked."""
_FULL_DISK_BYTES = 2**20
"""Free bytes below which an I/O error counts as a full disk."""


class PatientConnection(sqlite3.Connection):
    """A connection that waits longer than BUSY_TIMEOUT_S for a lock while `keeps_waiting` returns True.

    Only the first statement of a transaction meets another program's lock: transactions begin IMMEDIATE.
    """

    keeps_waiting: Callable[[], bool] | None = None

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Execute a statement, again and again while another program locks the file."""
        try:
            return super().execute(sql, parameters)
        except sqlite3.OperationalError as error:
            if self.in_transaction or self.keeps_waiting is None or not is_locked(error):
                raise
            return self._execute_later(sql, parameters, error)

    def _execute_later(self, sql: str, parameters: Any, error: sqlite3.OperationalError) -> sqlite3.Cursor:
        super().execute(f"pragma busy_timeout = {RETRY_TIMEOUT_S * 1000:.0f}")
        try:
            while self.keeps_waiting is not None and self.keeps_waiting():
                try:
                    return super().execute(sql, parameters)
                except sqlite3.OperationalError as again:
                    if not is_locked(again):
                        raise
                    error = again
            raise error
        finally:
            super().execute(f"pragma busy_timeout = {BUSY_TIMEOUT_S * 1000:.0f}")


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Run the block in one transaction; inside another one it is part of that.

    It begins IMMEDIATE: a transaction that reads first and writes later fails at once, without waiting, if
    another program wrote in between.
    """
    if db.in_transaction:
        yield
        return
    db.execute("begin immediate")
    try:
        yield
        db.execute("commit")
    except BaseException:
        # Some errors end the transaction by themselves.
        if db.in_transaction:
            db.execute("rollback")
        raise


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
    """Return a read-only connection; a study may run meanwhile.

    Nothing is written. A file of an older version is migrated in a copy in memory, which later changes of the file do
    not reach; `is_copy` tells.

    Args:
        path: the file.
        any_thread: whether other threads may use the connection, one at a time.

    Raises:
        HistoryError: the file does not exist, is damaged, or is not a history.
        HistoryLocked: another program locked it for longer than BUSY_TIMEOUT_S.
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
    if LATEST_MIGRATION in steps:
        return db
    with _named(path), closing(db):
        return _migrated_copy(db, any_thread=any_thread)


def is_writable(path: Path) -> bool:
    """Return whether no other program locks the file just now; nothing is written."""
    try:
        with closing(sqlite3.connect(path, timeout=RETRY_TIMEOUT_S, isolation_level=None)) as db:
            db.execute("begin immediate")
            db.execute("rollback")
    except sqlite3.OperationalError as error:
        return not is_locked(error)
    return True


def is_copy(db: sqlite3.Connection) -> bool:
    """Return whether a connection for reading is a copy in memory, which later changes of the file do not reach."""
    return not db.execute("pragma database_list").fetchone()[2]


def open_for_writing(path: Path | None) -> Database:
    """Return a connection to the file, which is created and migrated as needed; None keeps the history in memory.

    The caller holds the writer's lock.

    Raises:
        HistoryError: the file cannot be created, is damaged, is not a history, or is of a newer version.
        HistoryLocked: another program locked it for longer than BUSY_TIMEOUT_S.
    """
    from tunesmith.history.database.schema import migrate
    from tunesmith.history.database.sqlite_utils_import import Database  # takes 0.12 s, which reading does not need

    with _named(path or Path(":memory:")):
        db = Database(sqlite3.connect(path or ":memory:", timeout=BUSY_TIMEOUT_S, factory=PatientConnection))
        db.execute("pragma foreign_keys=on")
        db.enable_wal()
        # In WAL mode NORMAL survives any crash of the process; only a power cut may lose the last transactions.
        db.execute("pragma synchronous=normal")
        migrate(db, path)
    return db


def _code(error: sqlite3.Error) -> int:
    """Return SQLite's extended error code; 0 for an error of Python's sqlite3 module itself, which has none."""
    return int(getattr(error, "sqlite_errorcode", 0))


def is_locked(error: sqlite3.Error) -> bool:
    """Return whether an SQLite error means that another program, or a network disk, holds a lock on the file."""
    locked = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)
    return _code(error) & 0xFF in locked or _code(error) in _IO_LOCKS


def locked_error(path: Path | None) -> HistoryLocked:
    """Return the error for a file that another program locks."""
    return HistoryLocked(
        f"{path or 'the history'} is locked by another program, such as a database browser, a backup, or sqlite3 "
        "with an open transaction; close it and run the command again"
    )


def is_disk_full(error: sqlite3.Error, path: Path | None) -> bool:
    """Return whether an SQLite error, of which several kinds are possible, means that the disk is full."""
    if _code(error) == sqlite3.SQLITE_FULL:
        return True
    is_refused = _code(error) & 0xFF in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
    return is_refused and path is not None and shutil.disk_usage(path.absolute().parent).free < _FULL_DISK_BYTES


def _migrated_copy(db: sqlite3.Connection, *, any_thread: bool) -> sqlite3.Connection:
    from tunesmith.history.database.schema import migrate
    from tunesmith.history.database.sqlite_utils_import import Database  # as in open_for_writing

    copy = sqlite3.connect(":memory:", check_same_thread=not any_thread)
    try:
        db.backup(copy)
        migrate(Database(copy), None)
    except BaseException:
        copy.close()
        raise
    return copy


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
        if is_locked(error):
            raise locked_error(path) from None
        if is_disk_full(error, path):
            raise DiskFull(f"{path} cannot be opened: {error}; {PROGRESS_IS_SAFE}") from None
        raise HistoryError(
            f"{path} cannot be opened as a history: {error}; restore a copy or name another file with --history"
        ) from None
