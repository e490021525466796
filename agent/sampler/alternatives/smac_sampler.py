"""SMAC: a random forest and log expected improvement, by its facade for hyperparameter optimization.

The first points are those of its Sobol design; from then on each suggestion starts a new SMAC with the whole history.
With several objectives it follows the first.
"""

from __future__ import annotations

import contextlib
import logging
import math
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.agent.sampler.base import Suggestion
from tunesmith.agent.sampler.candidates.deduplication import draw_new_params
from tunesmith.study.optional_packages import require
from tunesmith.study.space.condition import Comparison, Condition, Value
from tunesmith.study.space.parameters import Bool, Choice, Parameter, imputed_value
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.replicates.seeds import derived_seed
from tunesmith.study.trials.view import StudyView, objective_values

_FIRST_SHARE = 0.25
"""Share of the trials that SMAC's design may take, as in its facade."""

_LARGEST = 1e12
"""Size to which costs are clipped."""

_USUAL_TRIALS = 50
"""Number of trials that the design is made for where the study has no limit."""


class SmacSampler:
    """SMAC with its default settings.

    Raises:
        ProjectError: smac is not installed.
    """

    def __init__(self) -> None:
        require("smac", purpose="the sampler smac", extra="smac")

    def suggest(self, view: StudyView) -> Suggestion:
        """Return SMAC's next point, or a random one when that was tried before.

        Raises:
            SpaceExhausted: the space is finite and every configuration was tried.
        """
        rng = np.random.default_rng(derived_seed(view.seed, "smac", view.number))
        # It prints and logs its own progress, and warns of what the user did not choose.
        with _quiet(), tempfile.TemporaryDirectory() as folder:
            params = draw_new_params(view, lambda: _ask(view, Path(folder)), rng)
        return Suggestion(params=params, rationale="next point of SMAC")


def _ask(view: StudyView, folder: Path) -> Mapping[str, Value]:
    import smac  # 2 s

    total = view.number + view.runs_left
    trials = int(total) if math.isfinite(total) else _USUAL_TRIALS
    space = _config_space(view.space)
    scenario = smac.Scenario(
        space,
        deterministic=True,
        n_trials=10**6,
        seed=derived_seed(view.seed, "smac", view.number),
        output_directory=folder,
    )
    count = min(10 * len(view.space), round(_FIRST_SHARE * trials))
    if view.number < count:
        return _to_params(view.space, _design(view, space, folder, count)[view.number])
    facade = smac.HyperparameterOptimizationFacade
    nothing = facade.get_initial_design(scenario, n_configs=0)
    optimizer = facade(
        scenario, _never_called, model=_forest(scenario), initial_design=nothing, overwrite=True, logging_level=False
    )
    _tell(optimizer, view, space)
    return _to_params(view.space, optimizer.ask().config)


def _forest(scenario: Any) -> Any:
    """Return the facade's forest on one core: its threads would wait for those of the trials."""
    from smac.model.random_forest.random_forest import RandomForest

    return RandomForest(
        scenario.configspace, log_y=True, n_trees=10, ratio_features=1.0, min_samples_split=2, min_samples_leaf=1,
        seed=scenario.seed, n_jobs=1,
    )  # fmt: skip


def _design(view: StudyView, space: Any, folder: Path, count: int) -> list[Any]:
    import smac

    scenario = smac.Scenario(space, seed=derived_seed(view.seed, "smac"), output_directory=folder)
    design = smac.HyperparameterOptimizationFacade.get_initial_design(scenario, n_configs=count, max_ratio=1.0)
    found: list[Any] = design.select_configurations()
    return found + [space.get_default_configuration()] * count


def _tell(optimizer: Any, view: StudyView, space: Any) -> None:
    from smac.runhistory import StatusType, TrialInfo, TrialValue

    first, worst = view.objectives[0], -math.inf
    for trial in view.finished:
        values = objective_values(trial, (first,))
        cost = first.sign * values[0] if values else math.nan
        violated = any(c.metric in trial.values and c.violation(trial.values[c.metric]) > 0 for c in view.constraints)
        is_good = math.isfinite(cost) and not violated
        if is_good:
            cost = min(max(cost, -_LARGEST), _LARGEST)
            worst = max(worst, cost)
        # SMAC cannot fit an infinite cost: a failure counts as the worst value so far.
        value = TrialValue(
            cost=cost if is_good else worst if math.isfinite(worst) else 1.0,
            status=StatusType.SUCCESS if is_good else StatusType.CRASHED,
        )
        optimizer.tell(TrialInfo(_to_configuration(view.space, space, trial.params), seed=0), value)


def _never_called(config: Any, seed: int = 0) -> float:
    raise AssertionError("SMAC is used by ask and tell and never calls the target function")


def _config_space(space: SearchSpace) -> Any:
    """Return SMAC's space: unordered choices by index, all else by its coordinate in [0, 1]."""
    from ConfigSpace import ConfigurationSpace, InCondition

    start = space.imputed
    found = ConfigurationSpace(seed=0)
    axes = {name: _axis(name, p, start.get(name, imputed_value(p))) for name, p in space.parameters.items()}
    found.add(*axes.values())
    for name, when in space.conditions.items():
        guard = _guard(when, space)
        if guard is not None:
            found.add(InCondition(axes[name], axes[guard[0]], guard[1]))
    return found


def _axis(name: str, parameter: Parameter, start: Value) -> Any:
    import ConfigSpace as cs

    at = _coordinate(parameter, start)
    if _is_unordered(parameter):
        return cs.CategoricalHyperparameter(name, list(range(int(parameter.cardinality))), default_value=at)
    return cs.UniformFloatHyperparameter(name, 0.0, 1.0, default_value=at)


def _guard(when: Condition, space: SearchSpace) -> tuple[str, list[int]] | None:
    """Return the choice that a condition compares and the indices that it allows; None for other conditions.

    SMAC then treats the parameter as always active.
    """
    if not isinstance(when, Comparison):
        return None
    guard = space.parameters.get(when.name)
    if guard is None or not _is_unordered(guard):
        return None
    values = guard.choices if isinstance(guard, Choice) else (False, True)
    allowed = [index for index, value in enumerate(values) if when.holds({when.name: value})]
    return (when.name, allowed) if allowed else None


def _to_configuration(space: SearchSpace, smac_space: Any, params: Mapping[str, Value]) -> Any:
    from ConfigSpace.util import deactivate_inactive_hyperparameters

    values = {
        name: _coordinate(p, params[name] if name in params else imputed_value(p))
        for name, p in space.parameters.items()
    }
    return deactivate_inactive_hyperparameters(values, smac_space)


def _to_params(space: SearchSpace, configuration: Any) -> Mapping[str, Value]:
    found = dict(configuration)
    at = [found.get(name, _coordinate(p, imputed_value(p))) for name, p in space.parameters.items()]
    return space.from_unit(
        [
            (int(u) + 0.5) / p.cardinality if _is_unordered(p) else float(u)
            for u, p in zip(at, space.parameters.values(), strict=True)
        ]
    )


def _is_unordered(parameter: Parameter) -> bool:
    return isinstance(parameter, Bool) or (isinstance(parameter, Choice) and not parameter.ordered)


def _coordinate(parameter: Parameter, value: Value) -> Any:
    """Return the index of an unordered value, else the coordinate in [0, 1]."""
    unit = parameter.to_unit(value)  # type: ignore[arg-type]  # each kind takes its own type
    return int(unit * parameter.cardinality) if _is_unordered(parameter) else unit


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence what SMAC prints, logs and warns of: the user did not choose it."""
    logger = logging.getLogger("smac")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(None):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
