"""Finds planners by name. A module in this folder with a dict `MAKERS` adds its planners; no other registration."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from tunesmith.bench.task import Task
from tunesmith.study.errors import Mistake, SpecError
from tunesmith.study.names import did_you_mean
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.trial import Failure


class Planner(Protocol):
    """One optimizer on one task: `ask` and then either `tell` or `fail`, in turn.

    Where the task's space has a default, the first configuration is that default.
    """

    def ask(self) -> Mapping[str, Value]:
        """Return the next configuration: the active parameters, valid in the task's space.

        Raises:
            SpaceExhausted: every configuration was tried.
        """
        ...

    def tell(self, value: float) -> None:
        """Report the value of the last configuration, in the metric's own direction."""
        ...

    def fail(self, failure: Failure) -> None:
        """Report that the last configuration failed."""
        ...


Maker = Callable[..., Planner]
"""(task, seed) -> a new planner; planners with an LLM also take model and base_url. Raises ProjectError when a package
or an option that it needs is missing."""


def planner_makers() -> dict[str, Maker]:
    """Return the constructor of every known planner, by name."""
    makers: dict[str, Maker] = {}
    for module in pkgutil.iter_modules(__path__):
        makers.update(importlib.import_module(f"{__name__}.{module.name}").MAKERS)
    return makers


def find_planner(name: str) -> Maker:
    """Return the constructor of a planner given as NAME, NAME@MODEL or NAME@MODEL@ADDRESS.

    Raises:
        KeyError: the name is unknown.
    """
    base, _, rest = name.partition("@")
    maker = planner_makers()[base]
    model, _, base_url = rest.partition("@")
    return partial(maker, model=model, base_url=base_url) if rest else maker


def require_planners(names: list[str], task: Task) -> None:
    """Make each named planner once, so that wrong names and missing packages are reported before anything runs.

    Raises:
        SpecError: with every unknown name.
        ProjectError: a planner's package is not installed, or it needs a model.
    """
    makers = planner_makers()
    unknown = [name for name in names if name.partition("@")[0] not in makers]
    if unknown:
        raise SpecError(
            [Mistake(name, f"is not a known planner{did_you_mean(name, makers)}") for name in unknown],
            where="--planner",
        )
    for name in names:
        find_planner(name)(task, 0)
