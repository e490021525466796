"""The limits of a study as they stand now, for whoever reads its history beside the run."""

from __future__ import annotations

from dataclasses import replace

from tunesmith.history.read import History
from tunesmith.study.config.budget import Budget
from tunesmith.study.config.record import StudyRecord


def limits_now(history: History, record: StudyRecord, now: float) -> Budget:
    """Return the limits, `until` as the moment that the run itself goes by; without it once the run ended."""
    table = record.spec.budget
    if table.until is None or record.ended_by:
        return replace(table.starting_at(now), until=None)
    kept = history.events(record.id, "deadline")
    return table.ending_at(float(kept[-1].detail["moment"])) if kept else table.starting_at(now)
