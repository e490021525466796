"""Who rests on the way to the end, and who of the resting goes on: a share at each mark, by what the curves foretell.

At a ninth, two ninths and four ninths of a full run a trial rests unless its foretold end is among the better half of
all that came as far; and whenever the better half holds one that rests, it goes on before a new configuration is begun.
That is successive halving by promotion (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning") with
the rank by the end that is foretold, not by the value at the rung, and it needs no forecast to begin with. The more ran
to the end, the fewer rest: by then proposals differ by less than a part of a curve tells. Near the end of the budget
nothing rests, and the best of the resting go on.

Pure: what the curves say and trials in, decisions out. Knows no process and no clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tunesmith.agent.scheduler.curve_forecasts import Foresight
from tunesmith.agent.scheduler.curve_model import SAME
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.view import StudyView, same_run

MARKS = (1 / 9, 2 / 9, 4 / 9)
"""Where trials rest, as parts of a full run. The first comes late enough to be more than a warm-up."""
OPENING = 5
"""So many configurations are begun before any goes on."""
HALF = 0.5
"""The share that goes on at a mark."""
SETTLING = (8, 24)
"""While so many have run to the end, the share rises from a half to all."""
ENDING = 3.0
"""When the budget allows no more full runs than this, nothing rests any more."""


@dataclass(frozen=True, slots=True)
class _Standing:
    """One configuration: its latest trial, the last mark that it passed (-1 for none), and whether it rests there."""

    trial: Trial
    mark: int
    rests: bool


@dataclass(frozen=True, slots=True)
class Place:
    """At which place a configuration stands, from 1 on, among how many that came as far."""

    rank: int
    count: int


class Resting:
    """The configurations of a study by how far they came, at one moment.

    Args:
        view: the study.
        foresight: what its curves promise.
    """

    def __init__(self, view: StudyView, foresight: Foresight) -> None:
        self._foresight = foresight
        self._end = foresight.model.end
        self._is_ending = view.left <= ENDING
        latest = {same_run(t): t for t in view.trials if not t.is_replicate and t.state is not TrialState.FAILED}
        self._all = [self._standing(trial) for trial in latest.values()]
        self._complete = sum(foresight.is_through(s.trial) for s in self._all)

    def rests(self, trial: Trial) -> Place | None:
        """Return the place for which a running trial rests at the mark that it has just come to, None if it goes on."""
        mark = self._mark(trial)
        if mark < 0 or self._is_ending:
            return None
        place = self._place(trial, mark)
        if len(self._all) < OPENING:
            return place
        first, last = SETTLING
        share = HALF + (1.0 - HALF) * min(max(self._complete - first, 0) / (last - first), 1.0)
        return None if place.rank <= max(share * place.count, 1.0) else place

    def due(self) -> tuple[Trial, Place] | None:
        """Return who of the resting goes on now, those that came farthest first, and for which place."""
        if len(self._all) < OPENING:
            return None
        for mark in reversed(range(len(MARKS))):
            there = [s.trial for s in self._all if s.rests and s.mark == mark]
            if not there:
                continue
            best = min(there, key=lambda trial: (self._promise(trial, mark), trial.number))
            place = self._place(best, mark)
            went = sum(s.mark > mark or (s.mark == mark and not s.rests) for s in self._all)
            if place.rank <= HALF * place.count and went < HALF * place.count - HALF:
                return best, place
        return None

    def last_hope(self, bar: float) -> tuple[Trial, float] | None:
        """Return the resting trial with the best chance to end below `bar`, near the end of the budget alone."""
        resting = [s.trial for s in self._all if s.rests] if self._is_ending else []
        chances = {t.number: self._foresight.chance(t, bar) for t in resting}
        best = max(resting, key=lambda t: (chances[t.number], -t.number), default=None)
        return None if best is None else (best, chances[best.number])

    def _standing(self, trial: Trial) -> _Standing:
        if self._foresight.is_through(trial):
            return _Standing(trial, len(MARKS), rests=False)
        return _Standing(trial, self._mark(trial), rests=trial.state.is_finished)

    def _mark(self, trial: Trial) -> int:
        reached = self._foresight.reached(trial)
        return sum(reached >= part * self._end * (1 - SAME) for part in MARKS) - 1 if self._end else -1

    def _place(self, trial: Trial, mark: int) -> Place:
        mine = self._promise(trial, mark)
        others = [s.trial for s in self._all if s.mark >= mark and s.trial.number != trial.number]
        return Place(1 + sum(self._promise(other, mark) < mine for other in others), 1 + len(others))

    def _promise(self, trial: Trial, mark: int) -> float:
        """Return where a trial ends or is foretold to end; as long as nothing is foretold, its value at a mark."""
        found = self._foresight.end_of(trial)
        if not self._foresight.model.is_able or found is None:
            found = self._foresight.curve(trial).at(MARKS[mark] * self._end)
        return math.inf if math.isnan(found) else found


@dataclass(frozen=True, slots=True)
class Tempo:
    """How long a trial of a study takes: seconds before its first step, seconds a step, whether it keeps files."""

    start_s: float
    step_s: float
    keeps_files: bool


def resting_pays(step: float, end: float, tempo: Tempo | None) -> bool:
    """Tell whether a trial that rests at `step` is likely to save more than it costs to take it up again.

    Half of those that rest go on. What starting a process takes, and training anew what no checkpoint keeps, is lost
    then; what a resting trial saves has to be worth twice as much, since its end is not seen either.
    """
    if tempo is None:
        return True
    again = tempo.start_s + (0.0 if tempo.keeps_files else tempo.step_s * step)
    return tempo.step_s * (end - step) * (1.0 - HALF) > 2.0 * again * HALF
