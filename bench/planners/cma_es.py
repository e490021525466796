"""Optuna's CMA-ES about the task's default, with its default settings (needs the packages `optuna` and `cmaes`).

Choices, and parameters that some trial did not have, are outside its search; Optuna draws those at random.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tunesmith.agent.sampler.alternatives.optuna_samplers import ask_each, to_distribution, to_optuna_value
from tunesmith.bench.task import Task
from tunesmith.study.optional_packages import require
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import Bool, Choice, imputed_value
from tunesmith.study.trials.trial import Failure
from tunesmith.tools.quiet_optuna import quiet_optuna

if TYPE_CHECKING:
    import optuna


class CmaEsPlanner:
    """One Optuna study by ask and tell: the strategy keeps its state in the study's trials.

    Raises:
        ProjectError: Optuna or cmaes is not installed.
    """

    def __init__(self, task: Task, seed: int) -> None:
        require("optuna", purpose="the planner cma-es", extra="optuna")
        require("cmaes", purpose="the planner cma-es")
        import optuna  # 0.2 s

        self._task = task
        parameters, default = task.space.parameters, task.space.default or {}
        # A parameter that is active in every trial so far is searched as well, conditional or not.
        centre = {
            name: to_optuna_value(parameter, default.get(name, imputed_value(parameter)))
            for name, parameter in parameters.items()
            if not _is_choice(parameter)
        }
        with warnings.catch_warnings(), quiet_optuna():
            warnings.simplefilter("ignore")
            sampler = optuna.samplers.CmaEsSampler(
                seed=seed, x0=centre if default else None, warn_independent_sampling=False
            )
            self._study = optuna.create_study(direction=task.objective.direction.value, sampler=sampler)
            if default:
                self._study.enqueue_trial({n: to_optuna_value(parameters[n], v) for n, v in default.items()})
        self._open: optuna.Trial | None = None

    def ask(self) -> Mapping[str, Value]:
        """Return the next configuration, the task's default first."""
        fixed = {
            name: to_distribution(parameter)
            for name, parameter in self._task.space.parameters.items()
            if name not in self._task.space.conditions
        }
        with warnings.catch_warnings(), quiet_optuna():
            warnings.simplefilter("ignore")
            self._open = self._study.ask(fixed)
            return ask_each(self._open, self._task.space)

    def tell(self, value: float) -> None:
        """Finish the trial with its value."""
        with quiet_optuna():
            self._study.tell(self._open_trial(), value)

    def fail(self, failure: Failure) -> None:  # noqa: ARG002  # Optuna knows one kind
        """Finish the trial as failed."""
        import optuna

        with quiet_optuna():
            self._study.tell(self._open_trial(), state=optuna.trial.TrialState.FAIL)

    def _open_trial(self) -> optuna.Trial:
        assert self._open is not None, "tell or fail before ask"  # noqa: S101  # the runner's order
        return self._open


def _is_choice(parameter: object) -> bool:
    return isinstance(parameter, Bool) or (isinstance(parameter, Choice) and not parameter.ordered)


MAKERS = {"cma-es": CmaEsPlanner}
