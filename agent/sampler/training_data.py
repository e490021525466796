"""A study's view as arrays: coordinates of its trials and their results. Knows no model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.earlier import EarlierStudy
from tunesmith.study.trials.observed.judged import judge_noise
from tunesmith.study.trials.observed.resources import RESOURCES
from tunesmith.study.trials.trial import FailureKind, Source, Trial, TrialState
from tunesmith.study.trials.view import ForecastPoint, StudyView
from tunesmith.tools.surrogate.encoding import Array, Mask
from tunesmith.tools.surrogate.gp_ensemble import subsample_by_value

MAX_EARLIER_TRIALS = 2_000
"""Largest number of an earlier study's trials that are used: the best for one half, the rest even by rank."""

_MAX_VALUE = 1e100
"""Values are clipped to this size, so that their differences and squares stay finite."""

_MIN_COST = 1e-12
"""Smallest cost whose logarithm is taken."""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """One row per finished trial that is informative, then rows of pseudo-observations, then rows of replicates.

    A trial that was stopped early is a complete row at a lower fidelity, with the final value that its curve forecasts.
    Pseudo-observations are forecasts from parts of complete trials' curves; they teach the model how forecasts differ
    from final values, and where in the space. A stopped trial without a forecast is neither complete nor failed, and
    its value is the one at which it stopped.

    Attributes:
        units: (n, d) coordinates.
        values: (n, k) objectives, smaller is better; nan where a value is missing.
        complete: (n,) the trial ran to its end, or has a forecast, and all its objectives are finite.
        failed: (n,) the trial failed because of its configuration.
        violations: (n, constraints) above 0 where a constraint is violated; nan where its metric is missing.
        pending: (p, d) coordinates of waiting and running trials.
        fidelity: (n,) in [0, 1]; 1 is the full fidelity.
        runs: (n,) number of runs that each value is the mean of; 1 without [instances].
        noise: standard deviation of the first objective in one run; None where it is not known from instances.
        judge_noise: the part of it that a judge of texts adds, by its own account; None without one.
        seconds: (n,) wall time of each trial; nan where it is unknown.
        llm_count: number of finished and pending trials that an LLM proposed.
        pseudo_count: number of rows that are pseudo-observations.
        has_cost: whether an objective after the first is a measured resource; its column is of logarithms.
        replicate_count: number of rows that repeat a configuration; they measure noise.
    """

    units: Array
    values: Array
    complete: Mask
    failed: Mask
    violations: Array
    pending: Array
    fidelity: Array
    runs: Array
    noise: float | None
    judge_noise: float | None
    seconds: Array
    llm_count: int
    pseudo_count: int
    replicate_count: int
    has_cost: bool = False

    @property
    def own_count(self) -> int:
        """Number of rows before those of pseudo-observations and replicates: one per finished trial, in order."""
        return len(self.units) - self.pseudo_count - self.replicate_count

    @property
    def count(self) -> int:
        """Number of trials, pending ones and replicates included."""
        return len(self.units) - self.pseudo_count + len(self.pending)

    @property
    def exploratory_count(self) -> int:
        """Number of trials that count towards the initial design: all but LLM proposals and replicates."""
        return self.count - self.llm_count - self.replicate_count

    def of_rows(self, rows: Mask, pending: Mask) -> TrainingData:
        """Return some of the rows (n,) and pending trials (p,)."""
        own, pseudo = self.own_count, self.own_count + self.pseudo_count
        return replace(
            self,
            units=self.units[rows], values=self.values[rows], complete=self.complete[rows], failed=self.failed[rows],
            violations=self.violations[rows], fidelity=self.fidelity[rows], runs=self.runs[rows],
            seconds=self.seconds[rows], pending=self.pending[pending],
            pseudo_count=int(rows[own:pseudo].sum()), replicate_count=int(rows[pseudo:].sum()),
        )  # fmt: skip

    @property
    def feasible(self) -> Mask:
        """(n,) complete, and no constraint is known to be violated."""
        return self.complete & ~(self.violations > 0.0).any(axis=1)

    @property
    def full(self) -> Mask:
        """(n,) complete at full fidelity."""
        return self.complete & (self.fidelity >= 1.0)


@dataclass(frozen=True, slots=True)
class _Row:
    """A trial, and the forecast that takes the place of its value; None where its value counts."""

    trial: Trial
    forecast: ForecastPoint | None = None


def build_training_data(view: StudyView) -> TrainingData:
    """Return the arrays of a view.

    Trials that were lost with their machine are left out; they say nothing about their configuration.
    """
    own = [t for t in view.finished if t.failure is None or t.failure.kind is not FailureKind.LOST]
    pseudo = [
        _Row(t, part) for t in own if t.state is TrialState.COMPLETE for part in view.curve_forecasts.get(t.number, ())
    ]
    replicates = [_Row(t) for t in view.repeats]
    rows = [*(_Row(t, _forecast_of_stopped(t, view)) for t in own), *pseudo, *replicates]
    values, fidelity = _values_and_fidelity(rows, view)
    is_forecast = np.array([row.forecast is not None for row in rows], dtype=bool)
    ran = np.array([row.trial.state is TrialState.COMPLETE for row in rows], dtype=bool)
    stopped = np.array([row.trial.state is TrialState.STOPPED for row in rows], dtype=bool)
    complete = (ran | is_forecast) & np.isfinite(values).all(axis=1)
    return TrainingData(
        units=_units([row.trial for row in rows], view.space),
        values=np.clip(values, -_MAX_VALUE, _MAX_VALUE),
        complete=complete,
        failed=~complete & ~stopped,
        violations=_violations(rows, view),
        pending=_units(view.pending, view.space),
        fidelity=fidelity,
        runs=np.array([len(row.trial.runs.adjusted) if row.trial.runs else 1 for row in rows], dtype=float),
        noise=next((t.runs.noise for t in own if t.runs is not None), None),
        judge_noise=judge_noise(own, view.objectives[0].metric),
        seconds=np.where(is_forecast, np.nan, np.array([_seconds(row.trial) for row in rows], dtype=float)),
        llm_count=sum(t.proposal.source is Source.LLM for t in [*own, *view.pending]),
        pseudo_count=len(pseudo),
        replicate_count=len(replicates),
        has_cost=any(o.metric in RESOURCES for o in view.objectives[1:]),
    )


def build_earlier_data(view: StudyView, study: EarlierStudy) -> TrainingData:
    """Return the arrays of an earlier study's trials that fit the present space; at most 2,000 are selected.

    A parameter that the earlier study did not have takes its default, or else the middle of its range. Values of
    parameters that the present space does not have are dropped. A configuration with a value outside the present range
    is left out.
    """
    selected = replace(study, trials=_select(view, study.trials))
    return build_training_data(replace(view, trials=list(selected.trials_in(view.space)), curve_forecasts={}))


def _select(view: StudyView, trials: Sequence[Trial]) -> Sequence[Trial]:
    if len(trials) <= MAX_EARLIER_TRIALS:
        return trials
    first = view.objectives[0]
    values = np.array([first.sign * t.values.get(first.metric, np.inf) for t in trials], dtype=float)
    return [trials[row] for row in subsample_by_value(np.where(np.isnan(values), np.inf, values), MAX_EARLIER_TRIALS)]


def _forecast_of_stopped(trial: Trial, view: StudyView) -> ForecastPoint | None:
    """Return the forecast from the whole curve of a stopped trial; None without one, and for other trials."""
    forecasts = view.curve_forecasts.get(trial.number, ())
    return forecasts[-1] if forecasts and trial.state is TrialState.STOPPED else None


def _values_and_fidelity(rows: Sequence[_Row], view: StudyView) -> tuple[Array, Array]:
    """Return (n, k) objectives to be minimized, and (n,) fidelities; forecasts take the place of measured values."""
    signed = [[o.sign * row.trial.values.get(o.metric, np.nan) for o in view.objectives] for row in rows]
    values = np.reshape(np.array(signed, dtype=float), (len(rows), len(view.objectives)))
    fidelity = np.array([view.fidelity_of(row.trial) for row in rows], dtype=float)
    for index, row in enumerate(rows):
        if row.forecast is not None:
            values[index, 0] = view.objectives[0].sign * row.forecast.value
            fidelity[index] = row.forecast.part
    for column, objective in enumerate(view.objectives[1:], 1):
        if objective.metric in RESOURCES:
            # Costs differ by factors, and half of a small one counts as half of a large one.
            values[:, column] = np.log(np.maximum(values[:, column], _MIN_COST))
    return values, fidelity


def _violations(rows: Sequence[_Row], view: StudyView) -> Array:
    violations = [
        [c.violation(row.trial.values[c.metric]) if c.metric in row.trial.values else np.nan for c in view.constraints]
        for row in rows
    ]
    return np.reshape(np.array(violations, dtype=float), (len(rows), len(view.constraints)))


def _seconds(trial: Trial) -> float:
    seconds = trial.outcome.usage.wall_s if trial.outcome else 0.0
    return seconds if seconds > 0.0 else math.nan


def _units(trials: Sequence[Trial], space: SearchSpace) -> Array:
    return np.reshape(np.array([space.to_unit(t.params) for t in trials], dtype=float), (len(trials), len(space)))
