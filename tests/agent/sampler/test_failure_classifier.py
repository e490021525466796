"""The failure classifier learns where the border of success lies, and how certain that is."""

from __future__ import annotations

import numpy as np
import pytest

from tunesmith.agent.sampler.surrogate.failure_classifier import fit_failure_model


def memory(z: np.ndarray) -> np.ndarray:
    """Fails where the sum of three of five log sizes is too large."""
    return np.asarray(z[:, :3].sum(axis=1) > 1.6)


@pytest.mark.parametrize("seed", range(3))
def test_thirty_points_locate_a_plane_border(seed: int) -> None:
    rng = np.random.default_rng(seed)
    z, unseen = rng.random((30, 5)), rng.random((500, 5))
    predicted = np.exp(fit_failure_model(z, memory(z)).log_p_success(unseen)) < 0.5
    assert (predicted == memory(unseen)).mean() > 0.8


def test_it_is_certain_near_data_and_uncertain_far_from_it() -> None:
    rng = np.random.default_rng(0)
    z = np.concatenate([0.2 + 0.05 * rng.random((20, 2)), 0.7 + 0.05 * rng.random((20, 2))])
    model = fit_failure_model(z, np.arange(40) >= 20)
    low, high, aside = np.exp(model.log_p_success(np.array([[0.22, 0.22], [0.72, 0.72], [0.0, 1.0]])))
    assert low > 0.8
    assert high < 0.2
    assert abs(aside - 0.5) < abs(low - 0.5)


def test_a_single_point_with_either_label_is_enough() -> None:
    for failed in (True, False):
        p_success = np.exp(fit_failure_model(np.full((1, 3), 0.5), np.array([failed])).log_p_success(np.eye(3)))
        assert np.isfinite(p_success).all()
        assert ((p_success < 0.5) == failed).all()


def test_four_hundred_points_locate_the_border_precisely() -> None:
    rng = np.random.default_rng(1)
    z = rng.random((400, 5))
    unseen = rng.random((500, 5))
    predicted = np.exp(fit_failure_model(z, memory(z)).log_p_success(unseen)) < 0.5
    assert (predicted == memory(unseen)).mean() > 0.93
