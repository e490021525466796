"""Which version of the code the next trial runs, and whether another edit is due. Numbers in, decisions out.

Versions form a tree. Each is an arm of a rising bandit (Li et al. 2020, "Efficient automatic CASH via rising bandits"):
values only improve while a version is tuned, so one whose best value plus all that tuning could still gain stays behind
the best of another gets no further trial. Whether a trial goes to a new edit or to tuning is decided by what either has
gained per trial of late.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunesmith.study.trials.results import candidates
from tunesmith.study.trials.seeds import derived_seed
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import Constraint, Objective
from tunesmith.study.variant import Variant, VariantState

SLOPE_WINDOW = 3
"""A version's slope is its gain over so many trials; so many it gets before there is one."""
GAIN_DECAY = 0.85
"""How much of its weight a gain keeps for each later trial of its kind."""
EDIT_SHARE_RANGE = (0.25, 0.7)
"""The share of trials that go to new edits lies between these."""
MIN_COMBINE_GAIN = 0.05
"""An edit that gained less than this part of the best edit's gain is not joined to others."""
TUNING_TRIALS_PER_PARAMETER = 2
"""So many trials of tuning for each parameter come before edits get more than their least share."""
MAX_SAME_DIRECTION = 3
"""No more edits in a row are asked for of one direction."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One version of the code with its trials so far.

    Attributes:
        best: its best complete trial; None without one.
        curve: (n,) the best value after each of its trials, to be minimized; inf before the first complete one.
    """

    code: str
    best: Trial | None
    curve: tuple[float, ...]

    @property
    def value(self) -> float:
        """Its best value, to be minimized."""
        return self.curve[-1] if self.curve else math.inf


def build_arms(trials: Sequence[Trial], objective: Objective, constraints: Sequence[Constraint]) -> list[Arm]:
    """Return the versions that have trials, the user's own ("") among them."""
    own = [t for t in trials if not t.is_replicate and t.state.is_finished]
    able = {t.number for t in candidates(own, (objective,), constraints)}
    grouped: dict[str, list[Trial]] = {}
    for trial in own:
        grouped.setdefault(trial.proposal.code, []).append(trial)
    return [_arm(code, found, able, objective) for code, found in grouped.items()]


def _arm(code: str, trials: Sequence[Trial], able: set[int], objective: Objective) -> Arm:
    best: Trial | None = None
    curve: list[float] = []
    for trial in trials:
        loss = objective.sign * trial.values[objective.metric] if trial.number in able else math.inf
        if trial.number in able and (not curve or loss < curve[-1]):
            best = trial
        curve.append(min(loss, curve[-1]) if curve else loss)
    return Arm(code, best, tuple(curve))


def active_arms(arms: Sequence[Arm], trials_left: int) -> list[Arm]:
    """Return the arms that may still come out best, the most promising first."""
    known = [arm for arm in arms if arm.best is not None]
    if not known:
        return []
    lead = min(arm.value for arm in known)
    gained = max((arm.curve[0] - arm.value for arm in known if math.isfinite(arm.curve[0])), default=0.0)
    hopes = {arm.code: _hope(arm, gained, trials_left) for arm in known}
    rising = [arm for arm in known if hopes[arm.code] <= lead or arm.value == lead]
    return sorted(rising, key=lambda arm: (hopes[arm.code], len(arm.curve)))


def _hope(arm: Arm, gained: float, trials_left: int) -> float:
    """Return how good an arm may become: along its slope, or, while it is young, by what tuning gained elsewhere."""
    count = len(arm.curve)
    if count <= SLOPE_WINDOW:
        return arm.value - gained * (1.0 - (count - 1) / (SLOPE_WINDOW + 1))
    before = arm.curve[-1 - SLOPE_WINDOW]
    slope = (before - arm.value) / SLOPE_WINDOW if math.isfinite(before) else gained
    # Gains shrink as tuning goes on; a straight line to the end would keep every arm alive.
    return arm.value - slope * min(trials_left, count)


def should_edit(
    trials: Sequence[Trial],
    objective: Objective,
    constraints: Sequence[Constraint],
    *,
    tuned_first: float,
    seed: int,
    number: int,
) -> bool:
    """Tell whether the next trial goes to a new edit rather than to tuning what is there.

    Before `tuned_first` trials of tuning edits have their least share: what an edit gains beside a poor configuration
    tells little of what it gains beside a good one.
    """
    edits = len({t.proposal.code for t in trials} - {""})
    tuning = sum(not t.is_replicate for t in trials) - edits
    share = EDIT_SHARE_RANGE[0] if tuning < tuned_first else edit_share(trials, objective, constraints)
    return derived_seed(seed, "edit", number) / 2**31 < share


def edit_share(trials: Sequence[Trial], objective: Objective, constraints: Sequence[Constraint]) -> float:
    """Return the share of trials for new edits: by what each of the two ways gained per trial, of late above all."""
    able = {t.number for t in candidates(trials, (objective,), constraints)}
    seen: set[str] = set()
    lead, gained = math.inf, {True: [0.0, 0.0], False: [0.0, 0.0]}
    for trial in trials:
        if trial.is_replicate or not trial.state.is_finished:
            continue
        is_new = bool(trial.proposal.code) and trial.proposal.code not in seen
        seen.add(trial.proposal.code)
        loss = objective.sign * trial.values[objective.metric] if trial.number in able else math.inf
        kind = gained[is_new]
        kind[0] = GAIN_DECAY * kind[0] + (max(lead - loss, 0.0) if math.isfinite(lead) else 0.0)
        kind[1] = GAIN_DECAY * kind[1] + 1.0
        lead = min(lead, loss)
    # One trial each that gained a tenth of all: nothing known is no reason to prefer either.
    prior = 0.1 * sum(total for total, _ in gained.values())
    if prior == 0.0:
        return 0.5
    edits, tuning = ((gained[kind][0] + prior) / (gained[kind][1] + 1.0) for kind in (True, False))
    return min(max(edits / (edits + tuning), EDIT_SHARE_RANGE[0]), EDIT_SHARE_RANGE[1])


def choose_parent(arms: Sequence[Arm], variants: Mapping[str, Variant], noise: float, *, seed: int, number: int) -> Arm:
    """Return the arm that is edited next: mostly the best, at times the second best.

    A plainer version that is no worse than the best by more than chance stands in its place.
    """
    known = sorted((arm for arm in arms if arm.best is not None), key=lambda arm: arm.value)
    lead = known[0]
    plain = [a for a in known if _is_simplified(a, variants) and a.value <= lead.value + noise]
    ordered = [*plain[:1], *(arm for arm in known if arm not in plain[:1])]
    second = derived_seed(seed, "parent", number) % 4 == 3 and len(ordered) > 1  # noqa: PLR2004  # one in four
    return ordered[1] if second else ordered[0]


def _is_simplified(arm: Arm, variants: Mapping[str, Variant]) -> bool:
    variant = variants.get(arm.code)
    return variant is not None and variant.direction == "simplify"


def overused_direction(variants: Sequence[Variant]) -> str:
    """Return the direction of which there were enough in a row; "" when there is none."""
    latest = [v.direction for v in variants if v.is_edited and v.state is not VariantState.REFUSED][
        -MAX_SAME_DIRECTION:
    ]
    return latest[0] if len(latest) == MAX_SAME_DIRECTION and len(set(latest)) == 1 else ""


def pairs_to_combine(arms: Sequence[Arm], variants: Mapping[str, Variant]) -> list[tuple[Variant, Variant]]:
    """Return pairs of versions to join, the most promising first: both clearly better than what they were made of."""
    values = {arm.code: arm.value for arm in arms}
    gains = {code: _gain(v, values) for code in values if (v := variants.get(code)) is not None and v.is_edited}
    least = MIN_COMBINE_GAIN * max(gains.values(), default=0.0)
    winners = [variants[code] for code in sorted(gains, key=lambda c: values[c]) if gains[code] > least]
    pairs = [(a, b) for i, a in enumerate(winners) for b in winners[i + 1 :]]
    return [(a, b) for a, b in pairs if b.id not in _line(a, variants) and a.id not in _line(b, variants)]


def _gain(variant: Variant, values: Mapping[str, float]) -> float:
    """Return by how much a version is better than what it was made of."""
    before = values.get(variant.parent or "", values.get("", math.inf))
    return before - values[variant.id] if math.isfinite(before) and math.isfinite(values[variant.id]) else 0.0


def _line(variant: Variant, variants: Mapping[str, Variant]) -> set[str]:
    """Return the version and all that it was made of."""
    found = {variant.id}
    while variant.parent and (parent := variants.get(variant.parent)):
        found.add(parent.id)
        variant = parent
    return found
