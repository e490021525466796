"""The values of one configuration on all seeds that it ran on."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tunesmith.study.trials.replicates.seeds import is_fresh
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import StudyView, objective_values


def original_number(trial: Trial) -> int:
    """Return the number of the configuration's first trial: its own, or that of the trial that it repeats."""
    return trial.number if trial.proposal.replicate_of is None else trial.proposal.replicate_of


def runs_of(trial: Trial, view: StudyView) -> list[Trial]:
    """Return every run of the trial's configuration that counts: the first trial, then its repetitions."""
    original = original_number(trial)
    return [t for t in view.trials if original_number(t) == original]


def seed_values(trial: Trial, view: StudyView) -> list[float]:
    """Return the finite values of the first objective on every seed that the configuration ran on."""
    return _values(runs_of(trial, view), view)


def fresh_values(trial: Trial, view: StudyView) -> list[float]:
    """Return those values on fresh seeds only: on the others, the best looks better than it is."""
    return _values([t for t in runs_of(trial, view) if t.is_replicate and is_fresh(t.proposal.seed)], view)


def _values(trials: Sequence[Trial], view: StudyView) -> list[float]:
    found = [values[0] for t in trials if (values := objective_values(t, view.objectives[:1])) is not None]
    return [value for value in found if math.isfinite(value)]
