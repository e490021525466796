"""Keeps the verdicts of a judge of texts, and the values that all of them together give to trials."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping

from tunesmith.study.formatting import json_number_or_text


def add_verdicts(db: sqlite3.Connection, study_id: int, verdicts: Mapping[str, str], now: float) -> None:
    """Store verdicts by the key of their question; those that are there stay."""
    rows = [(study_id, key, verdict, now) for key, verdict in verdicts.items()]
    db.executemany("insert or ignore into verdicts (study_id, key, verdict, at) values (?, ?, ?, ?)", rows)


def read_verdicts(db: sqlite3.Connection, study_id: int) -> dict[str, str]:
    """Return every verdict by the key of its question."""
    return dict(db.execute("select key, verdict from verdicts where study_id = ?", [study_id]))


def change_values(
    db: sqlite3.Connection, study_id: int, values: Mapping[int, Mapping[str, float]], first_metric: str
) -> int:
    """Give complete trials new values of some metrics; return how many changed.

    Args:
        db: the history, within a transaction.
        study_id: the study in it.
        values: the values by the number of the trial.
        first_metric: the study's first objective, which has a column.
    """
    changed = 0
    for number, new in values.items():
        sql = "select metrics from trials where study_id = ? and number = ? and state = 'complete'"
        row = db.execute(sql, [study_id, number]).fetchone()
        if row is None:
            continue
        known = json.loads(row[0] or "{}")
        after = {**known, **{name: json_number_or_text(value) for name, value in new.items()}}
        if after == known:
            continue
        which = "where study_id = ? and number = ?"
        db.execute(f"update trials set metrics = ? {which}", [json.dumps(after), study_id, number])
        if first_metric in new:
            db.execute(f"update trials set value = ? {which}", [new[first_metric], study_id, number])
        changed += 1
    return changed
