"""Nevergrad's NGOpt, which picks one of its optimizers by the number of parameters and trials.

Every parameter is always part of a point; an inactive one is left out of the configuration.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np

from tunesmith.agent.sampler.alternatives.replay import TrialResult, next_params
from tunesmith.agent.sampler.base import Suggestion
from tunesmith.agent.sampler.candidates.deduplication import draw_new_params
from tunesmith.study.optional_packages import require
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import Bool, Choice, Parameter, imputed_value
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.replicates.seeds import derived_seed
from tunesmith.study.trials.view import StudyView

_USUAL_TRIALS = 128
"""Number of trials for which NGOpt picks its optimizer where the study has no limit."""

_AT_ONCE = 2
"""Number of points that may be without a result. With 1 it picks optimizers that wait for each result, and would wait
forever for that of a trial that runs."""


class NevergradSampler:
    """NGOpt; each suggestion runs it again from the first trial.

    Raises:
        ProjectError: nevergrad is not installed.
    """

    def __init__(self) -> None:
        require("nevergrad", purpose="the sampler nevergrad", extra="nevergrad")

    def suggest(self, view: StudyView) -> Suggestion:
        """Return NGOpt's next point, or a random one when it finds none that is new.

        Raises:
            SpaceExhausted: the space is finite and every configuration was tried.
        """
        rng = np.random.default_rng(derived_seed(view.seed, "nevergrad", view.number))
        with warnings.catch_warnings():
            # It warns of ties, large losses and optimizers that it picks; the user chose none of these.
            warnings.simplefilter("ignore")
            params = draw_new_params(view, lambda: next_params(view, _NGOpt(view)), rng)
        return Suggestion(params=params, rationale="next point of nevergrad's NGOpt")


class _NGOpt:
    """NGOpt on the unit cube, with unordered choices as such."""

    def __init__(self, view: StudyView) -> None:
        ng: Any = import_module("nevergrad")  # 1.5 s

        self._space = view.space
        start = view.space.imputed
        axes = {name: _axis(p, start.get(name, imputed_value(p))) for name, p in view.space.parameters.items()}
        parametrization = ng.p.Dict(**axes)
        parametrization.random_state = np.random.RandomState(derived_seed(view.seed, "nevergrad") % 2**32)  # noqa: NPY002  # nevergrad's own
        self._optimizer = ng.optimizers.NGOpt(parametrization, budget=_budget(view), num_workers=_AT_ONCE)

    def ask(self) -> tuple[Any, Mapping[str, Value]]:
        """Return a candidate and the allowed configuration nearest to it."""
        candidate = self._optimizer.ask()
        return candidate, self._space.from_unit(_units(self._space, candidate.value))

    def tell(self, point: Any, result: TrialResult) -> None:
        """Pass the losses on; several are combined by nevergrad."""
        losses = result.losses[0] if len(result.losses) == 1 else list(result.losses)
        self._optimizer.tell(point, losses, constraint_violation=list(result.violations) or None)

    def learn(self, params: Mapping[str, Value], result: TrialResult) -> None:
        """Tell a candidate that was not asked for, where the optimizer can take one."""
        refused: Any = import_module("nevergrad.common.errors").TellNotAskedNotSupportedError
        values = {
            name: _coordinate(p, params[name] if name in params else imputed_value(p))
            for name, p in self._space.parameters.items()
        }
        try:
            self.tell(self._optimizer.parametrization.spawn_child(new_value=values), result)
        except refused:
            return


def _budget(view: StudyView) -> int:
    """Return the number of trials of the study, rounded up to a power of two.

    An estimate that changes a little from trial to trial must not change which optimizer runs.
    """
    total = view.number + view.runs_left
    return 2 ** math.ceil(math.log2(max(total, 1))) if math.isfinite(total) else _USUAL_TRIALS


def _is_unordered(parameter: Parameter) -> bool:
    return isinstance(parameter, Bool) or (isinstance(parameter, Choice) and not parameter.ordered)


def _axis(parameter: Parameter, start: Value) -> Any:
    ng: Any = import_module("nevergrad")

    at = _coordinate(parameter, start)
    if not _is_unordered(parameter):
        return ng.p.Scalar(init=at, lower=0.0, upper=1.0)
    axis = ng.p.Choice(list(range(int(parameter.cardinality))))
    axis.value = at
    return axis


def _coordinate(parameter: Parameter, value: Value) -> Any:
    """Return the index of an unordered value, else the coordinate in [0, 1]."""
    unit = parameter.to_unit(value)  # type: ignore[arg-type]  # each kind takes its own type
    return int(unit * parameter.cardinality) if _is_unordered(parameter) else unit


def _units(space: SearchSpace, values: Mapping[str, Any]) -> list[float]:
    return [
        (values[name] + 0.5) / p.cardinality if _is_unordered(p) else float(values[name])
        for name, p in space.parameters.items()
    ]
