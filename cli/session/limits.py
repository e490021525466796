"""The current limits of a study, for commands that read its history while it runs."""

from __future__ import annotations

from dataclasses import replace

from tunesmith.history.read import History
from tunesmith.study.config.budget import Budget
from tunesmith.study.config.record import StudyRecord


def current_limits(history: History, record: StudyRecord, now: float) -> Budget:
    """Return the limits; `until` is the run's own deadline in seconds since the epoch, or None after the run ended."""
    table = record.spec.budget
    if table.until is None or record.ended_by:
        return replace(table.starting_at(now), until=None)
    deadlines = history.events(record.id, "deadline")
    return table.ending_at(float(deadlines[-1].detail["moment"])) if deadlines else table.starting_at(now)
