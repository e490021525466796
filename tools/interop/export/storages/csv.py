"""A CSV table: one row per trial, a column per parameter and metric. Spreadsheets and pandas read it."""

from __future__ import annotations

import csv
import io

from tunesmith.tools.warmstart.handover import Handover
from tunesmith.tools.warmstart.registry import new_file
from tunesmith.tools.warmstart.rows import all_rows, columns, replace_file


def export(handover: Handover, out: str) -> list[str]:
    """Write the table; an inactive parameter is an empty cell."""
    path = new_file(out)
    text = io.StringIO()
    writer = csv.DictWriter(text, columns(handover), lineterminator="\n")
    writer.writeheader()
    writer.writerows(all_rows(handover))
    replace_file(path, text.getvalue())
    return []
