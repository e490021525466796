"""The Bayesian sampler keeps suggestions apart from known configurations and from trials that run at the same time."""

from __future__ import annotations

import numpy as np
from fakes.views import Params, Result, view

from tunesmith.agent.sampler.bayes import NEAR, BayesSampler
from tunesmith.agent.sampler.candidates.deduplication import random_params
from tunesmith.study.space.parameters import Float
from tunesmith.study.space.space import SearchSpace

SQUARE = SearchSpace({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})


def coordinates(params: Params) -> list[float]:
    return SQUARE.to_unit(params)


def test_one_point_with_many_results_is_not_suggested_again() -> None:
    history: list[tuple[Params, Result]] = [({"x": 0.5, "y": 0.5}, 0.1 * i) for i in range(12)]
    x, y = coordinates(BayesSampler().suggest(view(SQUARE, history)).params)
    assert max(abs(x - 0.5), abs(y - 0.5)) > NEAR


def test_pending_trials_keep_a_batch_apart() -> None:
    rng = np.random.default_rng(0)
    history: list[tuple[Params, Result]] = [(random_params(SQUARE, rng), v) for v in (0.5, 0.4, 0.9, 0.3, 0.8, 0.2)]
    for _ in range(6):
        history.append((BayesSampler().suggest(view(SQUARE, history)).params, None))
    batch = np.array([coordinates(params) for params, result in history if result is None])
    gaps = np.abs(batch[:, None] - batch[None]).max(axis=2)[np.triu_indices(6, 1)]
    assert gaps.min() > 0.01


def test_no_point_is_suggested_next_to_a_known_one() -> None:
    history: list[tuple[Params, Result]] = []
    for _ in range(40):
        params = BayesSampler().suggest(view(SQUARE, history)).params
        x, y = coordinates(params)
        known = np.array([coordinates(earlier) for earlier, _ in history]).reshape(-1, 2)
        assert (np.abs(known - [x, y]).max(axis=1) > NEAR).all()
        history.append((params, (x - 0.3) ** 2 + (y - 0.3) ** 2))


def test_ten_thousand_trials_are_within_reach() -> None:
    space, rng = SearchSpace({f"x{i}": Float(0.0, 1.0) for i in range(10)}), np.random.default_rng(0)
    history: list[tuple[Params, Result]] = [(random_params(space, rng), float(np.sin(i))) for i in range(10_000)]
    params = BayesSampler().suggest(view(space, history)).params
    assert space.check(params) == []
    assert params not in [known for known, _ in history]
