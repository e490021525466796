"""Watches curves while trials run: keeps them, says who should end early, and where stopped ones would have ended.

The rules are evaluator/stopping.py and the forecast evaluator/curves.py; here they meet the study. Writes nothing.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tunesmith.evaluator.curves import Curve, CurveModel, Forecast
from tunesmith.evaluator.stopping import Bound, diverged, percent, stalled
from tunesmith.study.observation import Observation
from tunesmith.study.results import incumbent
from tunesmith.study.spec import StudySpec
from tunesmith.study.trial import FailureKind, Prediction, Source, Trial, TrialState
from tunesmith.study.units import short_number
from tunesmith.study.view import Objective, StudyView, same_run

LOOK_AGAIN = 1.25
"""After a look at a trial's chance the next one is due when it has come so many times as far."""

OPENING = 5
"""As long as too few curves ran through to foretell by, so many configurations are begun before any goes on."""

FIRST_LOOK = 9.0
"""Those of the opening rest after one part in so many of a full run."""

SURE = 2.0
"""The sampler's prediction counts with so many times the spread that it claims: it knows little of noise."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a trial ends now; `failure` when that makes it a failed one, not a stopped one."""

    note: str
    failure: FailureKind | None = None


class Foresight:
    """What the curves of a study's trials promise, at one moment.

    Attributes:
        stopped: the trials that were stopped, with a curve.
        curves: the first objective's curve of each trial, to be minimized, by number.
        full: the values of each curve that ran through.
        model: what they teach.
    """

    def __init__(self, trials: Sequence[Trial], curves: Mapping[int, Curve], objective: Objective) -> None:
        own = [t for t in trials if not t.is_replicate and t.number in curves]
        self._objective = objective
        self.curves = curves
        self.stopped = [t for t in own if t.state is TrialState.STOPPED and curves[t.number].steps]
        full = [curves[t.number] for t in own if t.state is TrialState.COMPLETE]
        self.full = [curve.values for curve in full if curve.steps]
        self.model = CurveModel(full, [curves[t.number] for t in self.stopped])

    def foretold(self) -> dict[int, Prediction]:
        """Return where the stopped trials would have ended, by number, as far as their curves alone tell."""
        found = {}
        for trial in self.stopped:
            forecast = self.model.foretell(self.curves[trial.number])
            if forecast is not None:
                mean = self._objective.sign * forecast.value
                found[trial.number] = Prediction(mean=mean, std=max(forecast.spread, 1e-12))
        return found

    def expect(self, trial: Trial, curve: Curve) -> Forecast | None:
        """Return where a running trial will end: its curve, and what the sampler expected of it; None if unknown."""
        forecast = self.model.foretell(curve)
        expected = trial.proposal.prediction
        if forecast is None or expected is None or not expected.std > 0.0:
            return forecast
        return forecast.with_prior(self._objective.sign * expected.mean, SURE * expected.std)


class Watch:
    """The curves of one study, kept up to date by the loop.

    Args:
        spec: the study.
        known: what an earlier run observed, by trial.
    """

    def __init__(self, spec: StudySpec, known: Mapping[int, Sequence[Observation]]) -> None:
        self._rules, self._objective = spec.stop, spec.objectives[0]
        self._metrics = spec.study.metric
        self._chance = spec.stop.chance if spec.pace == "curves" and len(spec.objectives) == 1 else 0.0
        self._unit = spec.fidelity.name.removesuffix("s") if spec.fidelity else "step"
        self._most = spec.fidelity.max if spec.fidelity else 0.0
        self._bounds = [Bound(metric=r.metric, above=r.above, below=r.below, after=r.after) for r in spec.stop.rules]
        self._points: dict[int, list[tuple[float, float]]] = defaultdict(list)
        self._looked_at: dict[int, float] = {}
        self._adopted: set[int] = set()
        self._foresight: Foresight | None = None
        for number, observations in known.items():
            self._keep(number, observations)

    def saw(self, trial: Trial, news: Sequence[Observation]) -> None:
        """Take in what a running trial observed."""
        self._keep(trial.number, news)

    def forget(self, trial: Trial) -> None:
        """Drop a trial's curve: it runs again from its beginning."""
        self._points.pop(trial.number, None)
        self._looked_at.pop(trial.number, None)

    def ended(self) -> None:
        """Take it that a trial ended: what is known has changed."""
        self._foresight = None

    def verdict(self, trial: Trial, news: Sequence[Observation], view: Callable[[], StudyView]) -> Verdict | None:
        """Return why the trial should end now, None when it may go on. Replicates end for what is broken alone.

        Args:
            trial: it runs.
            news: what it observed since the last call, already told to `saw`.
            view: makes the view of the study; called only where the answer needs it.
        """
        broken = self._not_a_number(news)
        if broken is not None or trial.is_replicate:
            return broken
        rule = self._rule(news) or self._stall(trial)
        if rule:
            return Verdict(f"stopped by [stop]: {rule}")
        return self._hopeless(trial, view) if self._chance and trial.proposal.source is not Source.DEFAULT else None

    def adopt(self, trial: Trial, trials: Sequence[Trial]) -> None:
        """Let a trial that goes on begin with what its configuration showed before, so that it is one curve."""
        earlier = [t.number for t in trials if t.number < trial.number and same_run(t) == same_run(trial)]
        for number in earlier:
            self._points[trial.number] += self._points.get(number, [])
            self._adopted.add(trial.number)
            self._looked_at[trial.number] = max(self._curve(trial.number).reached, 0.0)

    def foresight(self, trials: Sequence[Trial]) -> Foresight | None:
        """Return what the curves promise; None where the study does not stop by them."""
        return self._seen(trials) if self._chance else None

    def foretold(self, trials: Sequence[Trial]) -> dict[int, Prediction]:
        """Return where stopped trials would have ended, by number."""
        if not self._chance or not any(t.state is TrialState.STOPPED for t in trials):
            return {}
        return self._seen(trials).foretold()

    # -- the rules ----------------------------------------------------------------------------------------------

    def _not_a_number(self, news: Sequence[Observation]) -> Verdict | None:
        if not self._rules.nan:
            return None
        bad = next((o for o in news if o.metric in self._metrics and not math.isfinite(o.value)), None)
        if bad is None:
            return None
        note = f"{bad.metric} was {bad.value} at step {bad.step:g}; ended at once ([stop].nan)"
        return Verdict(note, FailureKind.NAN)

    def _rule(self, news: Iterable[Observation]) -> str:
        broken = (b.broken_by(o.step, o.value) for o in news for b in self._bounds if b.metric == o.metric)
        return next((reason for reason in broken if reason), "")

    def _stall(self, trial: Trial) -> str:
        patience = self._rules.patience
        if patience is None or not stalled(self._curve(trial.number).values, patience):
            return ""
        return f"no better {self._objective.metric} in {patience} reports"

    def _hopeless(self, trial: Trial, view: Callable[[], StudyView]) -> Verdict | None:
        curve = self._curve(trial.number)
        if not curve.steps or curve.reached < LOOK_AGAIN * self._looked_at.get(trial.number, -math.inf):
            return None
        self._looked_at[trial.number] = max(curve.reached, 0.0)
        seen = view()
        foresight = self._seen(seen.trials)
        end = foresight.model.end
        where = f"{self._unit if end == self._most else 'step'} {curve.reached:g} of {end:g}"
        name = self._objective.metric
        if diverged(curve.values[-1], foresight.full):
            value = short_number(self._objective.sign * curve.values[-1])
            return Verdict(f"stopped at {where}: {name} = {value} has diverged, no complete trial came near it")
        if not foresight.model.is_able:
            return self._rest(trial, curve, foresight)
        best = incumbent(seen.trials, seen.objectives, seen.constraints)
        forecast = foresight.expect(trial, curve)
        if best is None or forecast is None:
            return None
        chance = forecast.chance_below(self._objective.sign * best.values[name])
        if chance >= self._chance:
            return None
        return Verdict(f"stopped at {where}: {percent(chance)} chance to be best")

    def _rest(self, trial: Trial, curve: Curve, foresight: Foresight) -> Verdict | None:
        """Let one of the first trials rest, once it is known how long a run is; the best of them go on later."""
        end = foresight.model.end
        if not end or curve.reached < end / FIRST_LOOK or curve.reached >= end or trial.number in self._adopted:
            return None
        where = f"{self._unit if end == self._most else 'step'} {curve.reached:g} of {end:g}"
        return Verdict(f"rests at {where}: the best of the first trials go on")

    def _seen(self, trials: Sequence[Trial]) -> Foresight:
        if self._foresight is None:
            curves = {number: self._curve(number) for number in list(self._points)}
            self._foresight = Foresight(trials, curves, self._objective)
        return self._foresight

    def _keep(self, number: int, observations: Iterable[Observation]) -> None:
        name, sign = self._objective.metric, self._objective.sign
        self._points[number] += [(o.step, sign * o.value) for o in observations if o.metric == name]

    def _curve(self, number: int) -> Curve:
        return Curve.of(self._points[number])
