"""CMA-ES with margin for every kind of parameter: CatCMA with margin of the package `cmaes` (Hamano et al. 2025).

The margin keeps integers and choices from settling on one value too early. Every parameter is always part of a point;
an inactive one is left out of the configuration. With several objectives it follows the first.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np

from tunesmith.agent.sampler.alternatives.replay import TrialResult, next_params
from tunesmith.agent.sampler.base import Suggestion
from tunesmith.agent.sampler.candidates.deduplication import draw_new_params, values_of
from tunesmith.study.optional_packages import require
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import Bool, Choice, Parameter, imputed_value
from tunesmith.study.trials.replicates.seeds import derived_seed
from tunesmith.study.trials.view import StudyView

_STEP = 0.25
"""Standard deviation of the first steps, as a part of each range."""

_FINEST = 64
"""Largest number of values of a parameter that get a margin; finer ones count as continuous."""


class CmaEsSampler:
    """The evolution strategy about the default; each suggestion runs it again from the first trial.

    Raises:
        ProjectError: cmaes is not installed.
    """

    def __init__(self) -> None:
        require("cmaes", purpose="the sampler cma-es", extra="cma-es")

    def suggest(self, view: StudyView) -> Suggestion:
        """Return the next point of the present generation, or a random one when it finds none that is new.

        Raises:
            SpaceExhausted: the space is finite and every configuration was tried.
        """
        rng = np.random.default_rng(derived_seed(view.seed, "cma-es", view.number))
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # Equal values, as in a space of few configurations, leave it without a direction.
            warnings.simplefilter("ignore")
            params = draw_new_params(view, lambda: next_params(view, _Generations(view)), rng)
        return Suggestion(params=params, rationale="next point of CMA-ES")


class _Generations:
    """The strategy, and the results of its present generation."""

    def __init__(self, view: StudyView) -> None:
        strategy: Any = import_module("cmaes").CatCMAwM  # 0.1 s

        self._space = view.space
        parameters = [p for p in view.space.parameters.values() if p.cardinality > 1]
        start, values = view.space.imputed, list(view.space.parameters.items())
        self._smooth = [n for n, p in values if _kind(p) == "smooth"]
        self._stepped = [n for n, p in values if _kind(p) == "stepped"]
        self._choices = [n for n, p in values if _kind(p) == "choice"]
        at = {n: p.to_unit(start.get(n, imputed_value(p))) for n, p in values}  # type: ignore[arg-type]  # its own type
        mean = np.array([at[name] for name in [*self._smooth, *self._stepped]])
        self._at = at
        self._results: list[tuple[Any, float]] = []
        self._optimizer: Any = parameters and strategy(
            x_space=[[0.0, 1.0]] * len(self._smooth) or None,
            z_space=[_steps(view.space.parameters[name]) for name in self._stepped] or None,
            c_space=[int(view.space.parameters[name].cardinality) for name in self._choices] or None,
            mean=mean if len(mean) else None,
            sigma=_STEP if len(mean) else None,
            seed=derived_seed(view.seed, "cma-es") % 2**32,
        )

    def ask(self) -> tuple[Any, Mapping[str, Value]]:
        """Return a solution and the allowed configuration nearest to it."""
        if not self._optimizer:
            return None, self._space.from_unit(list(self._at.values()))
        solution, at = self._optimizer.ask(), dict(self._at)
        at.update(zip(self._smooth, _list(solution.x), strict=True))
        at.update(zip(self._stepped, _list(solution.z), strict=True))
        for name, one_hot in zip(self._choices, _list(solution.c), strict=True):
            at[name] = (int(np.argmax(one_hot)) + 0.5) / self._space.parameters[name].cardinality
        found = [float(u) for u in at.values()]
        return solution, self._space.from_unit(found if np.isfinite(found).all() else list(self._at.values()))

    def tell(self, point: Any, result: TrialResult) -> None:
        """Keep the result until its generation is complete; a violated constraint outweighs any loss."""
        if not self._optimizer:
            return
        self._results.append((point, result.losses[0] + 1e6 * sum(result.violations)))
        if len(self._results) == self._optimizer.population_size:
            try:
                self._optimizer.tell(self._results)
            except (AssertionError, ValueError, np.linalg.LinAlgError):
                # Equal points and values can leave it with a distribution of no width; its points are then random.
                self._optimizer = None
            self._results = []

    def learn(self, params: Mapping[str, Value], result: TrialResult) -> None:
        """Ignore the result: a generation holds the strategy's own points only."""


def _kind(parameter: Parameter) -> str:
    if parameter.cardinality <= 1:
        return "fixed"
    if isinstance(parameter, Bool) or (isinstance(parameter, Choice) and not parameter.ordered):
        return "choice"
    return "stepped" if parameter.cardinality <= _FINEST else "smooth"


def _steps(parameter: Parameter) -> list[float]:
    """Return the coordinates of a parameter's values, in order."""
    return sorted(parameter.to_unit(value) for value in values_of(parameter))  # type: ignore[arg-type]  # its own values


def _list(found: Any) -> list[Any]:
    return [] if found is None else list(found)
