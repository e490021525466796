"""Tunesmith's Bayesian sampler as an Optuna sampler.

It keeps nothing between calls except the seed. A suggestion follows from the seed, the trial's number and the study's
trials, so a study that was killed and loaded again continues as if it had not been interrupted.
"""

from __future__ import annotations

import secrets
import threading
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.search_space import intersection_search_space
from optuna.study import Study
from optuna.trial import FrozenTrial

from tunesmith.agent.adapters.optuna_view import (
    SUGGESTED,
    Translation,
    companions,
    declare,
    is_supported,
    other_trials,
    suggestion_for,
    translate,
    view_for,
)
from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.agent.sampler.candidates.deduplication import random_params
from tunesmith.study.errors import Mistake, SpaceExhausted, SpecError
from tunesmith.study.space.condition import Value
from tunesmith.study.space.mixtures.rows import Declared
from tunesmith.study.space.mixtures.shares import Shares
from tunesmith.study.space.parameters import Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.replicates.seeds import derived_seed

MIN_TRIALS = 4
"""Number of finished trials with a parameter below which it is drawn uniformly when it is sampled independently."""

_LOCK = threading.Lock()
"""Lets one thread of `n_jobs` suggest at a time: it must see earlier suggestions, and BLAS threads are per process."""


class TunesmithSampler(BaseSampler):
    """Samples by Tunesmith's Bayesian sampler. Handles several objectives, constraints, failed and pruned trials.

    Args:
        space: the search space, with defaults and conditions (`when=`); the first trial is then its default. Without
            it, the space is what the finished trials have in common, as for Optuna's own samplers, and other
            parameters are sampled independently.
        seed: makes a study repeatable; None for a random seed.

    Raises:
        SpecError: the space is not valid; the message names every mistake.
    """

    def __init__(self, space: Declared | SearchSpace | None = None, *, seed: int | None = None) -> None:
        self._declared = None if space is None else declare(_checked(space))
        self._seed = secrets.randbits(31) if seed is None else seed

    def reseed_rng(self) -> None:
        """Set a random seed, so that parallel workers differ."""
        self._seed = secrets.randbits(31)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the parameters that are sampled together."""
        if self._declared is not None:
            return dict(self._declared.distributions)
        shared = intersection_search_space(other_trials(study, trial))
        return {name: distribution for name, distribution in shared.items() if is_supported(distribution)}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return values of the parameters that are sampled together, without those whose condition does not hold."""
        if not search_space:
            return {}
        is_declared = self._declared is not None and set(search_space) == set(self._declared.names)
        translation = self._declared if self._declared is not None and is_declared else translate(search_space)
        with _LOCK:
            return self._suggest(study, trial, translation, self._seed)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the value of a parameter that not every trial has, sampled together with its companions."""
        self._warn_of_mismatch(param_name, param_distribution)
        seed = derived_seed(self._seed, "optuna", param_name)
        if is_supported(param_distribution):
            with _LOCK:
                value = self._with_companions(study, trial, param_name, param_distribution, seed)
            if value is not None:
                return value
        uniform = RandomSampler(seed=derived_seed(seed, trial.number))
        return uniform.sample_independent(study, trial, param_name, param_distribution)

    def _with_companions(
        self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution, seed: int
    ) -> Any:
        """Return the value of the parameter; None while too few trials have it."""
        suggested = suggestion_for(trial)
        if name in suggested and distribution._contains(suggested[name]):
            return distribution.to_external_repr(suggested[name])
        joint = companions(other_trials(study, trial), name, distribution)
        given = {*trial.params, *suggested} - {name}
        translation = translate({n: d for n, d in joint.items() if n not in given and is_supported(d)})
        # The first trial is in the middle of the space, or at the values that the names of parameters suggest.
        if trial.number == 0 or len(view_for(study, trial, translation, seed=seed).finished) >= MIN_TRIALS:
            return self._suggest(study, trial, translation, seed)[name]
        return None

    def _suggest(self, study: Study, trial: FrozenTrial, translation: Translation, seed: int) -> dict[str, Any]:
        try:
            params: Mapping[str, Value] = BayesSampler().suggest(view_for(study, trial, translation, seed=seed)).params
        except SpaceExhausted:
            # An Optuna study ends when its user says so; once all was tried, configurations are repeated.
            rng = np.random.default_rng(derived_seed(seed, "again", trial.number))
            params = random_params(translation.space, rng)
        values = translation.to_optuna(params)
        stored = {**suggestion_for(trial), **translation.to_stored(values)}
        # Optuna has no public call for this; its own samplers share their suggestions in the same way.
        study._storage.set_trial_system_attr(trial._trial_id, SUGGESTED, stored)
        return values

    def _warn_of_mismatch(self, name: str, asked: BaseDistribution) -> None:
        declared = None if self._declared is None else self._declared.distributions.get(name)
        if declared is not None and declared != asked:
            warnings.warn(
                f"{name}: the space given to TunesmithSampler says {declared}, but the objective asks for {asked}; "
                "it is sampled independently of the other parameters. Write the same range in both places.",
                stacklevel=2,
            )


def _checked(space: Declared | SearchSpace) -> SearchSpace:
    if isinstance(space, SearchSpace):
        return space
    if not isinstance(space, Mapping):
        raise SpecError([Mistake("", f"{space!r} is not a dict; write {{'lr': ts.Float(1e-5, 1.0, log=True)}}")])
    wrong = [
        Mistake(
            str(name),
            f"{value!r} is not a parameter; write ts.Float(0.0, 1.0), ts.Int, ts.Choice or ts.Bool",
        )
        for name, value in space.items()
        if not isinstance(value, Parameter | Shares)
    ]
    if wrong:
        raise SpecError(wrong)
    return SearchSpace(space)
