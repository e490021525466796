"""Counts the epochs that a planner spends on a task, and keeps when which value was there. Knows no planner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tunesmith.agent.scheduler.curve_model import Curve
from tunesmith.bench.epochs.task import CurveTask
from tunesmith.study.space.condition import Value


class BudgetSpent(Exception):
    """No epoch is left."""


@dataclass(frozen=True, slots=True)
class Reached:
    """After `epochs` in all, a configuration had run to the end; `value` is to be minimized, inf where it failed."""

    epochs: float
    value: float


@dataclass(slots=True)
class Meter:
    """The epochs of one run of a planner.

    Attributes:
        budget: how many epochs it may spend.
        spent: how many it has spent.
        reached: the configurations that ran to the end, in order.
        begun: how many configurations were begun.
    """

    task: CurveTask
    budget: float
    spent: float = 0.0
    reached: list[Reached] = field(default_factory=list)
    begun: int = 0

    def begin(self, params: Mapping[str, Value]) -> Training:
        """Begin to train a configuration; nothing is spent yet."""
        self.begun += 1
        return Training(self, self.task.curve(params))


@dataclass(slots=True)
class Training:
    """A configuration in training. It may rest for as long as it likes: going on costs only what is still to run."""

    meter: Meter
    whole: Curve
    count: int = 0

    @property
    def curve(self) -> Curve:
        """What was seen so far."""
        return Curve(self.whole.steps[: self.count], self.whole.values[: self.count])

    @property
    def is_over(self) -> bool:
        """Whether it ran to the end."""
        return self.count == len(self.whole.steps)

    def advance(self) -> tuple[float, float]:
        """Train to the next step and return it with the value there.

        Raises:
            BudgetSpent: the budget does not reach that far.
        """
        before = self.whole.steps[self.count - 1] if self.count else 0.0
        step, value = self.whole.steps[self.count], self.whole.values[self.count]
        meter = self.meter
        if meter.spent + step - before > meter.budget:
            raise BudgetSpent
        meter.spent += step - before
        self.count += 1
        if self.is_over:
            meter.reached.append(Reached(meter.spent, value))
        return step, value
