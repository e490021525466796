"""Translates an Optuna study to a StudyView, and Tunesmith's configurations to Optuna's names. Knows no sampler."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from tunesmith.study.errors import SpecError
from tunesmith.study.space.condition import Value, same
from tunesmith.study.space.parameters import Choice, Parameter, imputed_value
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.space.values import own_value
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import Constraint, Direction, Objective, StudyView
from tunesmith.tools.interop.optuna.space import distribution_of, parameter_of

SUGGESTED = "tunesmith:params"
"""Attribute of an Optuna trial that holds its suggestion, so that other workers see it before the trial asks for it."""

_STATES = {
    OptunaState.COMPLETE: TrialState.COMPLETE,
    OptunaState.PRUNED: TrialState.STOPPED,
    OptunaState.FAIL: TrialState.FAILED,
    OptunaState.RUNNING: TrialState.RUNNING,
}
_MIN_FLOATS = 1e6
"""Number of floats in a range below which it cannot be modelled: the range has no usable middle."""


@dataclass(frozen=True, slots=True)
class Translation:
    """A search space of Tunesmith for parameters of Optuna.

    Attributes:
        space: the search space.
        names: the name in `space` by Optuna's name.
        distributions: by Optuna's name.
        is_declared: whether the user declared the space; a script then need not ask for every parameter.
    """

    space: SearchSpace
    names: Mapping[str, str]
    distributions: Mapping[str, BaseDistribution]
    is_declared: bool = False

    def from_optuna(self, trial: FrozenTrial) -> dict[str, Value] | None:
        """Return the trial's configuration; None if it does not fit the space.

        Parameters that the script has not asked for have their suggested value. In a running trial without a
        suggestion they have their imputed value.
        """
        try:
            known = self._known_values(trial)
        except (ValueError, IndexError):  # a category that the present distribution does not have
            return None
        if known and trial.state is OptunaState.RUNNING:
            known = {**{name: imputed_value(p) for name, p in self.space.parameters.items()}, **known}
        fitting = {name: known[name] for name in self.space.active(known)}
        return fitting if self.space.contains(fitting) else None

    def to_optuna(self, params: Mapping[str, Value]) -> dict[str, Any]:
        """Return a configuration with Optuna's names and values."""
        return {
            name: _to_optuna(self.space.parameters[own], self.distributions[name], params[own])
            for name, own in self.names.items()
            if own in params
        }

    def to_stored(self, values: Mapping[str, Any]) -> dict[str, float]:
        """Return Optuna's values in the form that is stored with the trial: numbers, categories by their index."""
        return {name: self.distributions[name].to_internal_repr(value) for name, value in values.items()}

    def _known_values(self, trial: FrozenTrial) -> dict[str, Value]:
        is_partial = self.is_declared or trial.state is not OptunaState.COMPLETE
        suggested = suggestion_for(trial) if is_partial else {}
        known: dict[str, Value] = {}
        for name, own in self.names.items():
            distribution = self.distributions[name]
            if name in trial.params:
                internal = distribution.to_internal_repr(trial.params[name])
            elif name in suggested:
                internal = suggested[name]
            else:
                continue
            known[own] = _from_optuna(self.space.parameters[own], distribution, internal)
        return known


def translate(distributions: Mapping[str, BaseDistribution]) -> Translation:
    """Return the search space for Optuna's distributions, each of which has to satisfy `is_supported`."""
    names: dict[str, str] = {}
    for name in distributions:
        # The sampler has priors for common names, such as lr in "optim.lr".
        plain = re.sub(r"\W", "_", re.split(r"[./]", name)[-1]) or "p"
        plain = plain if plain.isidentifier() else f"p_{plain}"
        while plain in names.values():
            plain += "_"
        names[name] = plain
    space = SearchSpace({names[name]: parameter_of(d) for name, d in distributions.items()})
    return Translation(space, names, distributions)


def declare(space: SearchSpace) -> Translation:
    """Return the translation of a space that the user declared; names are the same in Optuna."""
    distributions = {name: distribution_of(parameter) for name, parameter in space.parameters.items()}
    return Translation(space, {name: name for name in space.names}, distributions, is_declared=True)


def suggestion_for(trial: FrozenTrial) -> Mapping[str, float]:
    """Return what was suggested for the trial so far, in the form of `Translation.to_stored`."""
    stored: Mapping[str, float] = trial.system_attrs.get(SUGGESTED, {})
    return stored


def companions(others: Sequence[FrozenTrial], name: str, distribution: BaseDistribution) -> dict[str, BaseDistribution]:
    """Return `name` and the parameters that every complete trial with it has, as in one branch of a script."""
    shared: dict[str, BaseDistribution] | None = None
    for other in others:
        if other.state is OptunaState.COMPLETE and other.distributions.get(name) == distribution:
            theirs = other.distributions
            shared = dict(theirs) if shared is None else {n: d for n, d in shared.items() if theirs.get(n) == d}
    return {name: distribution, **(shared or {})}


def is_supported(distribution: BaseDistribution) -> bool:
    """Return whether the sampler supports it; it does not support ranges with too many or too few distinct numbers."""
    if isinstance(distribution, FloatDistribution) and distribution.step is None:
        size = max(abs(distribution.low), abs(distribution.high))
        if distribution.high - distribution.low < max(size * _MIN_FLOATS * 2.0**-53, 1e-300):
            return False
    try:
        parameter_of(distribution)
    except (SpecError, TypeError):
        return False
    return True


def view_for(study: Study, trial: FrozenTrial, translation: Translation, *, seed: int) -> StudyView:
    """Return the study as the sampler sees it when it proposes `trial`."""
    others = other_trials(study, trial)
    bounds = sorted({name for other in others for name in other.constraints})
    return StudyView(
        space=translation.space,
        objectives=tuple(Objective(_metric(i), _direction(d)) for i, d in enumerate(study.directions)),
        constraints=tuple(Constraint(metric=_bound(name), max=0.0) for name in bounds),
        trials=_trials(others, translation),
        number=trial.number,
        seed=seed,
    )


def other_trials(study: Study, trial: FrozenTrial) -> list[FrozenTrial]:
    """Return the other trials, without those that are enqueued."""
    return [t for t in study.get_trials(deepcopy=False) if t.number != trial.number and t.state in _STATES]


def _from_optuna(parameter: Parameter, distribution: BaseDistribution, internal: float) -> Value:
    if isinstance(parameter, Choice):
        return parameter.choices[int(internal)]
    value: Value = own_value(parameter, distribution.to_external_repr(internal))
    return value


def _to_optuna(parameter: Parameter, distribution: BaseDistribution, value: Value) -> Any:
    if isinstance(parameter, Choice) and isinstance(distribution, CategoricalDistribution):
        return distribution.choices[next(i for i, choice in enumerate(parameter.choices) if same(choice, value))]
    return value


def _trials(others: Sequence[FrozenTrial], translation: Translation) -> list[Trial]:
    pairs = ((other, translation.from_optuna(other)) for other in others)
    return [_trial(other, params) for other, params in pairs if params is not None]


def _trial(trial: FrozenTrial, params: Mapping[str, Value]) -> Trial:
    state = _STATES[trial.state]
    proposal = Proposal(params=params, source=Source.SAMPLER, seed=0)
    if not state.is_finished:
        return Trial(number=trial.number, proposal=proposal, state=state)
    failed = state is TrialState.FAILED
    failure = Failure(kind=FailureKind.CRASH, reason="it failed in Optuna") if failed else None
    outcome = Outcome(state=state, values=_values(trial), failure=failure)
    return Trial(number=trial.number, proposal=proposal, state=state, outcome=outcome)


def _values(trial: FrozenTrial) -> dict[str, float]:
    values = {_bound(name): value for name, value in trial.constraints.items()}
    if trial.state is OptunaState.COMPLETE:
        values |= {_metric(i): value for i, value in enumerate(trial.values)}
    elif trial.intermediate_values:
        values[_metric(0)] = trial.intermediate_values[max(trial.intermediate_values)]
    return values


def _metric(index: int) -> str:
    return f"value {index}"


def _bound(name: str) -> str:
    return f"constraint {name}"


def _direction(direction: StudyDirection) -> Direction:
    return Direction.MAXIMIZE if direction is StudyDirection.MAXIMIZE else Direction.MINIMIZE
