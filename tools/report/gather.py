"""Reads the input of a report from a history."""

from __future__ import annotations

import time

from tunesmith.history.read import History
from tunesmith.study.config.record import StudyRecord
from tunesmith.tools.analysis.confirmation.held_out_test import held_out_tests
from tunesmith.tools.report.inputs import ReportInput


def report_input(history: History, record: StudyRecord) -> ReportInput:
    """Return the current state of a study."""
    events = history.events(record.id)
    return ReportInput(
        record=record,
        trials=history.trials(record.id),
        curves=history.curves(record.id),
        events=events,
        tests=held_out_tests(events),
        lessons=history.lessons(record.id),
        versions=history.variants(record.id),
        generated_at=time.time(),
    )
