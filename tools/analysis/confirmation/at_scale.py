"""Whether the gain of a study's choice holds at a larger scale ([confirm].scale): runs, the ratio of gains, a verdict.

Stored as one event for each larger run; they are no trials, so no search learns from them. The gain over the default is
a part of the default's size, here and at scale, and the part of it that is kept is their ratio. Its interval comes from
draws of the four means by Student's t. Numbers in, words out; starts nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tunesmith.study.config.record import Event, usage_detail
from tunesmith.study.config.scaling import scale_text
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.formatting import count
from tunesmith.study.trials.replicates.seeds import is_fresh
from tunesmith.study.trials.results import baseline_trial
from tunesmith.study.trials.trial import Outcome, Trial, TrialState
from tunesmith.study.trials.view import Objective, objective_values
from tunesmith.study.trials.winner import leaderboard
from tunesmith.tools.analysis.confirmation.significance import Sample, sample
from tunesmith.tools.analysis.findings.figures import gain_text

SCALE_STARTED, SCALE_ENDED = "scale_started", "scale"
"""Kinds of the events that a larger run started and ended."""
HOLDS_FROM = 0.8
"""Part of the gain from which on it holds at scale."""
FAILS_BELOW = 0.5
"""Part of the gain that must be out of reach for a gain that may be none to count as not holding."""
_DRAWS = 20_000


class ScaleVerdict(StrEnum):
    """What becomes of a gain at the larger scale."""

    HOLDS = "holds at scale"
    SHRINKS = "shrinks"
    FAILS = "does not hold at scale"
    UNCLEAR = "not clear"
    NO_VALUE = "no value"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleResult:
    """One configuration at the larger scale, compared with the default there.

    Attributes:
        trial: the number of its trial.
        scale: what was larger, for people.
        gain: its gain over the default in the study, as a part of the default's size; None without values.
        gain_at_scale: the same at scale.
        kept: the part of the gain that is kept; None where there was no gain to keep.
        low: lower end of the 95% interval of `kept`; None for one run each, like `high`.
        high: upper end of it.
        seeds: number of larger runs of each that have a value.
        reason: why there is no value; "" where there is one.
    """

    trial: int
    scale: str
    verdict: ScaleVerdict
    gain: float | None = None
    gain_at_scale: float | None = None
    kept: float | None = None
    low: float | None = None
    high: float | None = None
    seeds: int = 0
    reason: str = ""

    @property
    def text(self) -> str:
        """The result as a sentence for people."""
        where = f"At scale ({self.scale})"
        if self.gain is None or self.gain_at_scale is None:
            return f"{where}, trial {self.trial} has no value: {self.reason}."
        figures = f"{gain_text(self.gain_at_scale)} than the default there, {gain_text(self.gain)} in the study"
        runs = f"{count(self.seeds, 'seed')} each" if self.seeds > 1 else "one run each, so no interval is known"
        return f"{where}, {_claim(self)}: {figures} ({runs})."


def scale_detail(trial: Trial, seed: int, scale: Mapping[str, Any], outcome: Outcome) -> dict[str, Any]:
    """Return the detail of the event that a larger run ended."""
    reason = f"{outcome.failure.kind.value}: {outcome.failure.reason}" if outcome.failure else outcome.note
    return {
        **scale_start_detail(trial, seed, scale),
        "state": outcome.state.value,
        "values": dict(outcome.values) if outcome.state is TrialState.COMPLETE else {},
        "reason": reason,
        "wall_s": outcome.usage.wall_s,
        **usage_detail(outcome.usage),
    }


def scale_start_detail(trial: Trial, seed: int, scale: Mapping[str, Any]) -> dict[str, Any]:
    """Return the detail of the event that a larger run started."""
    return {"trial": trial.number, "seed": seed, "scale": dict(scale)}


def scaled_trials(trials: Sequence[Trial], spec: StudySpec) -> list[Trial]:
    """Return what runs at the larger scale: the default, the study's choice, and the best without the choice's edit.

    [] where there is nothing to compare: no default, or the default is the choice.
    """
    default, ranked = baseline_trial(trials, spec), leaderboard(trials, spec)
    if default is None or not ranked or ranked[0].number == default.number:
        return []
    own = [t for t in ranked if not t.proposal.code and t.number != default.number]
    return [default, ranked[0], *(own[:1] if ranked[0].proposal.code else [])]


def scale_results(trials: Sequence[Trial], spec: StudySpec, events: Sequence[Event]) -> list[ScaleResult]:
    """Return what became of the study's gains at the scale that [confirm] has now; [] while nothing ran there."""
    scale = spec.confirm.scale if spec.confirm is not None else {}
    ended = [e.detail for e in events if e.kind == SCALE_ENDED and e.detail["scale"] == dict(scale)]
    compared = scaled_trials(trials, spec) if ended and scale else []
    if not compared:
        return []
    default, *others = compared
    objective = spec.objectives[0]
    return [_result(t, default, trials, ended, objective, scale_text(scale)) for t in others]


def scale_lines(trials: Sequence[Trial], spec: StudySpec, events: Sequence[Event]) -> list[str]:
    """Return each result as a sentence for people."""
    return [result.text for result in scale_results(trials, spec, events)]


def _result(
    trial: Trial,
    default: Trial,
    trials: Sequence[Trial],
    ended: Sequence[Mapping[str, Any]],
    objective: Objective,
    scale: str,
) -> ScaleResult:
    larger, reference = (_at_scale(t, ended, objective) for t in (trial, default))
    small, small_reference = (_in_study(t, trials, objective) for t in (trial, default))
    reason = _missing(larger, trial, ended) or _missing(reference, default, ended, "the default: ")
    if larger is None or reference is None or not (reference.mean and small_reference.mean):
        why = reason or "the default's value is 0, so no gain is a part of it"
        return ScaleResult(trial=trial.number, scale=scale, verdict=ScaleVerdict.NO_VALUE, reason=why)
    gain, there = _gain(small, small_reference, objective), _gain(larger, reference, objective)
    kept = there / gain if gain > 0 else None
    ends = None if kept is None else _kept_interval((small, small_reference), (larger, reference), objective)
    low, high = ends or (None, None)
    return ScaleResult(
        trial=trial.number,
        scale=scale,
        verdict=_verdict(kept, ends),
        gain=gain,
        gain_at_scale=there,
        kept=kept,
        low=low,
        high=high,
        seeds=min(larger.count, reference.count),
    )


def _missing(found: Sample | None, trial: Trial, ended: Sequence[Mapping[str, Any]], name: str = "") -> str:
    """Return why a configuration has no value at scale; "" if it has one."""
    if found is not None:
        return ""
    reasons = [detail["reason"] for detail in ended if detail["trial"] == trial.number and detail["reason"]]
    return f"{name}{reasons[-1] if reasons else 'it has not run yet'}"


def _verdict(kept: float | None, ends: tuple[float, float] | None) -> ScaleVerdict:
    """Return what a part of the gain means, with its interval where one is known."""
    if kept is None or (ends is None and kept <= 0):
        return ScaleVerdict.FAILS
    if ends is not None and ends[0] <= 0:
        return ScaleVerdict.FAILS if ends[1] < FAILS_BELOW else ScaleVerdict.UNCLEAR
    return ScaleVerdict.HOLDS if kept >= HOLDS_FROM else ScaleVerdict.SHRINKS


def _claim(found: ScaleResult) -> str:
    interval = f" [{found.low:.0%}, {found.high:.0%}]" if found.low is not None and found.high is not None else ""
    kept = f"{found.kept:.0%}{interval}" if found.kept is not None else ""
    if found.verdict is ScaleVerdict.HOLDS:
        return f"trial {found.trial} holds: {kept} of its gain is kept"
    if found.verdict is ScaleVerdict.SHRINKS:
        return f"the gain of trial {found.trial} shrinks to {kept}"
    if found.verdict is ScaleVerdict.FAILS:
        return f"trial {found.trial} does not hold{f' ({kept} of its gain)' if kept else ''}"
    return f"it is not clear whether trial {found.trial} holds ({kept} of its gain)"


def _at_scale(trial: Trial, ended: Sequence[Mapping[str, Any]], objective: Objective) -> Sample | None:
    values = {d["seed"]: d["values"][objective.metric] for d in ended if d["trial"] == trial.number and d["values"]}
    return sample([values[seed] for seed in sorted(values)])


def _in_study(trial: Trial, trials: Sequence[Trial], objective: Objective) -> Sample:
    """Return the configuration's values on fresh seeds, or its own where it ran on none."""
    repeats = [t for t in trials if t.proposal.replicate_of == trial.number and is_fresh(t.proposal.seed) and t.counts]
    values = [found[0] for t in repeats if (found := objective_values(t, (objective,))) is not None]
    found_values = sample(values) or sample([trial.values[objective.metric]])
    assert found_values is not None  # noqa: S101  # a leader's own value is finite
    return found_values


def _gain(candidate: Sample, reference: Sample, objective: Objective) -> float:
    """Return the gain as a part of the reference's size, which is not 0."""
    return objective.sign * (reference.mean - candidate.mean) / abs(reference.mean)


def _kept_interval(
    small: tuple[Sample, Sample], larger: tuple[Sample, Sample], objective: Objective
) -> tuple[float, float] | None:
    """Return the 95% interval of the part of the gain that is kept; None where the larger runs have one value each."""
    import numpy as np

    if larger[0].std is None or larger[1].std is None:
        return None
    rng = np.random.default_rng(0)

    def gains(pair: tuple[Sample, Sample]) -> Any:
        means = [
            s.mean + rng.standard_t(s.count - 1, _DRAWS) * s.std / np.sqrt(s.count)
            if s.std
            else np.full(_DRAWS, s.mean)
            for s in pair
        ]
        return objective.sign * (means[1] - means[0]) / abs(pair[1].mean)

    # A gain in the study that may be none makes the ratio unbounded, which the interval shows.
    before = gains(small)
    ratio = gains(larger) / np.where(before == 0, np.finfo(float).tiny, np.abs(before))
    low, high = np.quantile(ratio, [0.025, 0.975])
    return float(low), float(high)
