"""Finds planners by name. A module in this folder that has `MAKERS` adds its planners; nothing else is to be
registered.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from typing import Protocol

from tunesmith.bench.task import Task
from tunesmith.study.condition import Value
from tunesmith.study.errors import Mistake, SpecError
from tunesmith.study.names import did_you_mean
from tunesmith.study.trial import Failure


class Planner(Protocol):
    """One optimizer on one task: `ask` and then either `tell` or `fail`, in turn.

    Where the task's space has a default, the first configuration asked is that default.
    """

    def ask(self) -> Mapping[str, Value]:
        """Return the next configuration: the active parameters, valid in the task's space.

        Raises:
            SpaceExhausted: there is nothing left to try.
        """
        ...

    def tell(self, value: float) -> None:
        """Take the value of the configuration asked last, in the metric's own direction."""
        ...

    def fail(self, failure: Failure) -> None:
        """Take it that the configuration asked last failed."""
        ...


Maker = Callable[[Task, int], Planner]
"""(task, seed) -> a fresh planner; raises ProjectError when its package is not installed."""


def planner_makers() -> dict[str, Maker]:
    """Return how to make every known planner, by name."""
    makers: dict[str, Maker] = {}
    for module in pkgutil.iter_modules(__path__):
        makers.update(importlib.import_module(f"{__name__}.{module.name}").MAKERS)
    return makers


def require_planners(names: list[str], task: Task) -> None:
    """Make each named planner once, so that a wrong name or a missing package is known before anything runs.

    Raises:
        SpecError: with every unknown name.
        ProjectError: a planner's package is not installed.
    """
    makers = planner_makers()
    unknown = [name for name in names if name not in makers]
    if unknown:
        raise SpecError(
            [Mistake(name, f"is no planner{did_you_mean(name, makers)}") for name in unknown], where="--planner"
        )
    for name in names:
        makers[name](task, 0)
