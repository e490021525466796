"""Gives trials the values by which hidden data chose among them, as long as that choice holds. Runs no query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tunesmith.study.config.record import Event
from tunesmith.study.trials.hidden import HiddenValues
from tunesmith.study.trials.trial import Trial


def with_hidden_choice(trials: list[Trial], choices: Sequence[Event]) -> list[Trial]:
    """Return the trials, those that hidden data judged with their values there.

    A choice holds until the study has another trial: a search that continues must not see it.

    Args:
        trials: of one study, by number, the last one included.
        choices: the events of all choices by hidden data.
    """
    detail = choices[-1].detail if choices else None
    if detail is None or not trials or trials[-1].number >= detail["trials"]:
        return trials
    judged = {row["trial"]: row["values"] for row in detail["judged"] if row["values"]}
    return [
        replace(
            trial,
            hidden=HiddenValues(
                values=tuple(judged[trial.number].values()),
                seeds=tuple(map(int, judged[trial.number])),
                is_chosen=trial.number == detail["chosen"],
                judged=len(judged),
                look=detail["look"],
            ),
        )
        if trial.number in judged
        else trial
        for trial in trials
    ]


def without_hidden_values(trials: list[Trial]) -> list[Trial]:
    """Return the trials as a search sees them: without any value on hidden data."""
    return [replace(trial, hidden=None) if trial.hidden is not None else trial for trial in trials]
