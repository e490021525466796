"""Writes a study as one HTML page, as Markdown or as JSON. Heavy packages are imported inside the functions."""

from __future__ import annotations

from tunesmith.tools.report.gather import report_input
from tunesmith.tools.report.html import write_html
from tunesmith.tools.report.inputs import ReportInput
from tunesmith.tools.report.markdown import to_markdown
from tunesmith.tools.report.to_json import to_json

__all__ = ["ReportInput", "report_input", "to_json", "to_markdown", "write_html"]
