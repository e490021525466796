"""Finds edited code that trains longer than the code it was made from, by what the load of the machine does not change.

A gain by training longer says nothing about an edit. Steps and tokens decide where the settings decide them. CPU
seconds come next; shared caches and cores make even them vary by a third, so they only raise a suspicion, which a run
of both versions next to each other confirms. Wall seconds count on a GPU, and where a trial does not compute.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tunesmith.study.trials.trial import Outcome, Trial, TrialState, Usage
from tunesmith.study.units import short_number, short_seconds
from tunesmith.study.variant import Variant, short_id

ALLOWED_SHARE = 1.1
"""Seconds, steps and tokens of edited code, as a share of those of the code that it was made from."""
CPU_SLACK_S = 0.25
"""CPU seconds that starting a process takes more or less at another time."""
PAIR_SHARE, PAIR_SLACK_S = 1.2, 0.1
"""The same two for runs next to each other, whose CPU seconds differ by up to a tenth: nobody is accused of noise."""
WALL_SLACK_S = 1.0
"""Wall seconds that starting a trial takes more or less."""

_WAITING_SHARE = 0.1
"""CPU seconds per wall second up to which a trial waits for something else, such as a GPU that Tunesmith does not see.

A trial that computes gets more than this on a machine with ten times as much work as it has cores.
"""
_EQUAL_WALL_SHARE = 1.05
"""Longest by shortest wall seconds of trials that train until a time is up."""
_UNEQUAL_CPU_SHARE = 1.15
"""Largest by smallest CPU seconds that such trials got in this time on a machine with other work."""
_MIN_KNOWN = 2
"""Trials with the same amount of training that show that the settings decide it, not the clock."""
_AMOUNT = re.compile(
    r"(^|[/_])(tokens|samples|examples|images|sequences|updates|flops)(_(seen|trained|processed))?$", re.IGNORECASE
)
"""Names of reported metrics that count what a trial has trained on."""
_RULE = "an edit may not train longer ([edits] time)"


@dataclass(frozen=True, slots=True, kw_only=True)
class LongerTraining:
    """How a trial of edited code trained longer than it may.

    Attributes:
        reason: for people and the model.
        compared: a trial of the code before it.
        is_certain: whether the load of the machine cannot be the cause.
    """

    reason: str
    compared: Trial
    is_certain: bool


def longer_training(
    trial: Trial,
    outcome: Outcome,
    trials: Sequence[Trial],
    variants: Mapping[str, Variant],
    last_steps: Mapping[int, float],
) -> LongerTraining | None:
    """Return how a complete trial of edited code trained longer than it may; None if it did not, or nothing compares.

    It is compared with trials at the same settings; the first trial of a version without any, with all trials of the
    user's code.

    Args:
        trial: the trial that has ended.
        outcome: its outcome.
        trials: all trials of the study.
        variants: every version of the code, by id.
        last_steps: the last step that each trial reported, by number.
    """
    if not trial.proposal.code or outcome.state is not TrialState.COMPLETE or trial.proposal.parent is not None:
        return None
    own = replace(trial, state=outcome.state, outcome=outcome)
    codes = _ancestors(trial.proposal.code, variants)
    by_code = {code: [t for t in trials if _compares(t, trial) and t.proposal.code == code] for code in codes}
    for known in by_code.values():
        equal = [t for t in known if _same_settings(t, trial)]
        if equal and (reason := _more_training(own, known, equal, last_steps)):
            return _found(equal[-1], reason, "at the same settings", is_certain=True)
        if equal:
            return _more_time(own, known, equal, "at the same settings")
    if any(t.proposal.code == trial.proposal.code and _compares(t, trial) for t in trials):
        # The version ran before; heavier settings of a later trial are tuning, not the edit.
        return None
    known = by_code[codes[0]] if codes else []
    return _more_time(own, known, known, "at any settings") if known else None


def confirmed_text(edited: Usage, before: Usage, code: str) -> str:
    """Return how edited code trained longer than the code before it in runs next to each other; "" if it did not.

    More threads use more CPU seconds in the same time; that is not training longer.

    Args:
        edited: what the edited code used.
        before: what the code before it used, at the same settings.
        code: the id of the code before it; "" for the user's own.
    """
    more = _more_seconds(edited, [before], share=PAIR_SHARE, cpu_slack_s=PAIR_SLACK_S)
    if not more or edited.wall_s <= before.wall_s:
        return ""
    return f"{more} of {_name(code)} in a run next to it at the same settings; {_RULE}"


def limit_text(trials: Sequence[Trial]) -> str:
    """Return how long edited code may train, for the model; `trials` are those of the user's own code."""
    ran = [t.outcome.usage.cpu_s for t in trials if t.state is TrialState.COMPLETE and t.outcome is not None]
    known = sorted(seconds for seconds in ran if seconds)
    spread = " to ".join(dict.fromkeys(map(short_seconds, (known[0], known[-1])))) if known else ""
    took = f", which took {spread} of CPU" if spread else ""
    return (
        f"no more steps, tokens or seconds than your starting code at the same settings{took}; an edit with over "
        f"{PAIR_SHARE:g} times its CPU seconds in a run next to it fails"
    )


def _ancestors(code: str, variants: Mapping[str, Variant]) -> list[str]:
    """Return the code that a version descends from: the user's own, then the oldest edit, up to its parent."""
    found: list[str] = []
    variant = variants.get(code)
    while variant is not None and variant.parent is not None and len(found) < len(variants):
        parent = variants.get(variant.parent)
        found.append(variant.parent if parent is not None and parent.is_edited else "")
        variant = parent
    return found[::-1]


def _compares(other: Trial, trial: Trial) -> bool:
    """Return whether a trial is complete, trained from its start, and at the fidelity of the trial."""
    is_whole = other.state is TrialState.COMPLETE and other.outcome is not None and other.proposal.parent is None
    return is_whole and other.number != trial.number and other.proposal.fidelity == trial.proposal.fidelity


def _same_settings(trial: Trial, other: Trial) -> bool:
    shared = set(trial.params) & set(other.params)
    return all(trial.params[name] == other.params[name] for name in shared)


def _found(other: Trial, text: str, where: str, *, is_certain: bool) -> LongerTraining:
    reason = f"{text} of {_name(other.proposal.code)} {where}"
    return LongerTraining(reason=f"{reason}; {_RULE}" if is_certain else reason, compared=other, is_certain=is_certain)


def _name(code: str) -> str:
    return short_id(code) or "your code"


# -- amounts ------------------------------------------------------------------------------------------------------


def _more_training(own: Trial, known: Sequence[Trial], equal: Sequence[Trial], last_steps: Mapping[int, float]) -> str:
    """Return how a trial did more steps, or trained on more tokens or samples, than its settings say; "" if not."""
    steps = _decided([last_steps.get(t.number) for t in known], [last_steps.get(t.number) for t in equal])
    done = last_steps.get(own.number)
    if steps is not None and done is not None and done > ALLOWED_SHARE * steps:
        return f"it trained to step {short_number(done)}, beyond the {short_number(steps)}"
    for name in sorted(filter(_AMOUNT.search, own.values)):
        amount = _decided([t.values.get(name) for t in known], [t.values.get(name) for t in equal])
        if amount is not None and own.values[name] > ALLOWED_SHARE * amount:
            return f"it reported {name} = {short_number(own.values[name])}, more than the {short_number(amount)}"
    return ""


def _decided(known: Sequence[float | None], equal: Sequence[float | None]) -> float | None:
    """Return the amount of training that the settings decide; None where it is not known, or the clock decides it.

    Args:
        known: the amounts of all trials of a version, replicates included.
        equal: those at the same settings.
    """
    for amounts in (equal, known):
        values = [value for value in amounts if value is not None]
        if len(values) >= _MIN_KNOWN:
            return values[-1] if len(set(values)) == 1 else None
    return None


# -- seconds ------------------------------------------------------------------------------------------------------


def _more_time(own: Trial, known: Sequence[Trial], equal: Sequence[Trial], where: str) -> LongerTraining | None:
    assert own.outcome is not None  # noqa: S101  # it is complete
    usage = own.outcome.usage
    more = _more_seconds(usage, _usages(equal))
    if not more or _is_by_the_clock(usage, _usages(known)):
        return None
    return _found(equal[-1], more, where, is_certain=False)


def _usages(trials: Sequence[Trial]) -> list[Usage]:
    return [t.outcome.usage for t in trials if t.outcome]


def _more_seconds(
    usage: Usage, others: Sequence[Usage], *, share: float = ALLOWED_SHARE, cpu_slack_s: float = CPU_SLACK_S
) -> str:
    """Return how a run took more seconds than it may; "" if it did not.

    Wall seconds are compared for runs on a GPU, CPU seconds for others, and both for runs that do not compute.
    """
    seconds, walls = [other.cpu_s for other in others], [other.wall_s for other in others]
    if not usage.gpu_s and usage.cpu_s > _limit(seconds, share, cpu_slack_s):
        return f"it took {short_seconds(usage.cpu_s)} of CPU time, more than the {short_seconds(max(seconds))}"
    if all(_waits(run) for run in (usage, *others)) and usage.wall_s > _limit(walls, share, WALL_SLACK_S):
        return f"it took {short_seconds(usage.wall_s)}, more than the {short_seconds(max(walls))}"
    return ""


def _waits(usage: Usage) -> bool:
    return usage.gpu_s > 0.0 or usage.cpu_s <= _WAITING_SHARE * usage.wall_s


def _limit(seconds: Sequence[float], share: float, slack: float) -> float:
    """Return how long an edit may take: a share of what other runs take, and what equal ones differ by."""
    return share * max(seconds) + slack + max(seconds) - min(seconds)


def _is_by_the_clock(usage: Usage, known: Sequence[Usage]) -> bool:
    """Return whether trials train until a wall time is up, and this one did too.

    They take equally long, however many CPU seconds the machine had for them.
    """
    walls, cpus = [u.wall_s for u in known], [u.cpu_s for u in known]
    if len(known) < _MIN_KNOWN or min(walls) <= 0.0 or min(cpus) <= 0.0:
        return False
    is_clocked = max(walls) <= _EQUAL_WALL_SHARE * min(walls) and max(cpus) > _UNEQUAL_CPU_SHARE * min(cpus)
    return is_clocked and min(walls) / _EQUAL_WALL_SHARE <= usage.wall_s <= _EQUAL_WALL_SHARE * max(walls)
