"""Exports to JSON lines: an object per trial, with params and values as nested objects and their JSON types."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tunesmith.study.files import write_atomic
from tunesmith.study.formatting import json_number_or_text
from tunesmith.study.trials.trial import Trial
from tunesmith.tools.interop.export.registry import new_file
from tunesmith.tools.interop.rows import row
from tunesmith.tools.interop.study_export import StudyExport


def export(exported: StudyExport, out: str) -> list[str]:
    """Write the results, then the points with the state `waiting`."""
    path = new_file(out)
    write_atomic(path, "".join(f"{json.dumps(line)}\n" for line in _lines(exported)))
    return []


def _lines(exported: StudyExport) -> Iterable[dict[str, Any]]:
    yield from map(_line, exported.trials)
    yield from ({"state": "waiting", "params": dict(params)} for params in exported.points)


def _line(trial: Trial) -> dict[str, Any]:
    flat = row(trial)
    values = {name: json_number_or_text(value) for name, value in trial.values.items()}
    known: dict[str, Any] = {
        name: flat[name] for name in ("number", "state", "source", "seconds", "failure") if name in flat
    }
    return {**known, "params": dict(trial.params), "values": values}
