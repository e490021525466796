"""SMAC's facade for hyperparameter optimization with its default settings (needs the package `smac`)."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunesmith.bench.task import Task
from tunesmith.study.optional_packages import require
from tunesmith.study.space import condition as conditions
from tunesmith.study.space.condition import Comparison, Condition, Value
from tunesmith.study.space.parameters import Bool, Choice, Float, Int, Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import Failure


class SmacPlanner:
    """SMAC by ask and tell. Failed trials are reported as crashed.

    Raises:
        ProjectError: smac is not installed.
    """

    def __init__(self, task: Task, seed: int) -> None:
        require("smac", purpose="the planner smac")
        import smac  # 2 s
        from ConfigSpace import Configuration

        self._task = task
        self._space = _config_space(task.space, seed)
        self._folder = tempfile.TemporaryDirectory()
        scenario = smac.Scenario(
            self._space, deterministic=True, n_trials=50, seed=seed, output_directory=Path(self._folder.name)
        )
        default = task.space.default
        first = [] if default is None else [Configuration(self._space, values=_to_smac(task.space, default))]
        facade = smac.HyperparameterOptimizationFacade
        design = facade.get_initial_design(scenario, additional_configs=first)
        # SMAC would print its messages between our own.
        with contextlib.redirect_stdout(None):
            self._smac = facade(scenario, _target_function, initial_design=design, overwrite=True, logging_level=50)
        self._first = first
        self._open: Any = None
        # SMAC cannot fit an infinite cost. A failure counts as the worst value so far, at least a median random one.
        self._worst = task.objective.sign * task.median_random

    def ask(self) -> Mapping[str, Value]:
        """Return SMAC's next configuration, after the task's default if it has one."""
        from smac.runhistory import TrialInfo

        self._open = TrialInfo(self._first.pop(), seed=0) if self._first else self._smac.ask()
        return _from_smac(self._task.space, dict(self._open.config))

    def tell(self, value: float) -> None:
        """Report the value, with its sign flipped where larger is better, because SMAC minimizes."""
        from smac.runhistory import TrialValue

        cost = self._task.objective.sign * value
        self._worst = max(self._worst, cost)
        self._smac.tell(self._open, TrialValue(cost=cost))

    def fail(self, failure: Failure) -> None:  # noqa: ARG002  # SMAC treats crashed, timeout and memout alike
        """Report a crash."""
        from smac.runhistory import StatusType, TrialValue

        self._smac.tell(self._open, TrialValue(cost=self._worst, status=StatusType.CRASHED))


def _target_function(config: Any, seed: int = 0) -> float:
    raise AssertionError("SMAC is used by ask and tell and never calls the target function")


def _config_space(space: SearchSpace, seed: int) -> Any:
    from ConfigSpace import ConfigurationSpace, InCondition

    config_space = ConfigurationSpace(seed=seed)
    parameters = {name: _hyperparameter(name, p) for name, p in space.parameters.items()}
    config_space.add(*parameters.values())
    for name, when in space.conditions.items():
        guard = _guard(when, space)
        if guard is not None:
            column, values = guard
            config_space.add(InCondition(parameters[name], parameters[column], values))
    return config_space


def _hyperparameter(name: str, parameter: Parameter) -> Any:
    import ConfigSpace as cs

    match parameter:
        case Float(low=low, high=high, log=log):
            return cs.UniformFloatHyperparameter(name, low, high, log=log)
        case Int(low=low, high=high, log=log):
            return cs.UniformIntegerHyperparameter(name, low, high, log=log)
        case Choice(choices=choices, ordered=True):
            return cs.OrdinalHyperparameter(name, [str(i) for i in range(len(choices))])
        case Choice(choices=choices):
            return cs.CategoricalHyperparameter(name, [str(i) for i in range(len(choices))])
        case Bool():
            return cs.CategoricalHyperparameter(name, ["0", "1"])
    raise AssertionError(parameter)


def _guard(when: Condition, space: SearchSpace) -> tuple[str, list[str]] | None:
    """Return the guard of a condition on one choice and the values it allows; None for other conditions.

    SMAC then treats the parameter as always active.
    """
    if not isinstance(when, Comparison):
        return None
    (comparison,) = conditions.comparisons(when)
    guard = space.parameters[comparison.name]
    if not isinstance(guard, Choice | Bool):
        return None
    values = guard.choices if isinstance(guard, Choice) else (False, True)
    return comparison.name, [str(i) for i, value in enumerate(values) if comparison.holds({comparison.name: value})]


def _to_smac(space: SearchSpace, params: Mapping[str, Value]) -> dict[str, Any]:
    return {name: _index(space.parameters[name], value) for name, value in params.items()}


def _index(parameter: Parameter, value: Value) -> Any:
    if isinstance(parameter, Choice):
        return str(parameter.choices.index(value))
    return str(int(bool(value))) if isinstance(parameter, Bool) else value


def _from_smac(space: SearchSpace, config: Mapping[str, Any]) -> dict[str, Value]:
    values = {name: _value(space.parameters[name], value) for name, value in config.items()}
    return {name: values[name] for name in space.active(values)}


def _value(parameter: Parameter, value: Any) -> Value:
    if isinstance(parameter, Choice):
        return parameter.choices[int(value)]
    return bool(int(value)) if isinstance(parameter, Bool) else parameter.clip(value)


MAKERS = {"smac": SmacPlanner}
