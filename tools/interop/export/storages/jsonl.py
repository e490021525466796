"""One JSON object per line and trial: params and values apart, types kept, nothing lost that a table would flatten."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tunesmith.study.files import write_atomic
from tunesmith.study.formatting import json_number_or_text
from tunesmith.study.trials.trial import Trial
from tunesmith.tools.interop.export.registry import new_file
from tunesmith.tools.interop.rows import row
from tunesmith.tools.interop.study_export import Handover


def export(handover: Handover, out: str) -> list[str]:
    """Write the lines: results first, then points, whose state is `waiting`."""
    path = new_file(out)
    write_atomic(path, "".join(f"{json.dumps(line)}\n" for line in _lines(handover)))
    return []


def _lines(handover: Handover) -> Iterable[dict[str, Any]]:
    yield from map(_line, handover.trials)
    yield from ({"state": "waiting", "params": dict(params)} for params in handover.points)


def _line(trial: Trial) -> dict[str, Any]:
    flat = row(trial)
    values = {name: json_number_or_text(value) for name, value in trial.values.items()}
    known: dict[str, Any] = {
        name: flat[name] for name in ("number", "state", "source", "seconds", "failure") if name in flat
    }
    return {**known, "params": dict(trial.params), "values": values}
