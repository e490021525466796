"""Decides which version of the code the next trial runs, and whether another edit is due.

Versions form a tree, and each one is an arm of a rising bandit (Li et al. 2020, "Efficient automatic CASH via rising
bandits"): its best value only improves while it is tuned. An arm is dropped when even its optimistic bound stays behind
the best value of another arm. New edits and tuning share the trials by their recent gain per trial. Pure functions.
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
"""Number of trials over which an arm's slope is measured."""

GAIN_DECAY = 0.85
"""Decay of the weight of a gain per later trial of the same kind (edit or tuning)."""

EDIT_SHARE_RANGE = (0.25, 0.7)
"""Least and largest share of trials for new edits."""

MIN_COMBINE_GAIN = 0.05
"""Gain, relative to the best edit's gain, below which an edit is not combined with others."""

TUNING_TRIALS_PER_PARAMETER = 2
"""Tuning trials per parameter before edits get more than their least share."""

MAX_SAME_DIRECTION = 3
"""Number of edits of one direction in a row after which the model is asked for another direction."""

_SECOND_BEST_EVERY = 4


@dataclass(frozen=True, slots=True)
class Arm:
    """One version of the code with its trials so far.

    Attributes:
        code: id of the version; "" for the user's own code.
        best: its best complete trial; None without one.
        curve: (n,) best value after each of its trials, to be minimized; inf before the first complete one.
    """

    code: str
    best: Trial | None
    curve: tuple[float, ...]

    @property
    def value(self) -> float:
        """Its best value, to be minimized."""
        return self.curve[-1] if self.curve else math.inf


def build_arms(trials: Sequence[Trial], objective: Objective, constraints: Sequence[Constraint]) -> list[Arm]:
    """Return an arm for each version that has finished trials, including the user's own code."""
    finished = [t for t in trials if not t.is_replicate and t.state.is_finished]
    feasible = {t.number for t in candidates(finished, (objective,), constraints)}
    by_code: dict[str, list[Trial]] = {}
    for trial in finished:
        by_code.setdefault(trial.proposal.code, []).append(trial)
    return [_build_arm(code, own, feasible, objective) for code, own in by_code.items()]


def _build_arm(code: str, trials: Sequence[Trial], feasible: set[int], objective: Objective) -> Arm:
    best: Trial | None = None
    curve: list[float] = []
    for trial in trials:
        loss = objective.sign * trial.values[objective.metric] if trial.number in feasible else math.inf
        if trial.number in feasible and (not curve or loss < curve[-1]):
            best = trial
        curve.append(min(loss, curve[-1]) if curve else loss)
    return Arm(code, best, tuple(curve))


def active_arms(arms: Sequence[Arm], trials_left: int) -> list[Arm]:
    """Return the arms whose optimistic bound reaches the best value, the most promising first."""
    complete = [arm for arm in arms if arm.best is not None]
    if not complete:
        return []
    best_value = min(arm.value for arm in complete)
    largest_gain = max((arm.curve[0] - arm.value for arm in complete if math.isfinite(arm.curve[0])), default=0.0)
    bounds = {arm.code: _optimistic_bound(arm, largest_gain, trials_left) for arm in complete}
    active = [arm for arm in complete if bounds[arm.code] <= best_value or arm.value == best_value]
    return sorted(active, key=lambda arm: (bounds[arm.code], len(arm.curve)))


def _optimistic_bound(arm: Arm, largest_gain: float, trials_left: int) -> float:
    """Return the value that an arm may still reach, to be minimized.

    It extrapolates the arm's slope. An arm with too few trials for a slope is assumed to gain what tuning gained most
    in any arm.
    """
    count = len(arm.curve)
    if count <= SLOPE_WINDOW:
        return arm.value - largest_gain * (1.0 - (count - 1) / (SLOPE_WINDOW + 1))
    before = arm.curve[-1 - SLOPE_WINDOW]
    slope = (before - arm.value) / SLOPE_WINDOW if math.isfinite(before) else largest_gain
    # Gains shrink during tuning; extrapolating to the end of the budget would keep every arm active.
    return arm.value - slope * min(trials_left, count)


def should_edit(
    trials: Sequence[Trial],
    objective: Objective,
    constraints: Sequence[Constraint],
    *,
    min_tuning_trials: float,
    seed: int,
    number: int,
) -> bool:
    """Decide, by a draw from `seed` and `number`, whether the next trial runs a new edit instead of tuning.

    During the first `min_tuning_trials` trials of tuning, edits get their least share: the gain of an edit with a poor
    configuration says little about its gain with a good one.
    """
    edits = len({t.proposal.code for t in trials} - {""})
    tuning = sum(not t.is_replicate for t in trials) - edits
    share = EDIT_SHARE_RANGE[0] if tuning < min_tuning_trials else edit_share(trials, objective, constraints)
    return derived_seed(seed, "edit", number) / 2**31 < share


def edit_share(trials: Sequence[Trial], objective: Objective, constraints: Sequence[Constraint]) -> float:
    """Return the share of trials for new edits, from the discounted gain per trial of edits and of tuning."""
    feasible = {t.number for t in candidates(trials, (objective,), constraints)}
    seen_codes: set[str] = set()
    best_value = math.inf
    # For new edits (True) and tuning (False): discounted sum of gains, discounted number of trials.
    sums = {True: [0.0, 0.0], False: [0.0, 0.0]}
    for trial in trials:
        if trial.is_replicate or not trial.state.is_finished:
            continue
        is_new_edit = bool(trial.proposal.code) and trial.proposal.code not in seen_codes
        seen_codes.add(trial.proposal.code)
        loss = objective.sign * trial.values[objective.metric] if trial.number in feasible else math.inf
        gain = max(best_value - loss, 0.0) if math.isfinite(best_value) else 0.0
        sums[is_new_edit] = [GAIN_DECAY * sums[is_new_edit][0] + gain, GAIN_DECAY * sums[is_new_edit][1] + 1.0]
        best_value = min(best_value, loss)
    # Prior: one trial of each kind that gained a tenth of the total, so that no data means no preference.
    prior = 0.1 * sum(total for total, _ in sums.values())
    if prior == 0.0:
        return 0.5
    edits, tuning = ((sums[kind][0] + prior) / (sums[kind][1] + 1.0) for kind in (True, False))
    return min(max(edits / (edits + tuning), EDIT_SHARE_RANGE[0]), EDIT_SHARE_RANGE[1])


def choose_parent(arms: Sequence[Arm], variants: Mapping[str, Variant], noise: float, *, seed: int, number: int) -> Arm:
    """Return the arm to edit next: mostly the best, in a quarter of the cases the second best.

    A simplified version within `noise` (one standard deviation of the metric) of the best value counts as the best.
    """
    complete = sorted((arm for arm in arms if arm.best is not None), key=lambda arm: arm.value)
    best = complete[0]
    simple = [a for a in complete if _is_simplified(a, variants) and a.value <= best.value + noise]
    ranked = [*simple[:1], *(arm for arm in complete if arm not in simple[:1])]
    takes_second = derived_seed(seed, "parent", number) % _SECOND_BEST_EVERY == _SECOND_BEST_EVERY - 1
    return ranked[1] if takes_second and len(ranked) > 1 else ranked[0]


def _is_simplified(arm: Arm, variants: Mapping[str, Variant]) -> bool:
    variant = variants.get(arm.code)
    return variant is not None and variant.direction == "simplify"


def overused_direction(variants: Sequence[Variant]) -> str:
    """Return the direction of the last MAX_SAME_DIRECTION edits if they share one; "" otherwise."""
    edits = [v for v in variants if v.is_edited and v.state is not VariantState.REFUSED]
    latest = [v.direction for v in edits[-MAX_SAME_DIRECTION:]]
    return latest[0] if len(latest) == MAX_SAME_DIRECTION and len(set(latest)) == 1 else ""


def pairs_to_combine(arms: Sequence[Arm], variants: Mapping[str, Variant]) -> list[tuple[Variant, Variant]]:
    """Return pairs of versions to combine, the most promising first.

    Both are clearly better than their parents, and neither descends from the other.
    """
    values = {arm.code: arm.value for arm in arms}
    gains = {code: _gain(v, values) for code in values if (v := variants.get(code)) is not None and v.is_edited}
    min_gain = MIN_COMBINE_GAIN * max(gains.values(), default=0.0)
    winners = [variants[code] for code in sorted(gains, key=lambda c: values[c]) if gains[code] > min_gain]
    pairs = [(a, b) for i, a in enumerate(winners) for b in winners[i + 1 :]]
    return [(a, b) for a, b in pairs if b.id not in _lineage(a, variants) and a.id not in _lineage(b, variants)]


def _gain(variant: Variant, values: Mapping[str, float]) -> float:
    """Return by how much a version is better than its parent; 0 when either has no value."""
    before = values.get(variant.parent or "", values.get("", math.inf))
    return before - values[variant.id] if math.isfinite(before) and math.isfinite(values[variant.id]) else 0.0


def _lineage(variant: Variant, variants: Mapping[str, Variant]) -> set[str]:
    """Return the ids of a version and of all its ancestors."""
    ids = {variant.id}
    while variant.parent and (parent := variants.get(variant.parent)):
        ids.add(parent.id)
        variant = parent
    return ids
