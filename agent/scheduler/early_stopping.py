"""Keeps the curves of running trials and decides which trials stop or pause early.

The rules are in rules.py, forecasts in curve_forecasts.py, pauses in pausing.py; here they are applied to a study.
Writes nothing.
"""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from tunesmith.agent.scheduler.curve_forecasts import CurveForecasts
from tunesmith.agent.scheduler.curve_model import STEP_TOLERANCE, Curve
from tunesmith.agent.scheduler.pausing import LAST_FULL_RUNS, PAUSE_POINTS, Pausing, TrialPace, is_worth_pausing
from tunesmith.agent.scheduler.rules import Bound, diverged, percent, stalled
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.trial import FailureKind, Source, Trial, TrialState
from tunesmith.study.trials.view import ForecastPoint, StudyView, run_key
from tunesmith.study.trials.winner import incumbent
from tunesmith.study.units import short_number

CHECK_GROWTH = 1.25
"""Factor by which the last step must have grown since a trial's last check for the next check."""


@dataclass(frozen=True, slots=True)
class StopDecision:
    """Why a trial ends now; with `failure` it counts as failed, without as stopped."""

    note: str
    failure: FailureKind | None = None


@dataclass(slots=True)
class _Track:
    """The points of a trial in order of reporting, each number in 8 bytes, and the step of its last check.

    Attributes:
        steps: the step of each point.
        values: its value, to be minimized.
        times: when it was reported, in seconds since the epoch.
        reached: the largest step.
        checked_at: the step of the last check.
    """

    steps: array[float] = field(default_factory=lambda: array("d"))
    values: array[float] = field(default_factory=lambda: array("d"))
    times: array[float] = field(default_factory=lambda: array("d"))
    reached: float = -math.inf
    checked_at: float = -math.inf

    def add(self, step: float, value: float, at: float) -> None:
        """Add a point."""
        self.steps.append(step)
        self.values.append(value)
        self.times.append(at)
        self.reached = max(self.reached, step)


class EarlyStopping:
    """The curves of one study and the decisions that follow from them; the loop keeps them up to date.

    Args:
        spec: the study.
        known: the observations of earlier runs of the study, by trial number.
    """

    def __init__(self, spec: StudySpec, known: Mapping[int, Sequence[Observation]]) -> None:
        self._rules, self._objective = spec.stop, spec.objectives[0]
        self._metrics = spec.study.metric
        # Curves on different instances cannot be compared.
        self._by_curves = spec.schedule_kind == "curves" and len(spec.objectives) == 1 and spec.instances is None
        self._unit = spec.fidelity.name.removesuffix("s") if spec.fidelity else "step"
        self._max_fidelity = spec.fidelity.max if spec.fidelity else 0.0
        self._bounds = [Bound(metric=r.metric, above=r.above, below=r.below, after=r.after) for r in spec.stop.rules]
        self._tracks: dict[int, _Track] = defaultdict(_Track)
        self._forecasts: CurveForecasts | None = None
        self._end = 0.0
        for number, observations in known.items():
            self._keep(number, observations)

    def trial_started(self, trial: Trial, earlier: Sequence[Trial]) -> None:
        """Note that a trial starts; `earlier` are shorter runs of its configuration, up to which it was checked."""
        reached = self._curve([t.number for t in earlier if t.number in self._tracks]).reached
        self._tracks[trial.number].checked_at = max(reached, 0.0) if earlier else -math.inf

    def observe(self, trial: Trial, new: Sequence[Observation]) -> None:
        """Add observations of a running trial."""
        self._keep(trial.number, new)

    def forget(self, trial: Trial) -> None:
        """Drop the curve of a trial that runs again from its beginning."""
        self._tracks.pop(trial.number, None)

    def restore(self, curves: Mapping[int, Sequence[Observation]]) -> None:
        """Take up the curves of trials that count again, by number."""
        for number, observations in curves.items():
            self._keep(number, observations)
        self._forecasts = None

    def trial_ended(self) -> None:
        """Note that a trial ended, so that forecasts are computed anew."""
        self._forecasts = None

    def stop_decision(
        self, trial: Trial, new: Sequence[Observation], view: Callable[[], StudyView]
    ) -> StopDecision | None:
        """Return why a running trial should end now; None if it continues.

        Replicates end only because of values that are not finite.

        Args:
            trial: the trial.
            new: its observations since the last call; `observe` has them already.
            view: makes the view of the study; it is called only if the decision needs it.
        """
        broken = self._not_finite(new)
        if broken is not None or trial.is_replicate:
            return broken
        reason = self._broken_bound(new) or self._stall(trial)
        if reason:
            return StopDecision(f"stopped by [stop]: {reason}")
        if not self._by_curves or trial.proposal.source is Source.DEFAULT:
            return None
        return self._check(trial, view) if self._is_check_due(trial) else None

    def forecasts(self, trials: Sequence[Trial]) -> CurveForecasts | None:
        """Return the curve forecasts of the trials; None if the study does not stop by curves."""
        return self._forecast(trials) if self._by_curves else None

    def pseudo_observations(self, trials: Sequence[Trial]) -> dict[int, tuple[ForecastPoint, ...]]:
        """Return the curve forecasts for the sampler, by trial number; none before the first trial was stopped."""
        if not self._by_curves or not any(t.state is TrialState.STOPPED for t in trials):
            return {}
        if self._forecasts is None:
            self._forecasts = self._forecast(trials)
        return self._forecasts.pseudo_observations()

    # -- rules ----------------------------------------------------------------------------------------------------

    def _not_finite(self, new: Sequence[Observation]) -> StopDecision | None:
        if not self._rules.nan:
            return None
        bad = next((o for o in new if o.metric in self._metrics and not math.isfinite(o.value)), None)
        if bad is None:
            return None
        note = f"{bad.metric} was {bad.value} at step {bad.step:g}; ended at once ([stop].nan)"
        return StopDecision(note, FailureKind.NAN)

    def _broken_bound(self, new: Iterable[Observation]) -> str:
        reasons = (b.broken_by(o.step, o.value) for o in new for b in self._bounds if b.metric == o.metric)
        return next((reason for reason in reasons if reason), "")

    def _stall(self, trial: Trial) -> str:
        patience = self._rules.patience
        if patience is None or not stalled(self._curve([trial.number]).values, patience):
            return ""
        return f"no better {self._objective.metric} in {patience} reports"

    # -- checks by curve forecasts ----------------------------------------------------------------------------------

    def _is_check_due(self, trial: Trial) -> bool:
        track = self._tracks[trial.number]
        if not math.isfinite(track.reached):
            return False
        return track.reached >= CHECK_GROWTH * track.checked_at or self._passed_pause_point(track, track.reached)

    def _check(self, trial: Trial, make_view: Callable[[], StudyView]) -> StopDecision | None:
        view = make_view()
        forecasts = self._forecast(view.trials)
        curve, end = forecasts.curve(trial), forecasts.model.end
        if not curve.steps:
            return None
        where = f"{self._unit if end == self._max_fidelity else 'step'} {curve.reached:g} of {end:g}"
        if diverged(curve.values[-1], forecasts.complete_values):
            value = f"{self._objective.metric} = {short_number(self._objective.sign * curve.values[-1])}"
            return StopDecision(f"stopped at {where}: {value} has diverged, no complete trial came near it")
        track = self._tracks[trial.number]
        at_pause_point = self._passed_pause_point(track, curve.reached)
        track.checked_at = max(curve.reached, 0.0)
        if not self._may_stop(curve.reached, end, view):
            return None
        hopeless = self._hopeless(trial, view, forecasts, where)
        if hopeless is not None or not at_pause_point:
            return hopeless
        rank = Pausing(view, forecasts).pause_rank(trial)
        return None if rank is None else StopDecision(f"paused at {where}: rank {rank.position} of {rank.count} there")

    def _may_stop(self, reached: float, end: float, view: StudyView) -> bool:
        """Return whether a trial may stop or pause here: past the first pause point, before the end, with a gain."""
        if view.runs_left <= LAST_FULL_RUNS:
            return False
        if not PAUSE_POINTS[0] * end * (1 - STEP_TOLERANCE) <= reached < end * (1 - STEP_TOLERANCE):
            return False
        return is_worth_pausing(reached, end, self._pace(view.trials))

    def _passed_pause_point(self, track: _Track, reached: float) -> bool:
        """Return whether the trial passed a pause point since its last check; the length is that of known runs."""
        return any(track.checked_at < point * self._end * (1 - STEP_TOLERANCE) <= reached for point in PAUSE_POINTS)

    def _hopeless(self, trial: Trial, view: StudyView, forecasts: CurveForecasts, where: str) -> StopDecision | None:
        best = incumbent(view.trials, view)
        if best is None or forecasts.forecast(trial) is None:
            return None
        chance = forecasts.p_below(trial, self._objective.sign * best.values[self._objective.metric])
        if chance >= self._rules.chance:
            return None
        return StopDecision(f"stopped at {where}: {percent(chance)} chance to be best")

    # -- curves and times -------------------------------------------------------------------------------------------

    def _forecast(self, trials: Sequence[Trial]) -> CurveForecasts:
        curves: dict[int, Curve] = {}
        runs: dict[tuple[object, ...], list[int]] = defaultdict(list)
        for trial in trials:
            if trial.number in self._tracks and not trial.is_replicate:
                # A resumed trial shares one curve with the earlier runs of its configuration.
                runs[run_key(trial)].append(trial.number)
                curves[trial.number] = self._curve(runs[run_key(trial)])
        forecasts = CurveForecasts(trials, curves, self._objective)
        self._end = forecasts.model.end
        return forecasts

    def _pace(self, trials: Sequence[Trial]) -> TrialPace | None:
        """Return the median pace of the complete trials; None while no trial has two reports at different times."""
        starts, steps = [], []
        for trial in trials:
            track = self._tracks.get(trial.number)
            if trial.state is not TrialState.COMPLETE or track is None or not track.steps:
                continue
            first, last, since, until = track.steps[0], track.steps[-1], track.times[0], track.times[-1]
            if last > first and until > since and trial.started_at is not None:
                steps.append((until - since) / (last - first))
                starts.append(max(since - trial.started_at - first * steps[-1], 0.0))
        keeps_files = any(t.outcome is not None and t.outcome.artifacts for t in trials)
        return TrialPace(median(starts), median(steps), keeps_files=keeps_files) if steps else None

    def _keep(self, number: int, observations: Iterable[Observation]) -> None:
        name, sign = self._objective.metric, self._objective.sign
        track = self._tracks[number]
        for o in observations:
            if o.metric == name:
                track.add(o.step, sign * o.value, o.at)

    def _curve(self, numbers: Sequence[int]) -> Curve:
        tracks = [self._tracks[number] for number in numbers]
        return Curve.from_points(point for track in tracks for point in zip(track.steps, track.values, strict=True))
