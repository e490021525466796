"""Which version of the code is tuned, and what share of the trials new edits get. Pure functions.

Versions are arms of a rising bandit (Li et al. 2020, "Efficient automatic CASH via rising bandits"): a version's best
value only improves while it is tuned. A version is dropped when even its optimistic bound stays behind the best value.
New edits and tuning share the trials by their recent gain per trial.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from tunesmith.agent.code_search.arms import Arm, best_arm, lineage
from tunesmith.study.trials.results import candidates
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import Constraint, Objective
from tunesmith.study.variant import Variant, VariantState
from tunesmith.tools.variants.lineage import parent_code

SLOPE_WINDOW = 3
"""Number of trials over which an arm's slope is measured."""

GAIN_DECAYS = {True: 0.98, False: 0.5}
"""Decay of the weight of a gain per later trial of its kind: edits (True) and tuning (False).

What edits gain is rare and large, so it takes many to know them. What tuning gains shrinks, so only the latest counts.
"""

SHARE_DECAY = 0.8
"""Decay of the weight of a trial per later one, where the share that edits have had is counted."""

EARLY_SHARES, LATE_SHARES = (0.6, 0.9), (0.15, 0.95)
"""Least and largest share of trials for new edits, at the start and once the results have had time to speak."""

PRIOR_TRIALS = 2.0
"""Number of trials of either kind, with the gain per trial of both together, that the prior weighs."""

FRUITLESS = 6
"""Number of edits, or of trials, without a gain after which half of the questions show the user's own code.

Two answers of three ideas. An idea that changes the same lines as the best version is out of reach from there.
"""

_FADING_TRIALS = 12.0
"""Number of trials after which the first range of shares weighs half."""

_SHARPNESS = 4.0
"""Power of the gain per trial that the shares are in proportion to."""

MAX_SAME_DIRECTION = 3
"""Number of edits of one direction in a row after which the model is asked for another direction."""


def active_arms(arms: Sequence[Arm], variants: Mapping[str, Variant], *, noise: float, trials_left: float) -> list[Arm]:
    """Return the arms that are worth tuning, the most promising first.

    An arm is active while its optimistic bound is behind the best value by no more than `noise`. An arm with a better
    descendant is not: what tuning would find with the old code, it finds with the new.
    """
    best = best_arm(arms)
    if best is None:
        return []
    complete = [arm for arm in arms if arm.best is not None]
    bounds = {arm.code: _optimistic_bound(arm, complete, trials_left) for arm in complete}
    left = [arm for arm in complete if not _is_superseded(arm, complete, variants, noise)]
    active = [arm for arm in left if bounds[arm.code] <= best.value + noise]
    return sorted(active, key=lambda arm: (bounds[arm.code], len(arm.curve)))


def edit_share(
    trials: Sequence[Trial], objective: Objective, constraints: Sequence[Constraint], *, noise: float
) -> float:
    """Return the share of trials for new edits, from the discounted gain per trial of edits and of tuning.

    Gains up to `noise` count as none. Without gains either kind gets half.
    """
    feasible = {t.number for t in candidates(trials, (objective,), constraints)}
    best_value = math.inf
    # For new edits (True) and tuning (False): discounted sum of gains, discounted number of trials.
    sums = {True: [0.0, 0.0], False: [0.0, 0.0]}
    known = 0
    for trial, is_edit in new_versions(trials):
        if not trial.state.is_finished:
            continue
        loss = objective.sign * trial.values[objective.metric] if trial.number in feasible else math.inf
        if math.isfinite(best_value):
            gain = best_value - loss if best_value - loss > noise else 0.0
            decay = GAIN_DECAYS[is_edit]
            sums[is_edit] = [decay * sums[is_edit][0] + gain, decay * sums[is_edit][1] + 1.0]
            known += 1
        best_value = min(best_value, loss)
    weight = _FADING_TRIALS / (_FADING_TRIALS + known)
    least, most = (
        weight * early + (1.0 - weight) * late for early, late in zip(EARLY_SHARES, LATE_SHARES, strict=True)
    )
    return min(max(_gain_share(sums[True], sums[False], prior_trials=PRIOR_TRIALS * weight), least), most)


def is_edit_due(trials: Sequence[Trial], share: float, waiting: int) -> bool:
    """Return whether new edits have had less than their share of the latest trials.

    Args:
        trials: all trials, running ones included; the first one is the default and of neither kind.
        share: of new edits.
        waiting: number of edits that wait for their first trial.
    """
    kinds = [is_edit for _, is_edit in list(new_versions(trials))[1:]] + [True] * waiting
    weights = [SHARE_DECAY**age for age in range(len(kinds))]
    edits = sum(weight for weight, is_edit in zip(weights, reversed(kinds), strict=True) if is_edit)
    return edits <= share * sum(weights)


def new_versions(trials: Sequence[Trial]) -> list[tuple[Trial, bool]]:
    """Return the trials without replicates, each with whether it is the first one of an edited version."""
    seen = {""}
    found = []
    for trial in trials:
        if not trial.is_replicate:
            found.append((trial, trial.proposal.code not in seen))
            seen.add(trial.proposal.code)
    return found


def choose_parent(arms: Sequence[Arm], variants: Mapping[str, Variant], noise: float) -> Arm:
    """Return the arm to edit next: the best one, or one within `noise` of it that is simpler or was edited less.

    Args:
        arms: at least one with a complete trial.
        variants: all versions, by id.
        noise: standard deviation of a difference of two runs.
    """
    best = best_arm(arms)
    assert best is not None  # noqa: S101  # see the arguments
    equal = [arm for arm in arms if arm.best is not None and arm.value <= best.value + noise]
    equal = [arm for arm in equal if not _is_superseded(arm, equal, variants, 0.0) or arm is best]
    children = Counter(parent_code(v, variants) for v in variants.values() if v.is_edited)
    return min(equal, key=lambda arm: (not _is_simplified(arm, variants), children[arm.code], arm.value))


def is_stuck(arms: Sequence[Arm], variants: Mapping[str, Variant]) -> bool:
    """Return whether the best version, an edited one, is hard to improve by further edits.

    Since it was proposed, FRUITLESS edits were, or as many trials ended since it was last better. Refused edits and
    duplicates count: they show that the model has no further idea for this code.
    """
    best = best_arm(arms)
    edits = [v.id for v in variants.values() if v.is_edited]
    if best is None or best.best is None or best.code not in edits:
        return False
    later_trials = sum(number > best.best.number for arm in arms for number in arm.numbers)
    return max(len(edits) - 1 - edits.index(best.code), later_trials) >= FRUITLESS


def overused_direction(variants: Sequence[Variant]) -> str:
    """Return the direction of the last MAX_SAME_DIRECTION edits if they share one; "" otherwise."""
    edits = [v for v in variants if v.is_edited and v.state is not VariantState.REFUSED]
    latest = [v.direction for v in edits[-MAX_SAME_DIRECTION:]]
    return latest[0] if len(latest) == MAX_SAME_DIRECTION and len(set(latest)) == 1 else ""


def _optimistic_bound(arm: Arm, arms: Sequence[Arm], trials_left: float) -> float:
    """Return the value that an arm may still reach, to be minimized.

    It extrapolates the arm's slope. An arm with too few trials for a slope may gain what tuning gained most in any arm
    since the arm's first trial: what it gained before was gained with the parent's code, and the arm began with it.
    """
    count = len(arm.curve)
    if count <= SLOPE_WINDOW:
        hope = max(other.gain_since(arm.numbers[0]) for other in arms)
        return arm.value - hope * (1.0 - (count - 1) / (SLOPE_WINDOW + 1))
    before = arm.curve[-1 - SLOPE_WINDOW]
    slope = (before - arm.value) / SLOPE_WINDOW if math.isfinite(before) else 0.0
    # Gains shrink during tuning; extrapolating to the end of the budget would keep every arm active.
    return arm.value - slope * min(trials_left, count)


def _is_superseded(arm: Arm, arms: Sequence[Arm], variants: Mapping[str, Variant], noise: float) -> bool:
    """Return whether a version made from this one is better by more than `noise`."""
    better = (other.code for other in arms if other.code and other.value < arm.value - noise)
    made_from = (lineage(variants[code], variants) for code in better if code in variants)
    return any(not arm.code or arm.code in ids for ids in made_from)


def _is_simplified(arm: Arm, variants: Mapping[str, Variant]) -> bool:
    variant = variants.get(arm.code)
    return variant is not None and variant.direction == "simplify"


def _gain_share(edits: Sequence[float], tuning: Sequence[float], *, prior_trials: float) -> float:
    """Return the share of edits; the better kind gets much more than in proportion to its gain per trial."""
    prior = (edits[0] + tuning[0]) / max(edits[1] + tuning[1], 1.0)
    per_edit, per_tuning = (
        (gain + prior_trials * prior) / (count + prior_trials) if count + prior_trials > 0.0 else 0.0
        for gain, count in (edits, tuning)
    )
    better = max(per_edit, per_tuning)
    if better <= 0.0:
        return 0.5
    edit_weight, tuning_weight = (math.pow(gain / better, _SHARPNESS) for gain in (per_edit, per_tuning))
    return edit_weight / (edit_weight + tuning_weight)
