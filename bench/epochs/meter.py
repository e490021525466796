"""Counts the epochs that a planner spends on a task, and records finished configurations. Knows no planner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tunesmith.agent.scheduler.curve_model import Curve
from tunesmith.bench.epochs.task import CurveTask
from tunesmith.study.space.condition import Value


class BudgetSpent(Exception):
    """The budget of epochs is used up."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A configuration that ran to the end after `epochs` in total; `value` is to be minimized, inf where it failed."""

    epochs: float
    value: float


@dataclass(slots=True)
class Meter:
    """The epochs of one run of a planner.

    Attributes:
        budget: number of epochs that may be spent.
        spent: number of epochs spent.
        reached: the configurations that ran to the end, in order.
        started: number of configurations that were started.
    """

    task: CurveTask
    budget: float
    spent: float = 0.0
    reached: list[Reached] = field(default_factory=list)
    started: int = 0

    def start(self, params: Mapping[str, Value]) -> Training:
        """Start to train a configuration; this spends nothing."""
        self.started += 1
        return Training(self, self.task.curve(params))


@dataclass(slots=True)
class Training:
    """A configuration in training. It can be paused at any step; continuing costs only the remaining epochs."""

    meter: Meter
    whole: Curve
    count: int = 0

    @property
    def curve(self) -> Curve:
        """The curve so far."""
        return Curve(self.whole.steps[: self.count], self.whole.values[: self.count])

    @property
    def is_over(self) -> bool:
        """Whether it ran to the end."""
        return self.count == len(self.whole.steps)

    def advance(self) -> tuple[float, float]:
        """Train to the next step and return it with the value there.

        Raises:
            BudgetSpent: the budget is too small for that step.
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
