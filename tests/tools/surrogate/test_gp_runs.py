"""A value that is the mean of several runs counts like those runs: noise by their number."""

from __future__ import annotations

import numpy as np
import pytest

from tunesmith.tools.surrogate import gp

RNG = np.random.default_rng(3)
Z = RNG.random((6, 2))
GROUP = np.array([0, 1])
THETA = np.log(np.array([0.5, 0.8, 1.3, 0.2]))


@pytest.mark.parametrize("runs", [[1, 1, 1, 1, 1, 1], [3, 1, 1, 1, 1, 1], [2, 5, 1, 4, 3, 7]])
def test_the_mean_of_runs_predicts_like_the_runs_themselves(runs: list[int]) -> None:
    each = [RNG.normal(size=count) for count in runs]
    queries = RNG.random((9, 2))
    means = np.array([values.mean() for values in each])
    whole = gp.condition(np.repeat(Z, runs, axis=0), np.concatenate(each), THETA, GROUP).predict(queries)
    short = gp.condition(Z, means, THETA, GROUP, np.array(runs, dtype=float)).predict(queries)
    # Equal rows need some jitter.
    np.testing.assert_allclose(short[0], whole[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(short[1], whole[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_of_the_density_with_runs_is_its_slope(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, runs, step = rng.normal(size=6), rng.integers(1, 9, size=6).astype(float), 1e-5
    centre, spread = np.zeros(4), np.ones(4)
    _, gradient = gp.negative_log_posterior(THETA, Z, y, GROUP, centre, spread, runs)
    for index in range(4):
        moved = np.eye(4)[index] * step
        up, _ = gp.negative_log_posterior(THETA + moved, Z, y, GROUP, centre, spread, runs)
        down, _ = gp.negative_log_posterior(THETA - moved, Z, y, GROUP, centre, spread, runs)
        assert gradient[index] == pytest.approx((up - down) / (2 * step), rel=1e-4, abs=1e-5)
