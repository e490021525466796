"""Checks results of edited code that may not be real: numbers identical to another version's, and implausible gains."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.results import candidates, present_trials
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Trial, TrialState, Usage
from tunesmith.study.units import short_number

SUSPICIOUS_GAIN_FACTOR = 3.0
"""A gain this many times the spread of all earlier results (best to median) is run again before it counts."""

_MIN_CURVE_POINTS = 3
"""Equal curves with fewer points may be a coincidence."""

_MIN_DIGITS = 6
"""Equal values with fewer digits may be a coincidence, such as an accuracy on a hundred cases."""

TIMING_METRIC = re.compile(r"time|sec|speed|per_|throughput|mem|_ms$|_s$", re.IGNORECASE)
"""Names of metrics of time and memory, which differ between runs of the same code."""


def identical_run(trial: Trial, trials: Sequence[Trial], curves: Mapping[int, Sequence[float]]) -> Trial | None:
    """Return a trial of another version that reported exactly the same numbers on the same configuration and seed.

    Cf. "Unified functional hashing in automatic machine learning" (Gillard et al. 2023): code that computes the same
    numbers is the same code.

    Args:
        trial: the trial to check.
        trials: all trials of the study.
        curves: first metric during training, by trial number.

    Returns:
        The other trial; None without one, or when `trial` is not complete or ran the user's own code.
    """
    if trial.state is not TrialState.COMPLETE or not trial.proposal.code:
        return None
    for other in trials:
        is_other_version = other.number != trial.number and other.proposal.code != trial.proposal.code
        if is_other_version and other.state is TrialState.COMPLETE and same_setting(trial, other):
            curve, other_curve = list(curves.get(trial.number, ())), list(curves.get(other.number, ()))
            if curve == other_curve and _same_numbers(trial.values, other.values, len(curve)):
                return other
    return None


def has_many_digits(value: float) -> bool:
    """Return whether a value has enough digits that another run hits it only by computing the same."""
    return len(f"{abs(value):.12g}".replace(".", "")) >= _MIN_DIGITS


def same_setting(trial: Trial, other: Trial) -> bool:
    """Return whether two trials have the same seed, fidelity and values of the parameters that both have."""
    if (trial.proposal.seed, trial.proposal.fidelity) != (other.proposal.seed, other.proposal.fidelity):
        return False
    shared = set(trial.params) & set(other.params)
    return all(trial.params[name] == other.params[name] for name in shared)


def _same_numbers(values: Mapping[str, float], others: Mapping[str, float], curve_points: int) -> bool:
    """Compare all metrics but those of time and memory, which differ between runs of the same code."""
    names = {name for name in values if not TIMING_METRIC.search(name)}
    if names != {name for name in others if not TIMING_METRIC.search(name)} or not names:
        return False
    has_digits = any(has_many_digits(values[name]) for name in names)
    is_conclusive = curve_points >= _MIN_CURVE_POINTS or has_digits
    return is_conclusive and all(values[name] == others[name] for name in names)


def is_suspicious_gain(trial: Trial, outcome: Outcome, trials: Sequence[Trial], spec: StudySpec) -> bool:
    """Tell whether edited code reports a gain far beyond all earlier results, and nothing else measures it."""
    objective = spec.objectives[0]
    if not trial.proposal.code or not spec.trusts_edits or outcome.state is not TrialState.COMPLETE:
        return False
    ranked = candidates(present_trials(trials, spec.space), spec.objectives, spec.metric_constraints)
    if not ranked or objective.metric not in outcome.values:
        return False
    losses = [objective.sign * t.values[objective.metric] for t in ranked]
    gain = losses[0] - objective.sign * outcome.values[objective.metric]
    spread = max(losses[len(losses) // 2] - losses[0], 0.02 * abs(losses[0]))
    return gain > SUSPICIOUS_GAIN_FACTOR * spread


def resolve_rerun(first: Outcome, rerun: Outcome, trials: Sequence[Trial], spec: StudySpec) -> Outcome:
    """Return the outcome that counts after a suspicious gain was run again on another seed.

    It is the worse of the two. When the rerun keeps less than half of the gain, the trial fails as tampered.
    """
    objective = spec.objectives[0]
    name, sign = objective.metric, objective.sign
    usage = _add_usage(first.usage, rerun.usage)
    if rerun.state is not TrialState.COMPLETE or name not in rerun.values:
        return replace(rerun, usage=usage)
    present = present_trials(trials, spec.space)
    best = candidates(present, spec.objectives, spec.metric_constraints)[0].values[name]
    value, rerun_value = first.values[name], rerun.values[name]
    if sign * (best - rerun_value) <= 0.5 * sign * (best - value):
        reason = (
            f"{name} improved suspiciously much ({short_number(best)} to {short_number(value)}), and another seed did "
            f"not reproduce it ({short_number(rerun_value)})"
        )
        failure = Failure(kind=FailureKind.TAMPERED, reason=reason)
        return replace(rerun, state=TrialState.FAILED, failure=failure, usage=usage)
    worse = rerun if sign * rerun_value > sign * value or math.isnan(rerun_value) else first
    return replace(worse, usage=usage, artifacts=rerun.artifacts)


def _add_usage(first: Usage, second: Usage) -> Usage:
    """Return the usage of two runs, one after the other; peaks are those of the second."""
    energies = [usage.energy_j for usage in (first, second) if usage.energy_j is not None]
    return replace(
        second,
        wall_s=first.wall_s + second.wall_s,
        cpu_s=first.cpu_s + second.cpu_s,
        gpu_s=first.gpu_s + second.gpu_s,
        energy_j=sum(energies) if energies else None,
    )
