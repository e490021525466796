"""Reads from a history what a report is made of."""

from __future__ import annotations

import time

from tunesmith.history.read import History
from tunesmith.study.command import command_line
from tunesmith.study.record import StudyRecord
from tunesmith.tools.final_test import tests_in
from tunesmith.tools.report.model import ReportInput
from tunesmith.tools.summary import summarize


def report_input(history: History, record: StudyRecord) -> ReportInput:
    """Return a study as it stands now."""
    trials = history.trials(record.id)
    best = summarize(record, trials).best
    events = history.events(record.id)
    return ReportInput(
        record=record,
        trials=trials,
        curves=history.curves(record.id),
        events=events,
        tests=tests_in(events),
        lessons=history.lessons(record.id),
        command=command_line(record.spec, best.params) if best else "",
        generated_at=time.time(),
    )
