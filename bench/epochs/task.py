"""A task with learning curves: a configuration has a whole curve, and every step of it costs.

Knows no planner and no file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tunesmith.agent.scheduler.curve_model import Curve
from tunesmith.bench.task import WORST_REGRET
from tunesmith.study.space.condition import Value
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.view import Objective

Values = Callable[[Mapping[str, Value]], list[float]]
"""(active parameters) -> the metric at each of the task's steps, in its own direction; nan where the run failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveTask:
    """A problem on which ways of early stopping are compared.

    Attributes:
        space: the search space, without a default.
        steps: increasing epochs at which the curves are known; the last is a full run. A run to step 9 costs 9 epochs,
            and continuing it to step 27 costs 18 more.
        best: the metric's best known value at the last step.
        median_random: the metric's median over random configurations there.
    """

    name: str
    space: SearchSpace
    objective: Objective
    steps: tuple[float, ...]
    values: Values
    best: float
    median_random: float

    @property
    def end(self) -> float:
        """The epochs of a full run."""
        return self.steps[-1]

    def curve(self, params: Mapping[str, Value]) -> Curve:
        """Return the whole curve, to be minimized."""
        sign = self.objective.sign
        return Curve.from_points(zip(self.steps, (sign * value for value in self.values(params)), strict=True))

    def regret(self, value: float) -> float:
        """Return the normalized regret of a value to be minimized: 0 at the best known, 1 at a median random one."""
        sign = self.objective.sign
        return min((value - sign * self.best) / (sign * (self.median_random - self.best)), WORST_REGRET)
