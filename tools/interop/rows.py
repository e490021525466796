"""Finished trials as rows of a table: the columns of csv and jsonl, which an import recognizes."""

from __future__ import annotations

from collections.abc import Iterable

from tunesmith.study.space.condition import Value
from tunesmith.study.trials.trial import Trial
from tunesmith.tools.interop.study_export import StudyExport

FIXED = ("number", "state", "source", "seconds", "failure")
"""Columns that are neither a parameter nor a metric; `seconds` of wall time."""


def columns(exported: StudyExport) -> list[str]:
    """Return the names of all columns: parameters by name, metrics as `value.NAME`, and those of FIXED."""
    metrics = dict.fromkeys([o.metric for o in exported.objectives])
    for trial in exported.trials:
        metrics.update(dict.fromkeys(trial.values))
    return [FIXED[0], FIXED[1], *exported.space.names, *(f"value.{name}" for name in metrics), *FIXED[2:]]


def row(trial: Trial) -> dict[str, Value]:
    """Return a trial's cells by column, without empty ones."""
    found: dict[str, Value] = {"number": trial.number, "state": trial.state.value, **trial.params}
    found |= {f"value.{name}": value for name, value in trial.values.items()}
    found["source"] = trial.proposal.source.value
    if trial.outcome and trial.outcome.usage.wall_s:
        found["seconds"] = round(trial.outcome.usage.wall_s, 3)
    if trial.failure:
        found["failure"] = f"{trial.failure.kind.value}: {trial.failure.reason}"
    return found


def point_row(params: dict[str, Value]) -> dict[str, Value]:
    """Return a starting point as a row of a waiting trial."""
    return {"state": "waiting", **params}


def all_rows(exported: StudyExport) -> Iterable[dict[str, Value]]:
    """Return results first, then points."""
    yield from map(row, exported.trials)
    yield from (point_row(dict(params)) for params in exported.points)
