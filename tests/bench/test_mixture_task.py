"""The published mixtures of the benchmark task, and the stick-breaking of the sampler that it is compared with."""

from __future__ import annotations

import numpy as np
import pytest

from tunesmith.bench.experiments.quality.mixtures import broken, equal_sticks
from tunesmith.bench.tasks import task_makers
from tunesmith.bench.tasks.mixture import BEST, runs


def test_the_task_has_the_published_runs() -> None:
    shares, losses = runs()
    assert shares.shape == (768, 17)
    assert np.allclose(shares.sum(axis=1), 1.0)
    assert losses.min() == pytest.approx(5.08213)
    assert losses.min() > BEST
    assert "pile_mixture" in task_makers()


def test_sticks_are_shares() -> None:
    assert broken(equal_sticks(17)) == pytest.approx([1 / 17] * 17)
    drawn = np.array([broken(row.tolist()) for row in np.random.default_rng(0).random((3000, 4))])
    assert np.allclose(drawn.sum(axis=1), 1.0)
    # Uniform on the simplex: no source comes first.
    assert np.allclose(drawn.mean(axis=0), 0.2, atol=0.015)
