"""Results of edited code that are not taken at face value: the same as another's, or too good to be true."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.results import candidates
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Trial, TrialState, Usage
from tunesmith.study.units import short_number

SUSPICIOUS_GAIN_FACTOR = 3.0
"""A gain that is so many times as large as all that the study knew before is run again before it counts."""

_ENOUGH = 3
_DIGITS = 6
_CLOCKS = re.compile(r"time|sec|speed|per_|throughput|mem|_ms$|_s$", re.IGNORECASE)


def identical_run(trial: Trial, trials: Sequence[Trial], curves: Mapping[int, Sequence[float]]) -> Trial | None:
    """Return an earlier trial of other code that reported the very same numbers on the same configuration and seed.

    Cf. "Unified functional hashing in automatic machine learning" (Gillard et al. 2023): what computes the same, to
    the last digit, is the same.

    Args:
        trial: a complete one.
        trials: all of the study's.
        curves: the first metric of each trial while it trained, by number.
    """
    if trial.state is not TrialState.COMPLETE or not trial.proposal.code:
        return None
    for other in trials:
        is_pair = other.number != trial.number and other.proposal.code != trial.proposal.code
        if is_pair and other.state is TrialState.COMPLETE and _same_setting(trial, other):
            curve, its_curve = list(curves.get(trial.number, ())), list(curves.get(other.number, ()))
            if curve == its_curve and _same_numbers(trial.values, other.values, len(curve)):
                return other
    return None


def _same_setting(trial: Trial, other: Trial) -> bool:
    if (trial.proposal.seed, trial.proposal.fidelity) != (other.proposal.seed, other.proposal.fidelity):
        return False
    shared = set(trial.params) & set(other.params)
    return all(trial.params[name] == other.params[name] for name in shared)


def _same_numbers(values: Mapping[str, float], others: Mapping[str, float], points: int) -> bool:
    told = {name for name in values if not _CLOCKS.search(name)}
    if told != {name for name in others if not _CLOCKS.search(name)} or not told:
        return False
    # Coarse numbers, such as an accuracy on a hundred cases, may agree by chance.
    telling = points >= _ENOUGH or any(len(f"{abs(values[name]):.12g}".replace(".", "")) >= _DIGITS for name in told)
    return telling and all(values[name] == others[name] for name in told)


def is_suspicious_gain(trial: Trial, outcome: Outcome, trials: Sequence[Trial], spec: StudySpec) -> bool:
    """Tell whether edited code reports a gain that nothing in the study makes plausible, where no judge decides."""
    objective = spec.objectives[0]
    if not trial.proposal.code or spec.evaluate is not None or outcome.state is not TrialState.COMPLETE:
        return False
    able = candidates(trials, spec.objectives, spec.bounds)
    if not able or objective.metric not in outcome.values:
        return False
    losses = [objective.sign * t.values[objective.metric] for t in able]
    gain = losses[0] - objective.sign * outcome.values[objective.metric]
    known = max(losses[len(losses) // 2] - losses[0], 0.02 * abs(losses[0]))
    return gain > SUSPICIOUS_GAIN_FACTOR * known


def resolve_rerun(first: Outcome, again: Outcome, trials: Sequence[Trial], spec: StudySpec) -> Outcome:
    """Return what a doubtful result counts for, now that it ran again on another seed: the worse of the two.

    One that does not come back is no result but tampering, or luck.
    """
    objective = spec.objectives[0]
    name, sign = objective.metric, objective.sign
    usage = _together(first.usage, again.usage)
    if again.state is not TrialState.COMPLETE or name not in again.values:
        return replace(again, usage=usage)
    best = candidates(trials, spec.objectives, spec.bounds)[0].values[name]
    one, two = first.values[name], again.values[name]
    if sign * (best - two) <= 0.5 * sign * (best - one):
        reason = (
            f"{name} fell out of all proportion ({short_number(best)} to {short_number(one)}) and did not come back on "
            f"another seed ({short_number(two)})"
        )
        failure = Failure(kind=FailureKind.TAMPERED, reason=reason)
        return replace(again, state=TrialState.FAILED, failure=failure, usage=usage)
    worse = again if sign * two > sign * one or math.isnan(two) else first
    return replace(worse, usage=usage, artifacts=again.artifacts)


def _together(first: Usage, again: Usage) -> Usage:
    """Return what two runs of one trial used, one after the other; peaks are the second's."""
    energies = [usage.energy_j for usage in (first, again) if usage.energy_j is not None]
    return replace(
        again,
        wall_s=first.wall_s + again.wall_s,
        cpu_s=first.cpu_s + again.cpu_s,
        gpu_s=first.gpu_s + again.gpu_s,
        energy_j=sum(energies) if energies else None,
    )
