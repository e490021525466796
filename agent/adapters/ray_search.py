"""Tunesmith's Bayesian sampler as a Ray Tune searcher. Its state is plain values, which Ray can save and restore."""

from __future__ import annotations

import math
import pickle
import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher
from ray.tune.search.sample import Categorical, Domain, LogUniform, Quantized, Uniform
from ray.tune.search.sample import Float as RayFloat
from ray.tune.search.sample import Integer as RayInteger
from ray.tune.search.variant_generator import parse_spec_vars

from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.study.errors import Mistake, SpaceExhausted, SpecError
from tunesmith.study.space.condition import Value
from tunesmith.study.space.mixtures.rows import Declared
from tunesmith.study.space.parameters import Choice, Float, Int, Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Proposal, Source, Trial, TrialState, Usage
from tunesmith.study.trials.view import Direction, Objective, StudyView

_DIRECTIONS = {"min": Direction.MINIMIZE, "max": Direction.MAXIMIZE}


class TunesmithSearch(Searcher):  # type: ignore[misc]  # Ray is not typed
    """Proposes by Tunesmith's Bayesian sampler, which also learns from failed trials.

    Args:
        space: parameters by name, with defaults and conditions (`when=`); the first trial is then the default. None
            for `param_space` of Ray's Tuner. Parameters that are not active are not in a trial's config.
        metric: the metric that trials report; None for that of Ray's TuneConfig.
        mode: "min" or "max"; None for that of Ray's TuneConfig.
        points: configurations to run first.
        seed: makes a search repeatable; None for a random seed.

    Raises:
        SpecError: the space is not valid, or a point does not fit it.
    """

    def __init__(
        self,
        space: Declared | SearchSpace | None = None,
        *,
        metric: str | None = None,
        mode: str | None = None,
        points: list[dict[str, Value]] | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(metric=metric, mode=mode)
        self._metric: str | None = metric
        self._mode: str | None = mode
        self._space = space if isinstance(space, SearchSpace) or space is None else SearchSpace(space)
        self._seed = secrets.randbits(31) if seed is None else seed
        self._points = list(points or [])
        self._trials: dict[str, Trial] = {}
        self._fixed: dict[str, Any] = {}
        if self._space is not None:
            self._check_points(self._space)

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        """Set the space, metric and mode of Ray's Tuner; return whether that was possible."""
        if self._space is None:
            self._space, self._fixed = _from_ray(config)
            self._check_points(self._space)
        elif config:
            _, domains, grids = parse_spec_vars(config)
            if domains or grids:
                return False
            self._fixed = dict(config)
        self._metric = metric or self._metric
        self._mode = mode or self._mode or "max"
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the next configuration; Searcher.FINISHED once a finite space is exhausted."""
        if self._space is None or self._metric is None:
            raise SpecError(
                [Mistake("metric and space", "are missing: give them here, or as TuneConfig(metric=) and param_space")],
                where="TunesmithSearch",
            )
        default = self._space.default
        if self._points:
            params: Mapping[str, Value] = self._space.parse(self._points.pop(0))
        elif not self._trials and default is not None:
            params = default
        else:
            try:
                params = BayesSampler().suggest(self._view(self._space)).params
            except SpaceExhausted:
                return str(Searcher.FINISHED)
        proposal = Proposal(params=params, source=Source.SAMPLER, seed=0)
        self._trials[trial_id] = Trial(number=len(self._trials), proposal=proposal, state=TrialState.RUNNING)
        return {**self._fixed, **self._space.nested(params)}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Learn from a trial that ended: from its last value, or from its failure."""
        trial = self._trials.get(trial_id)
        if trial is None or trial.state.is_finished:
            return
        value = _finite((result or {}).get(str(self._metric)))
        usage = Usage(wall_s=float((result or {}).get("time_total_s") or 0.0))
        if error or value is None:
            kind = FailureKind.CRASH if error else FailureKind.NO_METRIC
            reason = "it failed in Ray" if error else f"it ended without a finite {self._metric}"
            failure = Failure(kind=kind, reason=reason)
            outcome = Outcome(state=TrialState.FAILED, failure=failure, usage=usage)
        else:
            outcome = Outcome(state=TrialState.COMPLETE, values={str(self._metric): value}, usage=usage)
        self._trials[trial_id] = replace(trial, state=outcome.state, outcome=outcome)

    def add_evaluated_point(
        self,
        parameters: dict[str, Value],
        value: float,
        error: bool = False,
        pruned: bool = False,
        intermediate_values: list[float] | None = None,
    ) -> None:
        """Learn from a trial that ran outside of this search."""
        if self._space is None:
            raise SpecError(
                [Mistake("space", "is missing: give it to TunesmithSearch before points are added")],
                where="TunesmithSearch",
            )
        name = f"added {len(self._trials)}"
        proposal = Proposal(params=self._space.parse(parameters), source=Source.USER, seed=0)
        self._trials[name] = Trial(number=len(self._trials), proposal=proposal, state=TrialState.RUNNING)
        self.on_trial_complete(name, {str(self._metric): value}, error)

    def save(self, checkpoint_path: str) -> None:
        """Save the state to a file."""
        state = {name: value for name, value in self.__dict__.items() if name.startswith("_")}
        Path(checkpoint_path).write_bytes(pickle.dumps(state))

    def restore(self, checkpoint_path: str) -> None:
        """Load the state that `save` wrote. Trials that were running then are not suggested again."""
        self.__dict__.update(pickle.loads(Path(checkpoint_path).read_bytes()))

    def _view(self, space: SearchSpace) -> StudyView:
        return StudyView(
            space=space,
            objectives=(Objective(str(self._metric), _DIRECTIONS[self._mode or "max"]),),
            trials=tuple(self._trials.values()),
            number=len(self._trials),
            seed=self._seed,
        )

    def _check_points(self, space: SearchSpace) -> None:
        own = [space.own_values(point) for point in self._points]
        mistakes = [m.under(f"points.{i}") for i, point in enumerate(own) for m in space.check(point)]
        if mistakes:
            raise SpecError(mistakes, where="TunesmithSearch")


def _from_ray(config: Mapping[str, Any]) -> tuple[SearchSpace, dict[str, Any]]:
    """Return Ray's search space as a SearchSpace, and its fixed values."""
    parameters: dict[str, Parameter] = {}
    fixed: dict[str, Any] = {}
    mistakes = []
    for name, value in config.items():
        if not isinstance(value, Domain):
            fixed[name] = value
            continue
        try:
            parameters[name] = _parameter(value)
        except (SpecError, TypeError) as error:
            mistakes.append(Mistake(name, f"{error}; write TunesmithSearch(space=...) instead"))
    if mistakes:
        raise SpecError(mistakes, where="param_space")
    return SearchSpace(parameters), fixed


def _parameter(domain: Any) -> Parameter:
    """Return Ray's domain as a parameter. Ray's integer ranges exclude their upper bound unless they are quantized.

    Raises:
        TypeError: the domain has no bounds, such as randn or sample_from.
    """
    sampler = domain.get_sampler()
    step = sampler.q if isinstance(sampler, Quantized) else None
    inner = sampler.sampler if isinstance(sampler, Quantized) else sampler
    log = isinstance(inner, LogUniform)
    if isinstance(domain, Categorical):
        return Choice(domain.categories)
    if isinstance(domain, RayFloat) and isinstance(inner, Uniform | LogUniform):
        return Float(domain.lower, domain.upper, log=log, step=None if log else step)
    if isinstance(domain, RayInteger) and isinstance(inner, Uniform | LogUniform):
        int_step = None if log or step in (None, 1) else int(step)
        return Int(domain.lower, domain.upper - int(step is None), log=log, step=int_step)
    text = domain.domain_str if hasattr(domain, "domain_str") else domain
    raise TypeError(f"{text} has no bounds, so it cannot be searched")


def _finite(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
