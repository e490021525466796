"""What the curves of a study's trials promise, at one moment: where each would end, and what that teaches the sampler.

The forecast is agent/scheduler/curve_model.py; here it meets trials. Pure; knows no process.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tunesmith.agent.scheduler.curve_model import SAME, Curve, CurveModel, Forecast
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.view import Foretold, Objective, same_run

SURE = 2.0
"""The sampler's prediction counts with so many times the spread that it claims: it knows little of noise."""

ECHOES = 4
"""At so many steps at most, those where others stopped, complete curves tell what a part of them had foretold."""

_SMALLEST = 27.0
"""One part in so many of a full run lies at 0 on the scale on which parts are told apart."""


class Foresight:
    """What the curves of a study's trials promise, at one moment.

    Args:
        trials: all of the study.
        curves: the first objective's curve of each, to be minimized, by number.
        objective: the first objective.

    Attributes:
        stopped: the trials that were stopped, or ran through before the full length was raised, and did not go on yet.
        full: the values of each curve that ran through.
        model: what they teach.
    """

    def __init__(self, trials: Sequence[Trial], curves: Mapping[int, Curve], objective: Objective) -> None:
        own = [t for t in trials if not t.is_replicate and t.number in curves and curves[t.number].steps]
        latest = {same_run(t): t.number for t in trials if not t.is_replicate}
        self._objective, self._curves = objective, curves
        self._most = max((_length(t) for t in own), default=0.0)
        self._complete = [t for t in own if self.is_through(t)]
        ended = (TrialState.STOPPED, TrialState.COMPLETE)
        self.stopped = [
            t for t in own if t.state in ended and not self.is_through(t) and latest[same_run(t)] == t.number
        ]
        self.full = [curves[t.number].values for t in self._complete]
        self.model = CurveModel([curves[t.number] for t in self._complete], [curves[t.number] for t in self.stopped])

    def is_through(self, trial: Trial) -> bool:
        """Tell whether a trial ran to the end, as far as any trial of the study was to run."""
        return trial.state is TrialState.COMPLETE and _length(trial) >= self._most * (1 - SAME)

    def curve(self, trial: Trial) -> Curve:
        """Return a trial's curve so far; an empty one while it has none."""
        return self._curves.get(trial.number, Curve())

    def reached(self, trial: Trial) -> float:
        """Return the last step of a trial's curve; -inf while there is none."""
        return self.curve(trial).reached

    def end_of(self, trial: Trial) -> float | None:
        """Return where a trial ended or is expected to end, to be minimized; None while nothing is known."""
        if self.is_through(trial):
            return self._objective.sign * trial.values.get(self._objective.metric, math.nan)
        forecast = self.expect(trial)
        return None if forecast is None else forecast.value

    def chance(self, trial: Trial, bar: float) -> float:
        """Return the chance that a trial ends below `bar`, to be minimized; 0 while nothing is known."""
        forecast = self.expect(trial)
        return 0.0 if forecast is None else forecast.chance_below(bar)

    def expect(self, trial: Trial) -> Forecast | None:
        """Return where a trial will end: its curve, and what the sampler expected of it; None if unknown."""
        forecast = self.model.foretell(self.curve(trial))
        expected = trial.proposal.prediction
        if forecast is None or expected is None or not expected.std > 0.0:
            return forecast
        return forecast.with_prior(self._objective.sign * expected.mean, SURE * expected.std)

    def foretold(self) -> dict[int, tuple[Foretold, ...]]:
        """Return what curves said of their ends, by number: of stopped trials, and of complete ones at the same steps.

        From the curves alone: what the sampler expected of a trial would count twice if it learned from it.
        """
        steps = _some(sorted({self.reached(trial) for trial in self.stopped}))
        told = {trial.number: self._said(self.curve(trial)) for trial in self.stopped}
        for trial in self._complete if steps else ():
            told[trial.number] = [part for step in steps for part in self._said(self.curve(trial).until(step))]
        return {number: tuple(parts) for number, parts in told.items() if parts}

    def _said(self, curve: Curve) -> list[Foretold]:
        forecast = self.model.foretell(curve)
        if forecast is None:
            return []
        part = 1.0 + math.log(max(curve.reached, 1e-12) / self.model.end) / math.log(_SMALLEST)
        return [Foretold(max(part, 0.0), self._objective.sign * forecast.value)]


def _length(trial: Trial) -> float:
    return math.inf if trial.proposal.fidelity is None else trial.proposal.fidelity


def _some(steps: Sequence[float]) -> Sequence[float]:
    """Return at most `ECHOES` of them, evenly by rank."""
    if len(steps) <= ECHOES:
        return steps
    return [steps[round(i * (len(steps) - 1) / (ECHOES - 1))] for i in range(ECHOES)]
