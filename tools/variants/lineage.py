"""Where a gain came from: the way from the default through each edit, and each edit's difference to its parent.

An edit and the settings it was written for are one move: its first trial is compared with its parent's trial on the
same seed. What later trials of a version gained is tuning. Pure functions of trials and variants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.variant import Variant, unified_diff


@dataclass(frozen=True, slots=True)
class FirstPair:
    """The first trial of a version, and the trial of its parent that it is compared with."""

    first: Trial
    paired: Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class GainStep:
    """One step on the way from the default to a trial.

    Attributes:
        code: the version that the step ends at; "" for the user's own code.
        is_edit: whether the code changed; otherwise only the configuration did.
        before: the metric before the step, in its own units.
        after: the metric after it.
        trial: the number of the trial that the step ends at.
    """

    code: str
    is_edit: bool
    before: float
    after: float
    trial: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EditStep:
    """One edit on the way from the user's code to a version: its diff, and whether it is the first one."""

    variant: Variant
    diff: str
    is_first: bool


def edit_steps(variant: Variant, variants: Sequence[Variant]) -> list[EditStep]:
    """Return the edits that a version consists of, from the user's code on, each as a diff on the one before."""
    known = {v.id: v for v in variants}
    chain: list[Variant] = []
    step: Variant | None = variant
    while step is not None and step.is_edited:
        chain.append(step)
        step = known.get(step.parent or "")
    steps: list[EditStep] = []
    for made in reversed(chain):
        before = known[made.parent or ""].files if (made.parent or "") in known else {}
        diff = unified_diff(before, made.files)
        steps.append(EditStep(variant=made, diff=diff, is_first=not steps))
    return steps


def parent_code(variant: Variant, variants: Mapping[str, Variant]) -> str:
    """Return the edited version that a version was made from; "" for the user's own code."""
    parent = variants.get(variant.parent or "")
    return parent.id if parent is not None and parent.is_edited else ""


def first_pair(variant: Variant, trials: Sequence[Trial], variants: Mapping[str, Variant]) -> FirstPair | None:
    """Return the first trial of a version with its pair on the same seed; None where one is missing or incomplete."""
    own = [t for t in trials if t.proposal.code == variant.id and not t.is_replicate]
    if not own or own[0].state is not TrialState.COMPLETE:
        return None
    first, parent = own[0], parent_code(variant, variants)
    same = [
        t
        for t in trials
        if t.proposal.code == parent
        and t.number < first.number
        and t.state is TrialState.COMPLETE
        and not t.is_replicate
        and (t.proposal.seed, t.proposal.fidelity) == (first.proposal.seed, first.proposal.fidelity)
    ]
    return FirstPair(first, same[-1]) if same else None


def gain_steps(
    best: Trial, default: Trial, trials: Sequence[Trial], variants: Mapping[str, Variant], metric: str
) -> list[GainStep]:
    """Return the steps from the default to the best trial; [] where the way cannot be followed.

    Steps of tuning that changed nothing are left out.
    """
    pairs: list[FirstPair] = []
    code = best.proposal.code
    while code:
        variant = variants.get(code)
        pair = first_pair(variant, trials, variants) if variant is not None else None
        if variant is None or pair is None:
            return []
        pairs.append(pair)
        code = parent_code(variant, variants)
    steps: list[GainStep] = []
    reached = default
    for pair in reversed(pairs):
        steps.append(_step(reached, pair.paired, metric))
        steps.append(_step(pair.paired, pair.first, metric, is_edit=True))
        reached = pair.first
    steps.append(_step(reached, best, metric))
    return [step for step in steps if step.is_edit or step.before != step.after]


def _step(before: Trial, after: Trial, metric: str, *, is_edit: bool = False) -> GainStep:
    return GainStep(
        code=after.proposal.code,
        is_edit=is_edit,
        before=before.values[metric],
        after=after.values[metric],
        trial=after.number,
    )
