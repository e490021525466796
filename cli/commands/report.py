"""`tunesmith report`: writes report.html and report.md into the study's folder, or prints every figure as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from tunesmith.cli.display.format import short_path, show
from tunesmith.cli.session.locate import open_study
from tunesmith.cli.session.report_files import page_problem, write_report_files


def write_report(study: Path, *, history: Path | None, out: Path | None, as_json: bool) -> None:
    """Write the files and print their paths; with `as_json`, print the figures and write nothing.

    Raises:
        HistoryError: the history or the study does not exist.
        ProjectError: the folder cannot be written.
    """
    opened = open_study(study, history)
    with opened.history:
        if as_json:
            from tunesmith.tools.report import report_input, to_json

            show(json.dumps(to_json(report_input(opened.history, opened.record)), indent=2))
            return
        from tunesmith.tools.report import report_input

        page = write_report_files(report_input(opened.history, opened.record), out or opened.folder)
    show(f"{short_path(page)}\n{page_problem() or short_path(page.with_suffix('.md'))}")
