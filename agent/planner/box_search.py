"""Chooses the values of free parameters: the point in a box that the sampler's model scores best.

This is how the sampler fills in the numbers of an idea of somebody else, and how it works within a region.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tunesmith.agent.llm.answers.intervals import Interval
from tunesmith.agent.llm.candidates import Candidate
from tunesmith.agent.planner.judging.scorer import Scorer
from tunesmith.agent.sampler.candidates.deduplication import tried_keys
from tunesmith.study.space.condition import Params, Value
from tunesmith.study.space.mixtures.shares import Share
from tunesmith.study.space.parameters import Bool, Choice, Parameter
from tunesmith.study.space.values import config_key
from tunesmith.study.trials.replicates.seeds import derived_seed
from tunesmith.study.trials.results import candidates
from tunesmith.study.trials.view import StudyView

_DRAWN = 192
"""Number of random points of the box."""

_NEAR = 96
"""Number of points near good trials, moved into the box."""

SLACK = 1e-6
"""How far outside its interval a share may be."""

_GOOD_TRIALS = 4
_NEAR_STD = 0.1


def fill_free(view: StudyView, candidate: Candidate, scorer: Scorer | None) -> Mapping[str, Value] | None:
    """Return the candidate's configuration with the best values of its free parameters; None if none is new.

    Without a model the first one is the candidate's own values, then random ones.
    """
    rng = np.random.default_rng(derived_seed(view.seed, "free", view.number))
    pool = [dict(candidate.params)]
    fixed = {name: value for name, value in candidate.params.items() if name not in candidate.free}
    kept_shares = [name for name in fixed if isinstance(view.space.parameters.get(name), Share)]
    good = [t.params for t in candidates(view.finished, view.objectives, view.constraints)[:_GOOD_TRIALS]]
    for draw in range(_DRAWN + (_NEAR if good else 0)):
        near: Params = good[draw % len(good)] if draw >= _DRAWN else {}
        values = {n: _drawn(view.space.parameters[n], i, near.get(n), rng) for n, i in candidate.free.items()}
        pool.append(view.space.clip({**candidate.params, **fixed, **values}, keep=kept_shares))
    tried = tried_keys(view)
    new = list({config_key(params): params for params in pool if config_key(params) not in tried}.values())
    if not new:
        return None
    # Shares are scaled to a sum of 1, which may move one out of its interval.
    new = [params for params in new if _is_within(view, candidate, params)] or new
    return new[_best(view, new, scorer)]


def _is_within(view: StudyView, candidate: Candidate, params: Params) -> bool:
    for name, interval in candidate.free.items():
        value = params.get(name)
        if not isinstance(view.space.parameters.get(name), Share) or not isinstance(value, float):
            continue
        if not interval.low - SLACK <= value <= interval.high + SLACK:
            return False
    return True


def _best(view: StudyView, pool: Sequence[Params], scorer: Scorer | None) -> int:
    scores = scorer.score(view, pool) if scorer is not None else None
    if scores is None:
        return 0
    return min(range(len(pool)), key=lambda index: scores[index].log_ei_gap)


def _drawn(parameter: Parameter, interval: Interval, near: Value, rng: np.random.Generator) -> Value:
    """Return a value within the interval: uniform on the parameter's scale, or near another value."""
    if isinstance(parameter, Choice | Bool):
        is_kept = near is not None and rng.random() < 1.0 - _NEAR_STD
        return near if is_kept else parameter.from_unit(float(rng.random()))
    low = parameter.to_unit(parameter.clip(interval.low))  # type: ignore[arg-type]  # each kind takes its own type
    high = parameter.to_unit(parameter.clip(interval.high))  # type: ignore[arg-type]
    if near is None:
        return parameter.from_unit(float(rng.uniform(low, high)))
    moved = parameter.to_unit(near) + _NEAR_STD * (high - low) * float(rng.normal())  # type: ignore[arg-type]
    return parameter.from_unit(min(max(moved, low), high))
