"""Our Bayesian sampler as an Optuna sampler, for people who live in Optuna.

Nothing is kept between calls but the seed: a suggestion follows from the seed, the trial's number and the study's
trials, so a study that was killed and loaded again goes on as the uninterrupted one would.
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
    is_known,
    others_than,
    suggestion_for,
    translate,
    view_of,
)
from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.agent.sampler.deduplication import random_params
from tunesmith.study.errors import Mistake, SpaceExhausted, SpecError
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.seeds import derived_seed

ENOUGH = 4
"""From so many finished trials on a parameter that is sampled alone is learned from; before, it is drawn evenly."""

_ONE_AT_A_TIME = threading.Lock()
"""A thread of `n_jobs` must see what the one before it was given, and the number of BLAS threads is the process's."""


class TunesmithSampler(BaseSampler):
    """Samples by Tunesmith's Bayesian sampler: any number of objectives, constraints, failed and pruned trials.

    Args:
        space: the search space, with defaults and conditions (`when=`); the first trial is then its default. Left out,
            it is what the finished trials have in common, as for Optuna's own samplers, and parameters beyond that are
            sampled one by one.
        seed: makes a study repeatable; with None each sampler differs.

    Raises:
        SpecError: the space is wrong; with every mistake.
    """

    def __init__(self, space: Mapping[str, Parameter] | SearchSpace | None = None, *, seed: int | None = None) -> None:
        self._declared = None if space is None else declare(_checked(space))
        self._seed = secrets.randbits(31) if seed is None else seed

    def reseed_rng(self) -> None:
        """Take a new seed, so that parallel workers differ."""
        self._seed = secrets.randbits(31)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the parameters that are sampled together."""
        if self._declared is not None:
            return dict(self._declared.distributions)
        shared = intersection_search_space(others_than(study, trial))
        return {name: distribution for name, distribution in shared.items() if is_known(distribution)}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return values for them; parameters whose condition does not hold are left out."""
        if not search_space:
            return {}
        whole = self._declared is not None and set(search_space) == set(self._declared.names)
        translation = self._declared if self._declared is not None and whole else translate(search_space)
        with _ONE_AT_A_TIME:
            return self._suggested(study, trial, translation, self._seed)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a value for a parameter that not every trial has, sampled with those that always come with it."""
        self._warn_of_mismatch(param_name, param_distribution)
        seed = derived_seed(self._seed, "optuna", param_name)
        if is_known(param_distribution):
            with _ONE_AT_A_TIME:
                heard = self._with_companions(study, trial, param_name, param_distribution, seed)
            if heard is not None:
                return heard
        even = RandomSampler(seed=derived_seed(seed, trial.number))
        return even.sample_independent(study, trial, param_name, param_distribution)

    def _with_companions(
        self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution, seed: int
    ) -> Any:
        """Return a value for the parameter, None while too little is known of it."""
        kept = suggestion_for(trial)
        if name in kept and distribution._contains(kept[name]):
            return distribution.to_external_repr(kept[name])
        together = companions(others_than(study, trial), name, distribution)
        given = {*trial.params, *kept} - {name}
        translation = translate({n: d for n, d in together.items() if n not in given and is_known(d)})
        # The very first trial lies in the middle of everything, or where its names say.
        if trial.number == 0 or len(view_of(study, trial, translation, seed=seed).finished) >= ENOUGH:
            return self._suggested(study, trial, translation, seed)[name]
        return None

    def _suggested(self, study: Study, trial: FrozenTrial, translation: Translation, seed: int) -> dict[str, Any]:
        try:
            params: Mapping[str, Value] = BayesSampler().suggest(view_of(study, trial, translation, seed=seed)).params
        except SpaceExhausted:
            # A study of Optuna's ends when its user says so: what was tried is tried again.
            rng = np.random.default_rng(derived_seed(seed, "again", trial.number))
            params = random_params(translation.space, rng)
        heard = translation.heard(params)
        kept = {**suggestion_for(trial), **translation.kept(heard)}
        # No public call of Optuna's does this; its own samplers share what they suggest in the same way.
        study._storage.set_trial_system_attr(trial._trial_id, SUGGESTED, kept)
        return heard

    def _warn_of_mismatch(self, name: str, asked: BaseDistribution) -> None:
        declared = None if self._declared is None else self._declared.distributions.get(name)
        if declared is not None and declared != asked:
            warnings.warn(
                f"{name}: the space given to TunesmithSampler says {declared}, the objective asks for {asked}; "
                "it is sampled apart from the others. Write the same range in both.",
                stacklevel=2,
            )


def _checked(space: Mapping[str, Parameter] | SearchSpace) -> SearchSpace:
    if isinstance(space, SearchSpace):
        return space
    if not isinstance(space, Mapping):
        raise SpecError([Mistake("", f"{space!r} is no dict; write {{'lr': ts.Float(1e-5, 1.0, log=True)}}")])
    strange = [
        Mistake(str(name), f"{value!r} is no parameter; write ts.Float(0.0, 1.0), ts.Int, ts.Choice or ts.Bool")
        for name, value in space.items()
        if not isinstance(value, Parameter)
    ]
    if strange:
        raise SpecError(strange)
    return SearchSpace(space)
