"""The versions of the code as arms: what each has gained from its trials, and how much a difference may be noise.

Pure functions of trials. Knows no strategy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunesmith.study.trials.results import candidates
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import Constraint, Objective, StudyView
from tunesmith.study.trials.winner import winner
from tunesmith.study.variant import Variant

UNKNOWN_NOISE = 0.005
"""Noise between seeds, relative to the best value, that is assumed while no configuration ran on several seeds."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One version of the code with its trials so far.

    Attributes:
        code: id of the version; "" for the user's own code.
        best: its best complete trial; None without one.
        curve: (n,) best value after each of its trials, to be minimized; inf before the first complete one.
        numbers: (n,) the numbers of these trials.
    """

    code: str
    best: Trial | None
    curve: tuple[float, ...]
    numbers: tuple[int, ...]

    @property
    def value(self) -> float:
        """Its best value, to be minimized."""
        return self.curve[-1] if self.curve else math.inf

    def gain_since(self, number: int) -> float:
        """Return what its trials after trial `number` gained; its first trial is not tuning and gains nothing."""
        before = [value for value, own in zip(self.curve, self.numbers, strict=True) if own <= number]
        start = before[-1] if before else self.curve[0]
        return start - self.value if math.isfinite(start) and math.isfinite(self.value) else 0.0


def build_arms(trials: Sequence[Trial], objective: Objective, constraints: Sequence[Constraint]) -> list[Arm]:
    """Return an arm for each version that has finished trials, including the user's own code."""
    finished = [t for t in trials if not t.is_replicate and t.state.is_finished]
    feasible = {t.number for t in candidates(finished, (objective,), constraints)}
    by_code: dict[str, list[Trial]] = {}
    for trial in finished:
        by_code.setdefault(trial.proposal.code, []).append(trial)
    return [_build_arm(code, own, feasible, objective) for code, own in by_code.items()]


def best_arm(arms: Sequence[Arm]) -> Arm | None:
    """Return the arm with the best value; None while no trial is complete."""
    return min((arm for arm in arms if arm.best is not None), key=lambda arm: arm.value, default=None)


@dataclass(frozen=True, slots=True)
class Noise:
    """How much a metric varies between seeds, as standard deviations in its units.

    Attributes:
        difference: of a difference of two runs on different seeds.
        measured: of one run; None while it is only assumed.
    """

    difference: float = 0.0
    measured: float | None = None


def noise_of(view: StudyView) -> Noise:
    """Return the noise where a configuration ran on several seeds, and a small share of the best value otherwise."""
    found = winner(view.trials, view)
    if found is None:
        return Noise()
    assumed = UNKNOWN_NOISE * abs(found.value)
    return Noise(math.sqrt(2.0) * (assumed if found.noise is None else found.noise), found.noise)


def lineage(variant: Variant, variants: Mapping[str, Variant]) -> set[str]:
    """Return the ids of a version and of all that it is made of: parents, and versions that were joined to it."""
    found: set[str] = set()
    waiting = [variant.id]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        known = variants.get(name)
        waiting += [other for other in (known.parent, known.joined) if other] if known is not None else []
    return found


def gain_on_parent(variant: Variant, arms: Mapping[str, Arm]) -> float | None:
    """Return by how much a version's best value beats its parent's, to be maximized; None where one has no value."""
    own, before = arms.get(variant.id), arms.get(variant.parent or "", arms.get(""))
    if own is None or before is None or own.best is None or before.best is None:
        return None
    return before.value - own.value


def _build_arm(code: str, trials: Sequence[Trial], feasible: set[int], objective: Objective) -> Arm:
    best: Trial | None = None
    curve: list[float] = []
    for trial in trials:
        loss = objective.sign * trial.values[objective.metric] if trial.number in feasible else math.inf
        if trial.number in feasible and (not curve or loss < curve[-1]):
            best = trial
        curve.append(min(loss, curve[-1]) if curve else loss)
    return Arm(code, best, tuple(curve), tuple(t.number for t in trials))
