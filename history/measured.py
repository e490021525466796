"""Gives earlier trials the measured resources that a study names only now, such as a bound on `run/seconds`.

The usage of a trial is stored in any case; its value as a metric follows from it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from tunesmith.study.config.spec import StudySpec
from tunesmith.study.formatting import json_number_or_text
from tunesmith.study.trials.observed.resources import resource_values, usage_in_sequence
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.view import ancestors

MEASURED_EVENT = "measured"
"""Kind of the event that says that stored trials got values of measured resources: what was read before is outdated."""


def with_measured(trial: Trial, earlier: Sequence[Trial], spec: StudySpec) -> dict[str, float]:
    """Return a trial's values with the measured resources that the study names and the trial lacks.

    Args:
        trial: a finished one.
        earlier: the trials that it continues.
        spec: the study.
    """
    if trial.outcome is None or trial.state is not TrialState.COMPLETE:
        return dict(trial.values)
    usages = [t.outcome.usage for t in [*earlier, trial] if t.outcome is not None]
    return {**resource_values(spec.resources, usage_in_sequence(usages), spec.run.usd_per_hour), **trial.values}


def fill_measured(db: sqlite3.Connection, study_id: int, trials: Sequence[Trial], spec: StudySpec) -> int:
    """Store the measured resources that complete trials lack; return for how many.

    Args:
        db: the history, within a transaction.
        study_id: the study in it.
        trials: every trial of the study, by number.
        spec: the study as it is now.
    """
    sql = "update trials set metrics = ? where study_id = ? and number = ?"
    filled = 0
    for trial in trials if spec.resources else ():
        if trial.state is not TrialState.COMPLETE or all(name in trial.values for name in spec.resources):
            continue
        values = with_measured(trial, ancestors(trial, trials), spec)
        if values == dict(trial.values):
            continue
        text = json.dumps({name: json_number_or_text(value) for name, value in values.items()})
        db.execute(sql, [text, study_id, trial.number])
        filled += 1
    return filled
