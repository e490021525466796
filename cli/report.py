"""`tunesmith report`: writes report.html and report.md beside the study's trials, or prints every figure as JSON."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.cli.locate import open_study
from tunesmith.cli.show import shown
from tunesmith.history.read import History
from tunesmith.study.command import command_line
from tunesmith.study.errors import ProjectError
from tunesmith.study.record import StudyRecord

if TYPE_CHECKING:
    from tunesmith.tools.report import ReportInput


def write_report(study: Path, *, history: Path | None, out: Path | None, as_json: bool) -> None:
    """Write both files and print where they are; with `as_json` print the figures and write nothing.

    Raises:
        HistoryError: there is no history, or no such study.
        ProjectError: the folder cannot be written.
    """
    located = open_study(study, history)
    with located.history:
        if as_json:
            from tunesmith.tools.report import to_json

            print(json.dumps(to_json(_input(located.history, located.record)), indent=2))
            return
        page = write_files(located.history, located.record, out or located.folder)
    print(f"{shown(page)}\n{shown(page.with_suffix('.md'))}")


def write_files(history: History, record: StudyRecord, folder: Path) -> Path:
    """Write report.html and report.md into `folder`; return the page's path.

    Raises:
        ProjectError: the folder cannot be written.
    """
    from tunesmith.tools.report import to_markdown, write_html

    report = _input(history, record)
    page = folder / "report.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_html(report, page)
        page.with_suffix(".md").write_text(to_markdown(report), encoding="utf-8")
    except OSError as error:
        raise ProjectError(
            f"the report cannot be written to {folder}: {error.strerror}; name another with --out"
        ) from None
    return page


def _input(history: History, record: StudyRecord) -> ReportInput:
    from tunesmith.tools.report import ReportInput
    from tunesmith.tools.summary import summarize

    trials = history.trials(record.id)
    best = summarize(record, trials).best
    return ReportInput(
        record=record,
        trials=trials,
        curves=history.curves(record.id),
        events=history.events(record.id),
        lessons=history.lessons(record.id),
        command=command_line(record.spec, best.params) if best else "",
        generated_at=time.time(),
    )
