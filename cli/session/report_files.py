"""Writes the files of a report."""

from __future__ import annotations

from pathlib import Path

from tunesmith.study.errors import ProjectError
from tunesmith.study.files import write_atomic
from tunesmith.study.optional_packages import install_command, is_installed
from tunesmith.tools.report.inputs import ReportInput

PAGE_PACKAGES = ("jinja2", "plotly")
"""What the HTML page needs; the Markdown report needs neither."""


def page_problem() -> str:
    """Return why no HTML page can be written, with the install line; "" if it can."""
    missing = [package for package in PAGE_PACKAGES if not is_installed(package)]
    return f"the HTML page needs {' and '.join(missing)}: {install_command(missing[0], 'report')}" if missing else ""


def write_report_files(report: ReportInput, folder: Path) -> Path:
    """Write report.md and, where its packages are installed, report.html; return the path of the page, or of report.md.

    Raises:
        ProjectError: the folder cannot be written.
    """
    from tunesmith.tools.report import to_markdown, write_html

    page, text = folder / "report.html", folder / "report.md"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(text, to_markdown(report))
        if page_problem():
            return text
        write_html(report, page)
    except OSError as error:
        raise ProjectError(
            f"the report cannot be written to {folder}: {error.strerror}; name another folder with --out"
        ) from None
    return page
