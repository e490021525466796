"""Exports to CSV: a row per trial, a column per parameter and metric."""

from __future__ import annotations

import csv
import io

from tunesmith.study.files import write_atomic
from tunesmith.tools.interop.export.registry import new_file
from tunesmith.tools.interop.rows import all_rows, columns
from tunesmith.tools.interop.study_export import StudyExport


def export(exported: StudyExport, out: str) -> list[str]:
    """Write the table; an inactive parameter is an empty cell."""
    path = new_file(out)
    text = io.StringIO()
    writer = csv.DictWriter(text, columns(exported), lineterminator="\n")
    writer.writeheader()
    # A cell of None would be as empty as that of an inactive parameter.
    writer.writerows({n: "None" if v is None else v for n, v in row.items()} for row in all_rows(exported))
    write_atomic(path, text.getvalue())
    return []
