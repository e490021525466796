"""Writes an imported study in one transaction: all of it is stored or nothing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from tunesmith.history.database.connect import (
    has_tables,
    is_locked,
    locked_error,
    open_for_reading,
    open_for_writing,
    transaction,
)
from tunesmith.history.database.lock import WriterLock
from tunesmith.history.read import History
from tunesmith.history.redact import redact
from tunesmith.history.rows import outcome_row, proposal_row, waiting_trial_row
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import HistoryError, Mistake, SpecError
from tunesmith.study.trials.trial import Trial

IMPORTED = "imported"
"""Kind of the event that marks a study as imported; also its `ended_by`."""


def write_import(
    path: Path, spec: StudySpec, trials: Sequence[Trial], *, found_in: str, learner: str, now: float
) -> None:
    """Add a study with its finished trials, marked as imported for another study, which learns from it.

    Args:
        path: the history file; created if missing.
        spec: the new study; its name must be new.
        trials: finished ones, numbered from 0.
        found_in: description of the source, for the user.
        learner: name of the study that learns from it; that study may not have run yet.
        now: seconds since the epoch.

    Raises:
        HistoryError: another process writes the file, it is damaged, or it cannot be written.
        SpecError: the history has a study of that name.
    """
    if has_tables(path):
        open_for_reading(path).close()
    lock = WriterLock(path, now=now)
    try:
        with closing(open_for_writing(path)) as db:
            if History(db.conn).find(spec.study.name) is not None:
                message = "is already in this history; give the imported study another name with --name"
                raise SpecError([Mistake(spec.study.name, message)], where="the import")
            with transaction(db.conn):
                _insert_all(db.conn, spec, trials, {"from": found_in, "for": learner, "trials": len(trials)}, now)
    except sqlite3.OperationalError as error:
        if is_locked(error):
            raise locked_error(path) from error
        raise HistoryError(f"the history cannot be written: {error}; nothing was imported") from error
    finally:
        lock.release()


def _insert_all(
    db: sqlite3.Connection, spec: StudySpec, trials: Sequence[Trial], detail: Mapping[str, Any], now: float
) -> None:
    study = {
        "name": spec.study.name,
        "spec": redact(json.dumps(spec.stored_document)),
        "project": "",
        "created_at": now,
    }
    _insert(db, "studies", [{**study, "ended_by": IMPORTED}])
    study_id = int(db.execute("select last_insert_rowid()").fetchone()[0])
    event = {"study_id": study_id, "at": now, "kind": IMPORTED, "detail": redact(json.dumps(detail))}
    _insert(db, "events", [event])
    first = int(db.execute("select coalesce(max(id), 0) + 1 from trials").fetchone()[0])
    metric = spec.objectives[0].metric
    _insert(db, "trials", (_trial_row(study_id, first, trial, metric, now) for trial in trials))
    _insert(db, "proposals", (proposal_row(first + trial.number, trial.proposal) for trial in trials))


def _trial_row(study_id: int, first: int, trial: Trial, metric: str, now: float) -> dict[str, Any]:
    assert trial.outcome is not None  # noqa: S101  # finished trials have one
    row = waiting_trial_row(study_id, trial.number, trial.proposal, now)
    return {**row, "id": first + trial.number, **outcome_row(trial.outcome, metric, now)}


def _insert(db: sqlite3.Connection, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
    iterator: Iterator[Mapping[str, Any]] = iter(rows)
    head = next(iterator, None)
    if head is None:
        return
    columns, marks = ", ".join(head), ", ".join("?" * len(head))
    sql = f"insert into {table} ({columns}) values ({marks})"
    db.execute(sql, list(head.values()))
    db.executemany(sql, (list(row.values()) for row in iterator))
