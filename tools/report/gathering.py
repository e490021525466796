"""Reads from a history what a report is made of."""

from __future__ import annotations

import time

from tunesmith.history.read import History
from tunesmith.study.record import StudyRecord
from tunesmith.tools.final_test import tests_in
from tunesmith.tools.report.model import ReportInput
from tunesmith.tools.summary import summarize
from tunesmith.tools.variants.running import run_line


def report_input(history: History, record: StudyRecord) -> ReportInput:
    """Return a study as it stands now."""
    trials = history.trials(record.id)
    best = summarize(record, trials).best
    code = next((t.proposal.code for t in trials if best is not None and t.number == best.number), "")
    versions = history.variants(record.id)
    events = history.events(record.id)
    return ReportInput(
        record=record,
        trials=trials,
        curves=history.curves(record.id),
        events=events,
        tests=tests_in(events),
        lessons=history.lessons(record.id),
        versions=versions,
        command=run_line(record.spec, best.params, code, versions) if best else "",
        generated_at=time.time(),
    )
