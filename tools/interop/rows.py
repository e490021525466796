"""Finished trials as rows of a table: the columns that csv and jsonl have, and that an import knows again."""

from __future__ import annotations

from collections.abc import Iterable

from tunesmith.study.space.condition import Value
from tunesmith.study.trials.trial import Trial
from tunesmith.tools.interop.study_export import Handover

FIXED = ("number", "state", "source", "seconds", "failure")
"""Columns that are neither a parameter nor a metric; `seconds` of wall time."""


def columns(handover: Handover) -> list[str]:
    """Return the names of all columns: parameters by name, metrics as `value.NAME`, then what is fixed."""
    metrics = dict.fromkeys([o.metric for o in handover.objectives])
    for trial in handover.trials:
        metrics.update(dict.fromkeys(trial.values))
    return [FIXED[0], FIXED[1], *handover.space.names, *(f"value.{name}" for name in metrics), *FIXED[2:]]


def row(trial: Trial) -> dict[str, Value]:
    """Return what is known of a trial, by column; what it does not have is left out."""
    found: dict[str, Value] = {"number": trial.number, "state": trial.state.value, **trial.params}
    found |= {f"value.{name}": value for name, value in trial.values.items()}
    found["source"] = trial.proposal.source.value
    if trial.outcome and trial.outcome.usage.wall_s:
        found["seconds"] = round(trial.outcome.usage.wall_s, 3)
    if trial.failure:
        found["failure"] = f"{trial.failure.kind.value}: {trial.failure.reason}"
    return found


def point_row(params: dict[str, Value]) -> dict[str, Value]:
    """Return a starting point as a row that still waits."""
    return {"state": "waiting", **params}


def all_rows(handover: Handover) -> Iterable[dict[str, Value]]:
    """Return results first, then points."""
    yield from map(row, handover.trials)
    yield from (point_row(dict(params)) for params in handover.points)
