"""Trials as data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tunesmith.study.formatting import json_number, one_line
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.trial import Trial
from tunesmith.tools.llm_tools.structured.models import FailureData, SeriesData, TrialData

MAX_TEXT = 300
"""Longest text of a script, a log or a model in data."""
MAX_POINTS, MAX_SERIES = 200, 40
"""Number of points of a series, and of series of a trial, that are returned."""


def trial_data(trial: Trial) -> TrialData:
    """Return a trial as data."""
    failure, outcome = trial.failure, trial.outcome
    return TrialData(
        number=trial.number,
        state=trial.state.value,
        source=trial.proposal.source.value,
        params=plain(trial.params),
        values=finite(trial.values),
        fidelity=trial.proposal.fidelity,
        seed=trial.proposal.seed,
        instance=trial.proposal.instance or None,
        replicate_of=trial.proposal.replicate_of,
        variant=trial.proposal.variant,
        failure=FailureData(
            kind=failure.kind.value, reason=one_line(failure.reason, MAX_TEXT), scope=failure.scope.value
        )
        if failure
        else None,
        counts=trial.counts,
        seconds=outcome.usage.wall_s if outcome else None,
        rationale=one_line(trial.proposal.rationale, MAX_TEXT),
    )


def all_trial_data(trials: Iterable[Trial]) -> list[TrialData]:
    """Return trials as data, in their order."""
    return [trial_data(trial) for trial in trials]


def plain(params: Mapping[str, Value]) -> dict[str, Any]:
    """Return a configuration as JSON values."""
    return {name: json_number(value) if isinstance(value, float) else value for name, value in params.items()}


def finite(values: Mapping[str, float]) -> dict[str, float | None]:
    """Return metrics as JSON values; the script chose most of the names."""
    return {one_line(name, MAX_TEXT): json_number(value) for name, value in values.items()}


def series_data(observed: Sequence[Observation]) -> list[SeriesData]:
    """Return what a trial reported, by metric; of many points evenly spaced ones and the last."""
    names = list(dict.fromkeys(o.metric for o in observed))[:MAX_SERIES]
    found = []
    for name in names:
        points = [o for o in observed if o.metric == name]
        step = -(-len(points) // MAX_POINTS)
        kept = [*points[:-1:step], points[-1]]
        found.append(
            SeriesData(
                metric=one_line(name, MAX_TEXT),
                steps=[o.step for o in kept],
                values=[json_number(o.value) for o in kept],
                count=len(points),
            )
        )
    return found
