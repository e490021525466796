"""Strengths of texts from comparisons in pairs, by the model of Bradley and Terry. Numbers in, numbers out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_ROUNDS = 50
_SETTLED = 1e-9
_LONGEST_STEP = 2.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """One example on which the texts of two trials were compared.

    Attributes:
        first: one trial.
        second: the other.
        outcome: 1 where the first is better, 0 where the second is, 0.5 for a tie.
    """

    first: int
    second: int
    outcome: float


@dataclass(frozen=True, slots=True)
class Strength:
    """How good a trial's texts are.

    Attributes:
        value: logarithm of the odds of a win against the reference, whose strength is 0; a tie is half a win.
        std: standard error.
    """

    value: float
    std: float


def strengths(comparisons: Sequence[Comparison], reference: int) -> dict[int, Strength]:
    """Return the strength of each trial but the reference by its number (Bradley and Terry 1952).

    Ties are half wins. Each trial also has one win and one loss against the reference that nobody saw, so that the
    strength of what always wins stays finite and keeps some doubt, as in the interval of Agresti and Coull (1998) for a
    share. Standard errors come from the spread of the outcomes (the sandwich of Huber and White): ties spread less than
    wins and losses.
    """
    numbers = sorted({n for c in comparisons for n in (c.first, c.second)} - {reference})
    if not numbers:
        return {}
    unseen = [Comparison(number, reference, outcome) for number in numbers for outcome in (0.0, 1.0)]
    index = {number: position for position, number in enumerate(numbers)}
    design = _design([*comparisons, *unseen], index)
    outcomes = np.array([c.outcome for c in [*comparisons, *unseen]])
    theta = np.zeros(len(numbers))
    for _ in range(_ROUNDS):
        wins = 1.0 / (1.0 + np.exp(-design @ theta))
        information = design.T * (wins * (1.0 - wins)) @ design
        step = np.linalg.solve(information, design.T @ (outcomes - wins))
        theta = theta + np.clip(step, -_LONGEST_STEP, _LONGEST_STEP)
        if float(np.abs(step).max()) < _SETTLED:
            break
    inverse = np.linalg.inv(information)
    spread = design.T * (outcomes - wins) ** 2 @ design
    std = np.sqrt(np.diag(inverse @ spread @ inverse))
    return {n: Strength(float(theta[i]), float(std[i])) for n, i in index.items()}


def _design(comparisons: Sequence[Comparison], index: Mapping[int, int]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return (m, k): 1 for the first of a comparison, -1 for the second; the reference has no column."""
    design = np.zeros((len(comparisons), len(index)))
    for row, comparison in enumerate(comparisons):
        for number, sign in ((comparison.first, 1.0), (comparison.second, -1.0)):
            if number in index:
                design[row, index[number]] = sign
    return design
