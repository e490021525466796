"""Optuna's TPE and GP samplers with their default settings. Knows no model."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from tunesmith.agent.sampler.base import Suggestion
from tunesmith.agent.sampler.candidates.deduplication import draw_new_params
from tunesmith.study.optional_packages import require
from tunesmith.study.space.condition import Value
from tunesmith.study.space.mixtures.rows import shares_at
from tunesmith.study.space.mixtures.shares import Share
from tunesmith.study.space.parameters import Bool, Choice, Float, Int, Parameter
from tunesmith.study.space.rules.repair import nearest_allowed
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.replicates.seeds import derived_seed
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import StudyView, objective_values
from tunesmith.tools.quiet_optuna import quiet_optuna

if TYPE_CHECKING:
    import optuna

WIDEST_INT = 10_000
"""Widest integer range passed to Optuna as integers; its GP sampler lists every value, so wider ones become floats."""


class OptunaSampler:
    """One of Optuna's samplers; each suggestion starts a new Optuna study with the whole history.

    Raises:
        ProjectError: Optuna is not installed, or torch for `optuna-gp`.
    """

    def __init__(self, name: str) -> None:
        require("optuna", purpose=f"the sampler {name}", extra="optuna")
        self.name = name
        if name == "optuna-gp":
            require("torch", purpose="the sampler optuna-gp", extra="torch")

    def suggest(self, view: StudyView) -> Suggestion:
        """Return Optuna's next point, or a random one when that was tried before.

        Raises:
            SpaceExhausted: the space is finite and every configuration was tried.
        """
        seed = derived_seed(view.seed, self.name, view.number)
        rng = np.random.default_rng(seed)
        params = draw_new_params(view, lambda: self._ask(view, seed), rng)
        return Suggestion(params=params, rationale=f"next point of {self.name}")

    def _ask(self, view: StudyView, seed: int) -> dict[str, Value]:
        import optuna  # 0.2 s

        with warnings.catch_warnings(), quiet_optuna():
            # Optuna warns that constraints and grouped TPE are experimental; the user did not choose them.
            warnings.simplefilter("ignore")
            study = optuna.create_study(
                directions=[o.direction.value for o in view.objectives], sampler=self._sampler(seed)
            )
            study.add_trials([_to_frozen_trial(trial, view) for trial in [*view.finished, *view.pending]])
            return ask_each(study.ask(), view.space)

    def _sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        import optuna

        if self.name == "optuna-gp":
            return optuna.samplers.GPSampler(seed=seed, deterministic_objective=False)
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True)


def ask_each(trial: optuna.Trial, space: SearchSpace) -> dict[str, Value]:
    """Suggest each active parameter, guards first, as a define-by-run objective would.

    Returns:
        The configuration, or the nearest that the space's rules allow.

    Raises:
        SpaceExhausted: rules forbid every configuration that was looked at.
    """
    values: dict[str, Value] = {}
    coordinates: dict[str, float] = {}
    for name in space.dependency_order:
        parameter = space.parameters[name]
        if name in space.active({**values, name: None}):
            found = _suggest_one(trial, name, to_distribution(parameter))
            if isinstance(parameter, Share):
                coordinates[name] = found
                values |= shares_at(space.mixtures, coordinates)
            else:
                values[name] = _from_optuna_value(parameter, found)
    return nearest_allowed(space, {name: values[name] for name in space.names if name in values})


def _suggest_one(trial: optuna.Trial, name: str, distribution: Any) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    suggest = trial.suggest_float if isinstance(distribution, FloatDistribution) else trial.suggest_int
    return suggest(name, distribution.low, distribution.high, log=distribution.log, step=distribution.step)


def _to_frozen_trial(trial: Trial, view: StudyView) -> optuna.trial.FrozenTrial:
    import optuna

    values = objective_values(trial, view.objectives)
    if values is not None and any(math.isnan(value) for value in values):
        values = None  # Optuna refuses a completed trial with nan.
    states = optuna.trial.TrialState
    state = states.RUNNING if not trial.state.is_finished else states.FAIL if values is None else states.COMPLETE
    parameters = {name: view.space.parameters[name] for name in trial.params}
    violations = {c.metric: c.violation(trial.values.get(c.metric, math.inf)) for c in view.constraints}
    return optuna.trial.create_trial(
        state=state,
        values=list(values) if values is not None else None,
        params={name: to_optuna_value(p, trial.params[name]) for name, p in parameters.items()},
        distributions={name: to_distribution(p) for name, p in parameters.items()},
        constraints=violations if violations and values is not None else None,
    )


def to_distribution(parameter: Parameter) -> optuna.distributions.BaseDistribution:
    """Return Optuna's distribution of a parameter: ordered choices by index, very wide integers as floats."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    match parameter:
        case Share():
            # Uniform coordinates of all shares are a uniform mixture; ranges of shares would not sum to 1.
            return FloatDistribution(0.0, 1.0)
        case Float() | Int() if _is_by_index(parameter):
            return IntDistribution(0, int(parameter.cardinality) - 1)
        case Float(low=low, high=high, log=log, step=step):
            return FloatDistribution(low, high, log=log, step=step)
        case Int(low=low, high=high, log=log, step=step):
            if parameter.cardinality > WIDEST_INT:
                return FloatDistribution(low, high, log=log)
            return IntDistribution(low, high, log=log, step=step or 1)
        case Choice(choices=choices, ordered=True):
            return IntDistribution(0, len(choices) - 1)
        case Choice(choices=choices):
            return CategoricalDistribution(range(len(choices)))
        case Bool():
            return CategoricalDistribution([False, True])
    raise AssertionError(parameter)


def _is_by_index(parameter: Parameter) -> bool:
    """Return whether Optuna gets the index of a value, since it knows no multiples on a log scale and no powers."""
    has_grid = isinstance(parameter, Float | Int) and (parameter.multiple_of or parameter.power_of) is not None
    return has_grid and parameter.cardinality <= WIDEST_INT


def to_optuna_value(parameter: Parameter, value: Value) -> Any:
    """Return Optuna's form of a value: choices, multiples and powers by index, shares by coordinate."""
    if isinstance(parameter, Share):
        return parameter.to_unit(value)  # type: ignore[arg-type]  # a share
    if isinstance(parameter, Choice) or _is_by_index(parameter):
        return int(parameter.to_unit(value) * parameter.cardinality)  # type: ignore[arg-type]  # its own type
    return float(value) if isinstance(parameter, Int) and parameter.cardinality > WIDEST_INT else value  # type: ignore[arg-type]  # an Int's value


def _from_optuna_value(parameter: Parameter, value: Any) -> Value:
    """Return our form of Optuna's value."""
    if isinstance(parameter, Choice):
        return parameter.choices[int(value)]
    if _is_by_index(parameter):
        return parameter.from_unit((int(value) + 0.5) / parameter.cardinality)
    return parameter.clip(value)
