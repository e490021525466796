"""Finds edited code that trains longer than the code it was made from: more seconds or more steps at equal settings.

A gain by training longer says nothing about an edit. Seconds vary from run to run, so an edit may take a tenth more,
and what equal runs differ by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tunesmith.study.trials.trial import Outcome, Trial, TrialState
from tunesmith.study.units import short_number, short_seconds
from tunesmith.study.variant import Variant, short_id

ALLOWED_SHARE = 1.1
"""Seconds and steps of edited code, as a share of those of the code that it was made from."""
CPU_SLACK_S = 0.5
"""CPU seconds that starting a process takes more or less."""
BUSY_MACHINE_SHARE = 1.5
"""Wall seconds, as such a share, on a machine that is busier than before."""
WALL_SLACK_S = 1.0
"""Wall seconds that starting a trial takes more or less."""

_MIN_EQUAL_STEPS = 2
"""Trials with the same last step that show that the settings decide it, not the clock."""


def longer_training(
    trial: Trial,
    outcome: Outcome,
    trials: Sequence[Trial],
    variants: Mapping[str, Variant],
    last_steps: Mapping[int, float],
) -> str:
    """Return how a complete trial of edited code trained longer than it may; "" if it did not, or nothing compares.

    Args:
        trial: the trial that has ended.
        outcome: its outcome.
        trials: all trials of the study.
        variants: every version of the code, by id.
        last_steps: the last step that each trial reported, by number.
    """
    if not trial.proposal.code or outcome.state is not TrialState.COMPLETE or trial.proposal.parent is not None:
        return ""
    complete = [t for t in trials if t.state is TrialState.COMPLETE and t.outcome and t.number != trial.number]
    for code in _ancestors(trial.proposal.code, variants):
        of_code = [t for t in complete if t.proposal.code == code and t.proposal.parent is None]
        equal = [t for t in of_code if _same_settings(t, trial)]
        if reason := _more_steps(trial, of_code, equal, last_steps) or _more_seconds(outcome, equal):
            whose = short_id(code) or "your code"
            return f"{reason} of {whose} at the same settings; an edit may not train longer ([edits] time)"
        if equal:
            return ""
    return ""


def _ancestors(code: str, variants: Mapping[str, Variant]) -> list[str]:
    """Return the code that a version descends from: the user's own, then the oldest edit, up to its parent."""
    found: list[str] = []
    variant = variants.get(code)
    while variant is not None and variant.parent is not None and len(found) < len(variants):
        parent = variants.get(variant.parent)
        found.append(variant.parent if parent is not None and parent.is_edited else "")
        variant = parent
    return found[::-1]


def _same_settings(trial: Trial, other: Trial) -> bool:
    if trial.proposal.fidelity != other.proposal.fidelity:
        return False
    shared = set(trial.params) & set(other.params)
    return all(trial.params[name] == other.params[name] for name in shared)


def _more_steps(trial: Trial, of_code: Sequence[Trial], equal: Sequence[Trial], last_steps: Mapping[int, float]) -> str:
    """Compare last steps where the settings decide them; a script that trains by the clock may do more in its time."""
    same_fidelity = [t for t in of_code if t.proposal.fidelity == trial.proposal.fidelity]
    known = [last_steps[t.number] for t in same_fidelity if t.number in last_steps]
    compared = [last_steps[t.number] for t in equal if t.number in last_steps]
    own = last_steps.get(trial.number)
    if own is None or not compared or len(known) < _MIN_EQUAL_STEPS or len(set(known)) > 1:
        return ""
    if own <= ALLOWED_SHARE * max(compared):
        return ""
    return f"it trained to step {short_number(own)}, beyond the {short_number(max(compared))}"


def _more_seconds(outcome: Outcome, equal: Sequence[Trial]) -> str:
    usages = [t.outcome.usage for t in equal if t.outcome]
    if not usages:
        return ""
    cpu, wall = [u.cpu_s for u in usages], [u.wall_s for u in usages]
    if outcome.usage.cpu_s > _limit(cpu, ALLOWED_SHARE, CPU_SLACK_S):
        return f"it took {short_seconds(outcome.usage.cpu_s)} of CPU time, more than the {short_seconds(max(cpu))}"
    if outcome.usage.wall_s > _limit(wall, BUSY_MACHINE_SHARE, WALL_SLACK_S):
        return f"it took {short_seconds(outcome.usage.wall_s)}, more than the {short_seconds(max(wall))}"
    return ""


def _limit(seconds: Sequence[float], share: float, slack: float) -> float:
    return share * max(seconds) + slack + max(seconds) - min(seconds)
