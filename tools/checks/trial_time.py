"""Estimates from a dry run how long a full trial takes, and how many trials the budget allows. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from tunesmith.evaluator.preview.dry_run import DryRun
from tunesmith.evaluator.preview.output_survey import ProgressMark
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.trial import FailureKind
from tunesmith.study.units import short_number, short_seconds
from tunesmith.tools.checks.timing_checks import timed_table

UNITS = ("epoch", "round", "iter", "iteration", "step", "batch")
"""Units of progress lines, the ones that span a whole training first."""
MIN_STEPS = 2
"""Number of different steps that give a pace."""
MIN_LAST_STEP = 0.4
"""Smallest last step of a run that ended, as a part of its fidelity, if its steps count in units of the fidelity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialTime:
    """The estimated time of one full trial in seconds, None if nothing tells; and what it is derived from."""

    seconds: float | None
    basis: str


@dataclass(frozen=True, slots=True)
class _Pace:
    """Seconds per unit; how much was done at `at_s`; and for lines of output the unit and the total."""

    seconds: float
    done: float
    at_s: float
    unit: str = ""
    total: float = 0.0


def estimate_trial(spec: StudySpec, run: DryRun) -> TrialTime:
    """Return how long a trial at full fidelity will take."""
    wall_s = run.outcome.usage.wall_s
    if has_failed(run):
        return TrialTime(seconds=None, basis="not known, because the run failed")
    table = timed_table(spec)
    if table is not None and run.ended:
        basis = f"{table.launches} launches like the one of this check"
        return TrialTime(seconds=wall_s * table.launches, basis=basis)
    if spec.fidelity is None or run.fidelity is None:
        return TrialTime(seconds=wall_s, basis="measured") if run.ended else _from_marks(run)
    return _at_full_fidelity(spec.fidelity.name, spec.fidelity.max, run.fidelity, run)


def has_failed(run: DryRun) -> bool:
    """Return whether the run failed before its end; a run without the metric took as long as a trial takes."""
    return run.outcome.failure is not None and run.outcome.failure.kind is not FailureKind.NO_METRIC


def budget_text(spec: StudySpec, run: DryRun, trial_s: float) -> str:
    """Return how many trials fit into the hours of the budget, or how long its trials take."""
    hours, trials = spec.budget.hours, spec.budget.trials
    at_once = f"{run.slots} at once" if run.slots > 1 else "one at a time"
    if hours is not None:
        fitting = int(run.slots * hours * 3600 / trial_s) if trial_s > 0 else 0
        text = f"about {_rounded(fitting):,} full trials fit into {hours:g} hour{'s' if hours != 1 else ''}, {at_once}"
        return text if trials is None or trials > fitting else f"{text}; [budget].trials = {trials} ends it before"
    if trials is None:
        return ""
    rounds = -(-trials // run.slots)
    return f"{trials} full trials take about {short_seconds(rounds * trial_s)}, {at_once}"


def _rounded(count: int) -> int:
    """Return a number with two significant digits."""
    return count if count < 100 else int(float(f"{count:.1e}"))  # noqa: PLR2004  # two digits


def _at_full_fidelity(name: str, full: float, ran: float, run: DryRun) -> TrialTime:
    wall_s = run.outcome.usage.wall_s
    pace = _pace_of_marks(run.marks, total=ran) or _pace_of_steps(run, ran)
    if run.ended:
        if pace is None:
            basis = f"{short_number(ran, 3)} of {full:g} {name} took {short_seconds(wall_s)}; at most in proportion"
            return TrialTime(seconds=wall_s * full / ran, basis=basis)
        basis = f"{full:g} {name} at {short_seconds(pace.seconds)} each"
        return TrialTime(seconds=wall_s + pace.seconds * (full - ran), basis=basis)
    if pace is None:
        return _from_marks(run)
    counted = "" if pace.unit else f", if each reported step is one of {name}"
    basis = f"{full:g} {name} at {short_seconds(pace.seconds)} each{counted}"
    return TrialTime(seconds=pace.at_s + pace.seconds * (full - pace.done), basis=basis)


def _from_marks(run: DryRun) -> TrialTime:
    pace = _pace_of_marks(run.marks, total=None)
    if pace is None:
        more = f"--seconds {4 * run.limit_s:g} may show more"
        return TrialTime(seconds=None, basis=f"did not end within {run.limit_s:g} s; {more}")
    seconds = pace.at_s + pace.seconds * (pace.total - pace.done)
    basis = f"{pace.total:g} {pace.unit}s at {short_seconds(pace.seconds)} each, as its output counts them"
    return TrialTime(seconds=seconds, basis=basis)


def _pace_of_steps(run: DryRun, ran: float) -> _Pace | None:
    """Return the pace of reports whose steps may count in units of the fidelity; None if they do not."""
    last = max((step for _, step in run.steps), default=0.0)
    # Of a run that ended the last step is near the fidelity; counted from 0, it is one less.
    if last > 1.01 * ran or (run.ended and last < MIN_LAST_STEP * ran):
        return None
    return _pace(run.steps)


def _pace_of_marks(marks: Sequence[ProgressMark], *, total: float | None) -> _Pace | None:
    for unit in UNITS:
        chosen = [mark for mark in marks if mark.unit == unit and (total is None or mark.total == total)]
        if pace := _pace([(mark.at_s, float(mark.done)) for mark in chosen]):
            return replace(pace, unit=unit, total=float(chosen[-1].total))
    return None


def _pace(points: Sequence[tuple[float, float]]) -> _Pace | None:
    """Return the pace of points that never go back; None for fewer than two different ones."""
    firsts = {step: at_s for at_s, step in reversed(points)}
    if len(firsts) < MIN_STEPS or any(later < earlier for (_, earlier), (_, later) in pairwise(points)):
        return None
    first, last = min(firsts), max(firsts)
    return _Pace((firsts[last] - firsts[first]) / (last - first), last, firsts[last])
