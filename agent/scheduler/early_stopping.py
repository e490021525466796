"""Watches curves while trials run: keeps them, says who should end early, and where stopped ones would have ended.

The rules are agent/scheduler/rules.py, what curves promise foresight.py, who rests resting.py; here they meet the
study.
Writes nothing.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tunesmith.agent.scheduler.curve_forecasts import Foresight
from tunesmith.agent.scheduler.curve_model import SAME, Curve
from tunesmith.agent.scheduler.pausing import ENDING, MARKS, Resting, Tempo, resting_pays
from tunesmith.agent.scheduler.rules import Bound, diverged, percent, stalled
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.observation import Observation
from tunesmith.study.trials.results import incumbent
from tunesmith.study.trials.trial import FailureKind, Source, Trial, TrialState
from tunesmith.study.trials.view import Foretold, StudyView, same_run
from tunesmith.study.units import short_number

LOOK_AGAIN = 1.25
"""After a look at a trial's chance the next one is due when it has come so many times as far."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a trial ends now; `failure` when that makes it a failed one, not a stopped one."""

    note: str
    failure: FailureKind | None = None


@dataclass(slots=True)
class _Track:
    """What is kept of one trial: (step, value to be minimized, seconds since the epoch), and where it was looked at."""

    points: list[tuple[float, float, float]]
    looked_at: float = -math.inf


class Watch:
    """The curves of one study, kept up to date by the loop.

    Args:
        spec: the study.
        known: what an earlier run observed, by trial.
    """

    def __init__(self, spec: StudySpec, known: Mapping[int, Sequence[Observation]]) -> None:
        self._rules, self._objective = spec.stop, spec.objectives[0]
        self._metrics = spec.study.metric
        self._by_curves = spec.pace == "curves" and len(spec.objectives) == 1
        self._unit = spec.fidelity.name.removesuffix("s") if spec.fidelity else "step"
        self._most = spec.fidelity.max if spec.fidelity else 0.0
        self._bounds = [Bound(metric=r.metric, above=r.above, below=r.below, after=r.after) for r in spec.stop.rules]
        self._tracks: dict[int, _Track] = defaultdict(lambda: _Track([]))
        self._foresight: Foresight | None = None
        self._end = 0.0
        for number, observations in known.items():
            self._keep(number, observations)

    def began(self, trial: Trial, earlier: Sequence[Trial]) -> None:
        """Take it that a trial goes on where shorter runs of its configuration ended: it was looked at up to there."""
        reached = self._curve([t.number for t in earlier if t.number in self._tracks]).reached
        self._tracks[trial.number].looked_at = max(reached, 0.0) if earlier else -math.inf

    def saw(self, trial: Trial, news: Sequence[Observation]) -> None:
        """Take in what a running trial observed."""
        self._keep(trial.number, news)

    def forget(self, trial: Trial) -> None:
        """Drop a trial's curve: it runs again from its beginning."""
        self._tracks.pop(trial.number, None)

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
        return self._at_a_look(trial, view) if self._by_curves and trial.proposal.source is not Source.DEFAULT else None

    def foresight(self, trials: Sequence[Trial]) -> Foresight | None:
        """Return what the curves promise; None where the study does not stop by them."""
        return self._seen(trials) if self._by_curves else None

    def foretold(self, trials: Sequence[Trial]) -> dict[int, tuple[Foretold, ...]]:
        """Return what parts of curves said of their ends, by number; nothing as long as no trial was stopped."""
        if not self._by_curves or not any(t.state is TrialState.STOPPED for t in trials):
            return {}
        if self._foresight is None:
            self._foresight = self._seen(trials)
        return self._foresight.foretold()

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
        if patience is None or not stalled(self._curve([trial.number]).values, patience):
            return ""
        return f"no better {self._objective.metric} in {patience} reports"

    def _at_a_look(self, trial: Trial, view: Callable[[], StudyView]) -> Verdict | None:
        track = self._tracks[trial.number]
        reached = max((step for step, _, _ in track.points), default=-math.inf)
        if not math.isfinite(reached) or not (reached >= LOOK_AGAIN * track.looked_at or self._passed(track, reached)):
            return None
        seen = view()
        foresight = self._seen(seen.trials)
        curve, end = foresight.curve(trial), foresight.model.end
        if not curve.steps:
            return None
        where = f"{self._unit if end == self._most else 'step'} {curve.reached:g} of {end:g}"
        if diverged(curve.values[-1], foresight.full):
            value = f"{self._objective.metric} = {short_number(self._objective.sign * curve.values[-1])}"
            return Verdict(f"stopped at {where}: {value} has diverged, no complete trial came near it")
        passed = self._passed(track, curve.reached)
        track.looked_at = max(curve.reached, 0.0)
        if seen.left <= ENDING or not MARKS[0] * end * (1 - SAME) <= curve.reached < end * (1 - SAME):
            return None
        if not resting_pays(curve.reached, end, self._tempo(seen.trials)):
            return None
        verdict = self._hopeless(trial, seen, foresight, where)
        if verdict is not None or not passed:
            return verdict
        place = Resting(seen, foresight).rests(trial)
        return None if place is None else Verdict(f"rests at {where}: number {place.rank} of {place.count} there")

    def _passed(self, track: _Track, reached: float) -> bool:
        """Tell whether a mark was passed since the last look, as far as it is known how long a run is."""
        return any(track.looked_at < mark * self._end * (1 - SAME) <= reached for mark in MARKS)

    def _hopeless(self, trial: Trial, view: StudyView, foresight: Foresight, where: str) -> Verdict | None:
        best = incumbent(view.trials, view.objectives, view.constraints)
        if best is None or foresight.expect(trial) is None:
            return None
        chance = foresight.chance(trial, self._objective.sign * best.values[self._objective.metric])
        if chance >= self._rules.chance:
            return None
        return Verdict(f"stopped at {where}: {percent(chance)} chance to be best")

    # -- what it knows ------------------------------------------------------------------------------------------

    def _seen(self, trials: Sequence[Trial]) -> Foresight:
        curves: dict[int, Curve] = {}
        runs: dict[tuple[object, ...], list[int]] = defaultdict(list)
        for trial in trials:
            if trial.number in self._tracks and not trial.is_replicate:
                # A trial that goes on has one curve with what its configuration showed before.
                runs[same_run(trial)].append(trial.number)
                curves[trial.number] = self._curve(runs[same_run(trial)])
        foresight = Foresight(trials, curves, self._objective)
        self._end = foresight.model.end
        return foresight

    def _tempo(self, trials: Sequence[Trial]) -> Tempo | None:
        """Return how long trials take, from those that ran through at once; None without a clock."""
        starts, steps = [], []
        for trial in trials:
            points = self._tracks[trial.number].points if trial.number in self._tracks else []
            if trial.state is not TrialState.COMPLETE or len(points) < 2:  # noqa: PLR2004  # a pace needs two reports
                continue
            (first, _, since), (last, _, until) = points[0], points[-1]
            if last > first and until > since and trial.started_at is not None:
                steps.append((until - since) / (last - first))
                starts.append(max(since - trial.started_at - first * steps[-1], 0.0))
        kept = any(t.outcome is not None and t.outcome.artifacts for t in trials)
        return Tempo(median(starts), median(steps), keeps_files=kept) if steps else None

    def _keep(self, number: int, observations: Iterable[Observation]) -> None:
        name, sign = self._objective.metric, self._objective.sign
        self._tracks[number].points += [(o.step, sign * o.value, o.at) for o in observations if o.metric == name]

    def _curve(self, numbers: Sequence[int]) -> Curve:
        return Curve.of((step, value) for number in numbers for step, value, _ in self._tracks[number].points)
