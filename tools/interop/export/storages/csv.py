"""A CSV table: one row per trial, a column per parameter and metric. Spreadsheets and pandas read it."""

from __future__ import annotations

import csv
import io

from tunesmith.study.files import write_atomic
from tunesmith.tools.interop.export.registry import new_file
from tunesmith.tools.interop.rows import all_rows, columns
from tunesmith.tools.interop.study_export import Handover


def export(handover: Handover, out: str) -> list[str]:
    """Write the table; an inactive parameter is an empty cell."""
    path = new_file(out)
    text = io.StringIO()
    writer = csv.DictWriter(text, columns(handover), lineterminator="\n")
    writer.writeheader()
    writer.writerows(all_rows(handover))
    write_atomic(path, text.getvalue())
    return []
