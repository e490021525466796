"""`tunesmith report`: writes report.html and report.md beside the study's trials, or prints every figure as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from tunesmith.cli.display.format import short_path
from tunesmith.cli.session.locate import open_study
from tunesmith.study.errors import ProjectError
from tunesmith.study.files import write_atomic
from tunesmith.tools.report.inputs import ReportInput


def write_report(study: Path, *, history: Path | None, out: Path | None, as_json: bool) -> None:
    """Write both files and print where they are; with `as_json` print the figures and write nothing.

    Raises:
        HistoryError: there is no history, or no such study.
        ProjectError: the folder cannot be written.
    """
    located = open_study(study, history)
    with located.history:
        if as_json:
            from tunesmith.tools.report import report_input, to_json

            print(json.dumps(to_json(report_input(located.history, located.record)), indent=2))
            return
        from tunesmith.tools.report import report_input

        page = write_report_files(report_input(located.history, located.record), out or located.folder)
    print(f"{short_path(page)}\n{short_path(page.with_suffix('.md'))}")


def write_report_files(report: ReportInput, folder: Path) -> Path:
    """Write report.html and report.md into `folder`; return the page's path.

    Raises:
        ProjectError: the folder cannot be written.
    """
    from tunesmith.tools.report import to_markdown, write_html

    page = folder / "report.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_html(report, page)
        write_atomic(page.with_suffix(".md"), to_markdown(report))
    except OSError as error:
        raise ProjectError(
            f"the report cannot be written to {folder}: {error.strerror}; name another with --out"
        ) from None
    return page
