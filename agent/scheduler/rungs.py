"""The rungs of successive halving and the brackets of Hyperband. Plain numbers in and out; knows no trial."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tunesmith.agent.scheduler.curve_model import STEP_TOLERANCE


@dataclass(frozen=True, slots=True)
class Ladder:
    """The rungs, fidelities at which runs are compared: low, low * eta, low * eta^2, ..., up to `high` if it is given.

    Rungs do not depend on the last one, so a search continues unchanged when `high` rises: the idea of Brandt et al.
    2023, "Iterative Deepening Hyperband", on the rungs of Li et al. 2020, "A System for Massively Parallel
    Hyperparameter Tuning" (ASHA).
    """

    low: float
    eta: float = 3.0
    high: float | None = None

    def rung(self, index: int) -> float:
        """Return the fidelity of a rung, 0 for the lowest; that of the last one is `high`."""
        value = self._whole_rung(index) if float(self.low).is_integer() else self.low * self.eta**index
        if self.high is None:
            return value
        # A last rung just above another one would cost a run and add no information.
        return self.high if value * math.sqrt(self.eta) > self.high else value

    def _whole_rung(self, index: int) -> float:
        """Return a rung in whole epochs or steps. Each is above the one before, also where rounding would join two."""
        value = float(round(self.low))
        for i in range(1, index + 1):
            value = max(float(round(self.low * self.eta**i)), value + 1.0)
        return value

    def index(self, fidelity: float) -> int:
        """Return the index of the highest rung at or below a fidelity; -1 below the lowest."""
        if fidelity < self.low * (1 - STEP_TOLERANCE):
            return -1
        index = 0
        while self.rung(index) < fidelity * (1 - STEP_TOLERANCE) and self.rung(index + 1) <= fidelity * (
            1 + STEP_TOLERANCE
        ):
            index += 1
        return index

    @property
    def top(self) -> int | None:
        """The index of the last rung; None without a last one."""
        if self.high is None:
            return None
        index = 0
        while self.rung(index) < self.high * (1 - STEP_TOLERANCE):
            index += 1
        return index


def promotable(values: Mapping[int, float], eta: float) -> list[int]:
    """Return the keys of the best floor(n / eta) of the n values on a rung, best first.

    Args:
        values: by trial number, to be minimized; nan and inf count in n and are never returned.
        eta: the reduction factor.
    """
    count = int(len(values) / eta)
    finite = [number for number, value in values.items() if math.isfinite(value)]
    return sorted(finite, key=lambda number: (values[number], number))[:count]


def start_rung(number: int, brackets: int, eta: float) -> int:
    """Return the rung, from 0 to brackets - 1, on which the `number`-th new configuration starts.

    Hyperband's hedge (Li et al. 2018): some configurations start higher, in case that the low rungs mislead. Each
    bracket gets about the same number of epochs: a bracket that starts at eta^s has `brackets - s` rungs of this cost,
    so a fraction proportional to eta^-s / (brackets - s) of the configurations starts there. The order is fixed and
    evenly mixed, so these fractions hold at any time.
    """
    weights = [eta**-s / (brackets - s) for s in range(brackets)]
    total = sum(weights)
    started = [0] * brackets
    for _ in range(number + 1):
        turn = sum(started) + 1
        chosen = max(range(brackets), key=lambda s: (weights[s] / total * turn - started[s], -s))
        started[chosen] += 1
    return chosen
