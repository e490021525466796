"""The hypervolume and its expected improvement agree with counts of random points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tunesmith.agent.sampler.surrogate.hypervolume import hypervolume, log_ehvi, nondominated, nondominated_boxes


def dominated_fraction(front: np.ndarray, points: np.ndarray) -> float:
    return float((front[:, None, :] <= points[None, :, :]).all(axis=2).any(axis=0).mean())


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_volume_is_the_fraction_of_random_points_that_are_dominated(k: int) -> None:
    rng = np.random.default_rng(k)
    front, points = rng.random((12, k)), rng.random((40_000, k))
    assert hypervolume(front, np.ones(k)) == pytest.approx(dominated_fraction(front, points), abs=0.01)


def test_a_staircase_has_the_volume_of_its_steps() -> None:
    assert hypervolume(np.array([[1.0, 2.0], [2.0, 1.0]]), np.array([3.0, 3.0])) == pytest.approx(3.0)
    assert hypervolume(np.array([[4.0, 4.0]]), np.array([3.0, 3.0])) == 0.0


@given(arrays(float, (8, 3), elements=st.sampled_from([0.0, 0.25, 0.5, 0.75])))
def test_boxes_tile_the_nondominated_region(values: np.ndarray) -> None:
    front = values[nondominated(values)]
    boxes = nondominated_boxes(front, np.ones(3))
    points = np.random.default_rng(0).random((500, 3))
    inside = ((boxes[None, :, 0] < points[:, None]) & (points[:, None] <= boxes[None, :, 1])).all(axis=2).sum(axis=1)
    dominated = (front[:, None, :] <= points[None, :, :]).all(axis=2).any(axis=0)
    assert (inside == ~dominated).all()


@pytest.mark.parametrize("k", [2, pytest.param(3, marks=pytest.mark.nightly)])
def test_the_expected_improvement_is_the_mean_over_draws(k: int) -> None:
    rng = np.random.default_rng(0)
    front = rng.random((6, k))
    front, reference = front[nondominated(front)], np.full(k, 1.2)
    mean, std = np.full(k, 0.4), np.full(k, 0.3)
    draws = mean + std * rng.normal(size=(6_000, k))
    before = hypervolume(front, reference)
    improvements = [hypervolume(np.vstack([front, draw]), reference) - before for draw in draws]
    expected = np.exp(log_ehvi(mean[None, :], std[None, :], nondominated_boxes(front, reference)))[0]
    assert expected == pytest.approx(np.mean(improvements), rel=0.05)


def test_the_expected_improvement_stays_finite_and_falls_far_from_the_front() -> None:
    boxes = nondominated_boxes(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([2.0, 2.0]))
    away = np.linspace(1.0, 60.0, 30)
    improvements = log_ehvi(np.stack([away, away], axis=1), np.full((30, 2), 0.5), boxes)
    assert np.isfinite(improvements).all()
    assert (np.diff(improvements) < 0).all()
