"""When a running trial is ended early: rungs of successive halving, Hyperband's brackets, a person's rules.

Pure rules over plain curves, to be minimized; what a curve promises is curves.py. Knows no trial, no process, no clock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NEAR = 1e-9
"""Steps that differ by a smaller share are one step."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """The fidelities at which runs are compared: least, least * eta, least * eta^2, ... without end, or up to `most`.

    Nothing has to be known of the last rung, and a search goes on from where it stood when one is added: the idea of
    Brandt et al. 2023, "Iterative Deepening Hyperband", on the rungs of Li et al. 2020, "A System for Massively
    Parallel Hyperparameter Tuning" (ASHA).
    """

    least: float
    eta: float = 3.0
    most: float | None = None

    def rung(self, index: int) -> float:
        """Return the fidelity of a rung, 0 for the lowest; the last one is `most` itself."""
        value = self.least * self.eta**index
        if float(self.least).is_integer():
            # Epochs and steps are counted.
            value = float(round(value))
        if self.most is None:
            return value
        # A last rung just above another would cost a run and tell nothing new.
        return self.most if value * math.sqrt(self.eta) > self.most else value

    def index(self, fidelity: float) -> int:
        """Return the highest rung at or below a fidelity; -1 below the lowest."""
        if fidelity < self.least * (1 - NEAR):
            return -1
        index = 0
        while self.rung(index) < fidelity * (1 - NEAR) and self.rung(index + 1) <= fidelity * (1 + NEAR):
            index += 1
        return index

    @property
    def top(self) -> int | None:
        """The index of the last rung; None when there is no last one."""
        if self.most is None:
            return None
        index = 0
        while self.rung(index) < self.most * (1 - NEAR):
            index += 1
        return index


def survivors(values: Mapping[int, float], eta: float) -> list[int]:
    """Return who goes on from a rung, the best first: the best floor(n / eta) of the n that ran there.

    Args:
        values: the value of each on this rung; nan and inf rank last and never go on.
        eta: one in so many goes on.
    """
    count = int(len(values) / eta)
    ranked = sorted((number for number, value in values.items() if math.isfinite(value)), key=lambda n: (values[n], n))
    return ranked[:count]


def bracket(number: int, brackets: int, eta: float) -> int:
    """Return on which rung the `number`-th new configuration starts, 0 the lowest, below `brackets`.

    Hyperband's hedge (Li et al. 2018): some start higher, in case that the low rungs mislead. Each bracket is given
    about the same epochs: one that starts at eta^s has `brackets - s` rungs of that cost, so it begins
    eta^-s / (brackets - s) as many configurations. The order is fixed and evenly mixed, so that any first part of it is
    a fair sample.
    """
    shares = [eta**-s / (brackets - s) for s in range(brackets)]
    total = sum(shares)
    begun = [0] * brackets
    for _ in range(number + 1):
        turn = sum(begun) + 1
        chosen = max(range(brackets), key=lambda s: (shares[s] / total * turn - begun[s], -s))
        begun[chosen] += 1
    return chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A person's rule: a trial ends when `metric` lies above or below a number, from step `after` on."""

    metric: str
    above: float | None = None
    below: float | None = None
    after: float = 0.0

    def broken_by(self, step: float, value: float) -> str:
        """Return the reason to stop at this observation, "" when there is none."""
        if step < self.after:
            return ""
        if self.above is not None and value > self.above:
            return f"{self.metric} = {value:g} is above {self.above:g}"
        if self.below is not None and value < self.below:
            return f"{self.metric} = {value:g} is below {self.below:g}"
        return ""


def stalled(values: Sequence[float], patience: int) -> bool:
    """Tell whether the last `patience` values are all no better than the best before them."""
    if len(values) <= patience:
        return False
    return min(values[-patience:]) >= min(values[:-patience])


def diverged(value: float, others: Sequence[Sequence[float]]) -> bool:
    """Tell whether a finite value lies far off: above all values of all others by ten times their whole range.

    Args:
        value: to be minimized.
        others: the values of each complete curve, at least one each; fewer than three tell nothing.
    """
    if len(others) < 3:  # noqa: PLR2004  # two runs have no usual range
        return False
    low, high = min(map(min, others)), max(map(max, others))
    return high > low and value > high + 10.0 * (high - low)


def percent(probability: float) -> str:
    """Return 3% for 0.03; what is possible is not called 0%."""
    return "under 1%" if probability < 0.01 else f"{probability:.0%}"
