"""Initial designs, and a search for the points with the highest score. Knows no model and no trial.

A score maps (m, d) coordinates of valid configurations to (m,) values; larger is better.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.tools.surrogate.encoding import SpaceEncoding

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Mask = NDArray[np.bool_]
Score = Callable[[Array], Array]

_MARGIN = 0.05
"""Distance of the outermost levels of a Latin hypercube from the faces of the unit cube."""

_STEP_SIZES = (0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01, 0.005)
"""Standard deviations of the local search's steps, one round each."""

_DRAWS_PER_ANCHOR = 24
_STARTS = 12
"""Number of points from which the local search climbs."""

_BY_FACTOR = 0.5
"""Part of the steps in which shares of a mixture change by factors; in the others their coordinates change."""

_CHILDREN = 20
"""Number of perturbed copies of each point per round of the local search."""


def latin_hypercube(count: int, d: int, rng: np.random.Generator, *, tries: int = 20) -> Array:
    """Return (count, d) points of the Latin hypercube with the largest smallest distance among `tries` random ones.

    Each coordinate takes `count` even levels. The outer levels lie near the faces, because otherwise a parameter that
    matters only near the end of its range would go unnoticed.
    """
    best, widest = np.empty((count, d)), -1.0
    for _ in range(tries):
        order = np.argsort(rng.random((d, count)), axis=1).T
        points = _MARGIN + (1.0 - 2.0 * _MARGIN) * order / max(count - 1, 1)
        gaps = np.abs(points[:, None, :] - points[None, :, :]).sum(axis=2) + np.where(np.eye(count) > 0, np.inf, 0.0)
        if gaps.min() > widest:
            best, widest = points, float(gaps.min())
    return best


def spread_around(points: Array, centre: Array, encoding: SpaceEncoding, *, spread: float = 0.25) -> Array:
    """(m, d) points of a design -> (m, d) valid coordinates spread about `centre` (d,).

    Ordered coordinates are normal about the centre, reflected at the faces. Half of the points keep the centre's value
    of an unordered coordinate.
    """
    from scipy.special import ndtri  # 0.06 s

    near = centre + spread * ndtri(np.clip(points, 1e-6, 1.0 - 1e-6))
    near = np.clip(_reflect(near), 0.0, 1.0)
    other = np.where(points < 0.5, centre, 2.0 * points - 1.0)
    return encoding.project_to_valid(np.where(encoding.unordered, other, near))


def farthest_first(points: Array, known: Array) -> Index:
    """(m, c), (n, c) features -> (m,) indices of the points, by distance to the nearest known one, largest first."""
    if not len(known):
        return np.arange(len(points))
    gaps = np.abs(points[:, None, :] - known[None, :, :]).sum(axis=2).min(axis=1)
    return np.argsort(-gaps, kind="stable")


def perturb(parents: Array, encoding: SpaceEncoding, rng: np.random.Generator, *, scale: float, rate: float) -> Array:
    """(m, d) parents -> (m, d) valid children.

    Each coordinate changes with probability `rate`, and at least one does. Ordered coordinates take a normal step of
    `scale`, at least one grid step; unordered ones take another value. In half of the rows shares step by factors.
    """
    m, d = parents.shape
    changed = rng.random((m, d)) < rate
    changed[np.arange(m), rng.integers(d, size=m)] = True
    step = rng.normal(size=(m, d)) * scale
    on_grid = np.isfinite(encoding.count)
    shortest = np.where(on_grid, 1.0 / np.where(on_grid, encoding.count, 1.0), 0.0)
    # A step shorter than the grid's would be rounded away.
    step = np.where(np.abs(step) < shortest, np.copysign(shortest, step), step)
    target = _reflect_in_turn(parents + step)
    hop = 1.0 + np.floor(rng.random((m, d)) * np.where(encoding.unordered, encoding.count - 1.0, 1.0))
    values = np.where(encoding.unordered, encoding.count, 1.0)
    hopped = (parents + np.where(encoding.unordered, hop, 0.0) / values) % 1.0
    children = np.where(changed, np.where(encoding.unordered, hopped, target), parents)
    for mixture in encoding.mixtures:
        by_factor = mixture.stepped(parents, changed, rng, scale)
        is_stepped = rng.random((m, 1)) < _BY_FACTOR
        children[:, mixture.columns] = np.where(is_stepped, by_factor, children[:, mixture.columns])
    return encoding.project_to_valid(children)


def _reflect(units: Array) -> Array:
    return np.where(units < 0.0, -units, np.where(units > 1.0, 2.0 - units, units))


def _reflect_in_turn(units: Array) -> Array:
    """Reflect at 0 and then at 1, so that a step longer than the range may be reflected twice."""
    units = np.where(units < 0.0, -units, units)
    return np.where(units > 1.0, 2.0 - units, units)


@dataclass(frozen=True, slots=True)
class Region:
    """A box of ordered coordinates about a centre; unordered coordinates mostly keep the centre's value.

    Attributes:
        centre: (d,) coordinates.
        half_width: (d,) extent to each side; the box is cut at the faces of the unit cube.
        p_redraw: the probability with which an unordered coordinate of a drawn point takes a random value.
        frozen: (d,) coordinates that keep the centre's value.
    """

    centre: Array
    half_width: Array
    p_redraw: float
    frozen: Mask | None = None

    def draw(self, count: int, encoding: SpaceEncoding, rng: np.random.Generator) -> Array:
        """(count, d) valid coordinates, uniform in the box."""
        uniform = rng.random((count, len(encoding)))
        inside = self._clip(self.centre + (2.0 * uniform - 1.0) * self.half_width)
        keeps = encoding.unordered & (rng.random((count, len(encoding))) >= self.p_redraw)
        unordered = np.where(keeps, self.centre, uniform)
        return encoding.project_to_valid(self._thaw(np.where(encoding.unordered, unordered, inside)))

    def confine(self, units: Array, encoding: SpaceEncoding) -> Array:
        """(m, d) -> (m, d) valid coordinates, the ordered ones clipped to the box."""
        return encoding.project_to_valid(self._thaw(np.where(encoding.unordered, units, self._clip(units))))

    def _thaw(self, units: Array) -> Array:
        return units if self.frozen is None else np.where(self.frozen, self.centre, units)

    def _clip(self, units: Array) -> Array:
        low, high = self.centre - self.half_width, self.centre + self.half_width
        return np.clip(units, np.maximum(low, 0.0), np.minimum(high, 1.0))


def whole_space(encoding: SpaceEncoding) -> Region:
    """Return the region that covers the whole space."""
    return Region(np.full(len(encoding), 0.5), np.full(len(encoding), 0.5), 1.0)


def trust_region(good: Array, encoding: SpaceEncoding) -> Region:
    """(k, d) good points, the best first -> a box about the best that reaches 1.5 times as far as the farthest other.

    The box spans the space while good points lie far apart and shrinks as they gather. Its half width is at least one
    grid step.
    """
    reach = 1.5 * np.abs(good - good[0]).max(axis=0)
    return Region(good[0], np.maximum(np.clip(reach, 0.03, 0.5), _one_step(encoding)), 1.0 / len(encoding))


def box(centre: Array, half_width: float, encoding: SpaceEncoding) -> Region:
    """Return a box about a point (d,), at least one grid step wide to each side."""
    return Region(centre, np.maximum(half_width, _one_step(encoding)), 1.0 / len(encoding))


def _one_step(encoding: SpaceEncoding) -> Array:
    step = np.where(np.isfinite(encoding.count), 1.01 / encoding.count, 0.0)
    return np.asarray(np.minimum(step, 1.0))


def local_search(
    score: Score, encoding: SpaceEncoding, anchors: Array, rng: np.random.Generator, *, region: Region, draws: int = 512
) -> tuple[Array, Array]:
    """Return every point that was scored (k, d) and the scores (k,), best first.

    Args:
        score: larger is better.
        encoding: the space.
        anchors: (a, d) good known points; candidates are drawn near them as well as in the region.
        rng: the source of randomness.
        region: all candidates are confined to it.
        draws: the number of candidates drawn uniformly in the region.
    """
    d = len(encoding)
    rate = min(1.0, max(2.0 / d, 0.3)) if d > 1 else 1.0
    parents = np.repeat(anchors, _DRAWS_PER_ANCHOR, axis=0)
    near = [perturb(parents, encoding, rng, scale=scale, rate=rate) for scale in (0.2, 0.05)]
    pool = np.concatenate([region.draw(draws, encoding, rng), region.confine(np.concatenate(near), encoding)])
    scores = score(pool)
    top = np.argsort(-scores, kind="stable")[:_STARTS]
    points, best = pool[top], scores[top]
    for scale in _STEP_SIZES:
        parents = np.repeat(points, _CHILDREN, axis=0)
        children = region.confine(perturb(parents, encoding, rng, scale=scale, rate=1.5 / d), encoding)
        child_scores = score(children)
        pool, scores = np.concatenate([pool, children]), np.concatenate([scores, child_scores])
        winner = child_scores.reshape(len(points), _CHILDREN).argmax(axis=1)
        chosen = np.arange(len(points)) * _CHILDREN + winner
        better = child_scores[chosen] > best
        points = np.where(better[:, None], children[chosen], points)
        best = np.where(better, child_scores[chosen], best)
    order = np.argsort(-scores, kind="stable")
    return pool[order], scores[order]
