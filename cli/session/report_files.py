"""Writes the files of a report."""

from __future__ import annotations

from pathlib import Path

from tunesmith.study.errors import ProjectError
from tunesmith.study.files import write_atomic
from tunesmith.tools.report.inputs import ReportInput


def write_report_files(report: ReportInput, folder: Path) -> Path:
    """Write report.html and report.md into `folder`; return the path of the HTML page.

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
            f"the report cannot be written to {folder}: {error.strerror}; name another folder with --out"
        ) from None
    return page
