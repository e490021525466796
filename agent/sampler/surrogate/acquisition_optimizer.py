"""Where to look: spread first points, and the best points under a score. Knows no model and no trial.

The score is a function from settled coordinates (m, d) to values (m,), larger is better.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.agent.sampler.surrogate.encoding import Axes

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Score = Callable[[Array], Array]

_FACE = 0.05
_SCALES = (0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01, 0.005)
"""Step sizes of the local search, one round each."""


def latin_hypercube(count: int, d: int, rng: np.random.Generator, *, tries: int = 20) -> Array:
    """(count, d) points, each coordinate at `count` even levels from face to face; of `tries` drawn the least crowded.

    The outer levels lie near the faces: a parameter that matters only at its end would go unseen for long elsewhere.
    """
    best, widest = np.empty((count, d)), -1.0
    for _ in range(tries):
        order = np.argsort(rng.random((d, count)), axis=1).T
        points = _FACE + (1.0 - 2.0 * _FACE) * order / max(count - 1, 1)
        gaps = np.abs(points[:, None, :] - points[None, :, :]).sum(axis=2) + np.where(np.eye(count) > 0, np.inf, 0.0)
        if gaps.min() > widest:
            best, widest = points, float(gaps.min())
    return best


def scatter(points: Array, centre: Array, axes: Axes, *, spread: float = 0.25) -> Array:
    """(m, d) points of a design -> (m, d) settled points about `centre` (d,).

    Ordered coordinates are normal about the centre; of unordered ones half keep the centre's value.
    """
    from scipy.special import ndtri  # 0.06 s

    near = centre + spread * ndtri(np.clip(points, 1e-6, 1.0 - 1e-6))
    near = np.clip(np.where(near < 0.0, -near, np.where(near > 1.0, 2.0 - near, near)), 0.0, 1.0)
    other = np.where(points < 0.5, centre, 2.0 * points - 1.0)
    return axes.settle(np.where(axes.unordered, other, near))


def farthest(points: Array, known: Array) -> Index:
    """(m, c), (n, c) features -> (m,) indices of the points, the one farthest from all known ones first."""
    if not len(known):
        return np.arange(len(points))
    gaps = np.abs(points[:, None, :] - known[None, :, :]).sum(axis=2).min(axis=1)
    return np.argsort(-gaps, kind="stable")


def mutate(parents: Array, axes: Axes, rng: np.random.Generator, *, scale: float, share: float) -> Array:
    """(m, d) parents -> (m, d) settled children: a `share` of coordinates moves, at least one.

    Ordered coordinates take a normal step of `scale`, at least one grid step; unordered ones another value.
    """
    m, d = parents.shape
    moved = rng.random((m, d)) < share
    moved[np.arange(m), rng.integers(d, size=m)] = True
    step = rng.normal(size=(m, d)) * scale
    on_grid = np.isfinite(axes.count)
    shortest = np.where(on_grid, 1.0 / np.where(on_grid, axes.count, 1.0), 0.0)
    # A step shorter than the grid's would lead nowhere.
    step = np.where(np.abs(step) < shortest, np.copysign(shortest, step), step)
    target = parents + step
    target = np.where(target < 0.0, -target, target)
    target = np.where(target > 1.0, 2.0 - target, target)
    hop = 1.0 + np.floor(rng.random((m, d)) * np.where(axes.unordered, axes.count - 1.0, 1.0))
    values = np.where(axes.unordered, axes.count, 1.0)
    other = np.where(axes.unordered, (parents + np.where(axes.unordered, hop, 0.0) / values) % 1.0, target)
    return axes.settle(np.where(moved, other, parents))


@dataclass(frozen=True, slots=True)
class Region:
    """A box of ordered coordinates about `centre` (d,), `half` (d,) wide to each side; unordered ones mostly stay.

    Attributes:
        loose: the share of drawn points in which an unordered coordinate takes any value.
    """

    centre: Array
    half: Array
    loose: float

    def draw(self, count: int, axes: Axes, rng: np.random.Generator) -> Array:
        """(count, d) settled points, uniform in the box."""
        anywhere = rng.random((count, len(axes)))
        inside = self._clip(self.centre + (2.0 * anywhere - 1.0) * self.half)
        stays = axes.unordered & (rng.random((count, len(axes))) >= self.loose)
        return axes.settle(np.where(axes.unordered, np.where(stays, self.centre, anywhere), inside))

    def confine(self, units: Array, axes: Axes) -> Array:
        """(m, d) -> (m, d) settled, ordered coordinates moved into the box."""
        return axes.settle(np.where(axes.unordered, units, self._clip(units)))

    def _clip(self, units: Array) -> Array:
        return np.clip(units, np.maximum(self.centre - self.half, 0.0), np.minimum(self.centre + self.half, 1.0))


def everywhere(axes: Axes) -> Region:
    """Return the whole space."""
    return Region(np.full(len(axes), 0.5), np.full(len(axes), 0.5), 1.0)


def around_the_best(good: Array, axes: Axes) -> Region:
    """(k, d) good points, the best one first -> a box about the best that reaches half as far again as the others lie.

    So it is as wide as the space while good points lie everywhere, and shrinks as they gather. At least one grid step.
    """
    reach = 1.5 * np.abs(good - good[0]).max(axis=0)
    step = np.where(np.isfinite(axes.count), 1.01 / axes.count, 0.0)
    return Region(good[0], np.maximum(np.clip(reach, 0.03, 0.5), np.minimum(step, 1.0)), 1.0 / len(axes))


def climb(
    score: Score, axes: Axes, anchors: Array, rng: np.random.Generator, *, region: Region, wide: int = 512
) -> tuple[Array, Array]:
    """Return settled points (k, d) and their scores (k,), best first: the best ever found, and the roads there.

    Args:
        score: larger is better.
        axes: the space.
        anchors: (a, d) good known points; candidates are drawn around them as well as everywhere.
        rng: the source of chance.
        region: where candidates may lie.
        wide: how many of them are drawn all over the region.
    """
    d = len(axes)
    share = min(1.0, max(2.0 / d, 0.3)) if d > 1 else 1.0
    around = [mutate(np.repeat(anchors, 24, axis=0), axes, rng, scale=s, share=share) for s in (0.2, 0.05)]
    pool = np.concatenate([region.draw(wide, axes, rng), region.confine(np.concatenate(around), axes)])
    values = score(pool)
    top = np.argsort(-values, kind="stable")[:12]
    points, best = pool[top], values[top]
    for scale in _SCALES:
        children = region.confine(mutate(np.repeat(points, 20, axis=0), axes, rng, scale=scale, share=1.5 / d), axes)
        scores = score(children)
        pool, values = np.concatenate([pool, children]), np.concatenate([values, scores])
        winner = scores.reshape(len(points), 20).argmax(axis=1)
        chosen = np.arange(len(points)) * 20 + winner
        better = scores[chosen] > best
        points = np.where(better[:, None], children[chosen], points)
        best = np.where(better, scores[chosen], best)
    order = np.argsort(-values, kind="stable")
    return pool[order], values[order]
