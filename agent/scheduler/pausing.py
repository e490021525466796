"""Decides which trials pause at a fraction of a full run and which paused trials resume, by their curve forecasts.

A trial pauses at 1/9, 2/9 or 4/9 of a full run unless its forecast final value is in the better half of all
configurations that came this far. A paused trial in the better half resumes before a new configuration starts. This is
successive halving by promotion (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning") with two
differences: trials are ranked by the forecast final value instead of the value at the rung, and nothing depends on a
forecast in the beginning. The more trials ran in full, the fewer pause, because later proposals differ by less than
part of a curve can tell. Near the end of the budget nothing pauses, and the best paused trials resume.

Pure: a view and curve forecasts in, decisions out. Knows no process and no clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tunesmith.agent.scheduler.curve_forecasts import CurveForecasts
from tunesmith.agent.scheduler.curve_model import STEP_TOLERANCE
from tunesmith.agent.scheduler.promotion import promote
from tunesmith.agent.scheduler.rules import percent
from tunesmith.study.trials.trial import Proposal, Trial, TrialState
from tunesmith.study.trials.view import StudyView, run_key
from tunesmith.study.trials.winner import incumbent

PAUSE_POINTS = (1 / 9, 2 / 9, 4 / 9)
"""Fractions of a full run at which trials pause. The first one is late enough to be past the warm-up."""
MIN_CONFIGURATIONS = 5
"""Number of configurations that start before any paused trial resumes."""
PROMOTED_FRACTION = 0.5
"""Fraction of configurations that continue past a pause point."""
FULL_RUNS_WHILE_RISING = (8, 24)
"""Numbers of full runs between which the fraction that continues rises from PROMOTED_FRACTION to 1."""
LAST_FULL_RUNS = 3.0
"""Number of full runs left in the budget at or below which nothing pauses any more."""
MIN_LAST_CHANCE = 0.02
"""Minimum probability of becoming the best with which a paused trial resumes near the end of the budget."""


@dataclass(frozen=True, slots=True)
class _Configuration:
    """A configuration: its latest trial, the last pause point that it reached (-1 for none), whether it is paused."""

    trial: Trial
    point: int
    is_paused: bool


@dataclass(frozen=True, slots=True)
class Rank:
    """The position of a configuration, from 1, among the `count` that came at least as far."""

    position: int
    count: int


class Pausing:
    """The configurations of a study by how far they came, at one moment.

    Args:
        view: the study.
        forecasts: its curve forecasts.
    """

    def __init__(self, view: StudyView, forecasts: CurveForecasts) -> None:
        self._forecasts = forecasts
        self._end = forecasts.model.end
        self._is_ending = view.runs_left <= LAST_FULL_RUNS
        latest = {run_key(t): t for t in view.trials if not t.is_replicate and t.state is not TrialState.FAILED}
        self._all = [self._configuration(trial) for trial in latest.values()]
        self._full_runs = sum(forecasts.ran_in_full(c.trial) for c in self._all)

    def pause_rank(self, trial: Trial) -> Rank | None:
        """Return the rank for which a running trial pauses at the point it has just reached; None if it continues."""
        point = self._point(trial)
        if point < 0 or self._is_ending:
            return None
        rank = self._rank(trial, point)
        if len(self._all) < MIN_CONFIGURATIONS:
            return rank
        first, last = FULL_RUNS_WHILE_RISING
        risen = min(max(self._full_runs - first, 0) / (last - first), 1.0)
        fraction = PROMOTED_FRACTION + (1.0 - PROMOTED_FRACTION) * risen
        return None if rank.position <= max(fraction * rank.count, 1.0) else rank

    def promotable(self) -> tuple[Trial, Rank] | None:
        """Return the paused trial to resume now and its rank, from the latest pause point possible; None for none."""
        if len(self._all) < MIN_CONFIGURATIONS:
            return None
        for point in reversed(range(len(PAUSE_POINTS))):
            paused = [c.trial for c in self._all if c.is_paused and c.point == point]
            if not paused:
                continue
            best = min(paused, key=lambda trial: (self._score(trial, point), trial.number))
            rank = self._rank(best, point)
            continued = sum(c.point > point or (c.point == point and not c.is_paused) for c in self._all)
            has_vacancy = continued < PROMOTED_FRACTION * rank.count - PROMOTED_FRACTION
            if has_vacancy and rank.position <= PROMOTED_FRACTION * rank.count:
                return best, rank
        return None

    def last_chance(self, value: float) -> tuple[Trial, float] | None:
        """Return the paused trial that most probably ends below `value`, and that probability.

        None unless the end of the budget is near, or if no trial is paused.
        """
        paused = [c.trial for c in self._all if c.is_paused] if self._is_ending else []
        p_below = {t.number: self._forecasts.p_below(t, value) for t in paused}
        best = max(paused, key=lambda t: (p_below[t.number], -t.number), default=None)
        return None if best is None else (best, p_below[best.number])

    def _configuration(self, trial: Trial) -> _Configuration:
        if self._forecasts.ran_in_full(trial):
            return _Configuration(trial, len(PAUSE_POINTS), is_paused=False)
        return _Configuration(trial, self._point(trial), is_paused=trial.state.is_finished)

    def _point(self, trial: Trial) -> int:
        reached = self._forecasts.reached(trial)
        if not self._end:
            return -1
        return sum(reached >= part * self._end * (1 - STEP_TOLERANCE) for part in PAUSE_POINTS) - 1

    def _rank(self, trial: Trial, point: int) -> Rank:
        own = self._score(trial, point)
        others = [c.trial for c in self._all if c.point >= point and c.trial.number != trial.number]
        return Rank(1 + sum(self._score(other, point) < own for other in others), 1 + len(others))

    def _score(self, trial: Trial, point: int) -> float:
        """Return the final value, measured or forecast; before there are forecasts, the value at the pause point."""
        value = self._forecasts.final_value(trial)
        if not self._forecasts.model.can_forecast or value is None:
            value = self._forecasts.curve(trial).at(PAUSE_POINTS[point] * self._end)
        return math.inf if math.isnan(value) else value


def resume_paused(view: StudyView, forecasts: CurveForecasts) -> Proposal | None:
    """Return the paused trial to resume now as a proposal; None if a new configuration is to start."""
    pausing = Pausing(view, forecasts)
    full_length = view.fidelity.max if view.fidelity else None
    promotable = pausing.promotable()
    if promotable is not None:
        trial, rank = promotable
        why = f"trial {trial.number} resumes: rank {rank.position} of the {rank.count} that came this far"
        return promote(trial, full_length, why)
    best = incumbent(view.trials, view)
    if best is None:
        return None
    objective = view.objectives[0]
    last = pausing.last_chance(objective.sign * best.values[objective.metric])
    if last is None or last[1] < MIN_LAST_CHANCE:
        return None
    trial, chance = last
    why = f"trial {trial.number} resumes: {percent(chance)} chance to be best, and the budget ends soon"
    return promote(trial, full_length, why)


@dataclass(frozen=True, slots=True)
class TrialPace:
    """How long a trial of a study takes: seconds before its first step, seconds per step, whether it keeps files."""

    start_s: float
    step_s: float
    keeps_files: bool


def is_worth_pausing(step: float, end: float, pace: TrialPace | None) -> bool:
    """Return whether pausing at `step` is likely to save more time than resuming costs; True if the pace is unknown.

    Half of the paused trials resume. Each of these pays for another start, and for its steps again if it keeps no
    files. A pause must save at least twice this cost, because it also leaves the final value unknown.
    """
    if pace is None:
        return True
    resume_s = pace.start_s + (0.0 if pace.keeps_files else pace.step_s * step)
    return pace.step_s * (end - step) * (1.0 - PROMOTED_FRACTION) > 2.0 * resume_s * PROMOTED_FRACTION
