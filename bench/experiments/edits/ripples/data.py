"""Points in eight measurements of very different size, and how far away their source is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
SCALES = np.array([0.01, 0.1, 0.3, 1.0, 1.0, 3.0, 10.0, 60.0])


def points(count: int, seed: int) -> tuple[Array, Array]:
    """Return (count, 8) measurements and (count,) distances, the nearest first, as the instrument stores them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 8))
    distance = np.sin(2.0 * x[:, 0]) + 0.5 * x[:, 1] * x[:, 2] + np.tanh(2.0 * x[:, 3]) + 0.3 * x[:, 7]
    distance += 0.1 * rng.normal(size=count)
    order = np.argsort(distance)
    return (x * SCALES + SCALES)[order], distance[order]


def training() -> tuple[Array, Array]:
    """Return the points to learn from."""
    return points(3000, seed=1)


def held_out() -> tuple[Array, Array]:
    """Return the points that the result is measured on."""
    return points(2000, seed=2)
