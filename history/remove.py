"""Removes a study from a history file: its trials, curves, versions, calls, lessons and events, in one transaction."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tunesmith.history.database.connect import is_locked, locked_error, open_for_reading, open_for_writing, transaction
from tunesmith.history.database.lock import WriterLock
from tunesmith.history.read import History
from tunesmith.study.errors import HistoryError

_OF_TRIALS = ("proposals", "observations", "artifacts")
_OF_STUDIES = ("verdicts", "llm_calls", "events", "insights", "trials", "variants")


def remove_study(path: Path, name: str, *, now: float) -> None:
    """Remove a study; it cannot be undone.

    Args:
        path: the history file.
        name: the study's name.
        now: seconds since the epoch.

    Raises:
        HistoryError: a run or another process writes the file, it cannot be written, or no study has that name.
    """
    open_for_reading(path).close()
    with WriterLock(path, now=now):
        try:
            with closing(open_for_writing(path)) as db:
                study_id = History(db.conn).study(name).id
                with transaction(db.conn):
                    _delete(db.conn, study_id)
        except sqlite3.OperationalError as error:
            if is_locked(error):
                raise locked_error(path) from error
            raise HistoryError(f"the history cannot be written: {error}; nothing was removed") from error


def _delete(db: sqlite3.Connection, study_id: int) -> None:
    for table in _OF_TRIALS:
        db.execute(f"delete from {table} where trial_id in (select id from trials where study_id = ?)", [study_id])
    for table in _OF_STUDIES:
        db.execute(f"delete from {table} where study_id = ?", [study_id])
    db.execute("delete from studies where id = ?", [study_id])
