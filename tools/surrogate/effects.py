"""How much each parameter of a space moves a function that is known only by a model: shares of variance.

The share of a parameter is its total effect, the mean squared change of the function when only this parameter is drawn
again (Jansen 1999), divided by the sum over all parameters. It is computed for functions drawn from the posterior, so
that its spread says how much the model knows. Knows no trial.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tunesmith.tools.surrogate import gp
from tunesmith.tools.surrogate.encoding import Array, SpaceEncoding
from tunesmith.tools.surrogate.gp_ensemble import GPEnsemble

Draw = Callable[[int], Array]
"""m -> (m, d) coordinates of points of a region, before they are made valid."""

_MAX_POINTS = 600
"""Largest number of points at which functions are drawn at once; the time grows with its cube."""

_MIN_BASES, _MAX_BASES = 8, 64
"""Numbers of points from which single parameters are changed at once."""

_ROUNDS = 8
"""Number of sets of points, each with one model of the ensemble."""

_FUNCTIONS = 16
"""Number of functions drawn in a round."""

_JITTERS = (1e-6, 1e-5, 1e-4, 1e-3)
"""Variances that are added to each drawn value, relative to the function's, until rounding does no harm."""

_NEAR = 0.1
"""How far points near a configuration are from it, in parts of each range."""


def whole_space(encoding: SpaceEncoding, rng: np.random.Generator) -> Draw:
    """Return points from the whole space."""
    return lambda count: rng.random((count, len(encoding)))


def near(centre: Array, encoding: SpaceEncoding, rng: np.random.Generator) -> Draw:
    """Return points near a configuration (d,): each number within a tenth of its range, or a step of its grid.

    A choice keeps its value in half of the points.
    """
    width = np.maximum(_NEAR, np.where(np.isfinite(encoding.count), 1.0 / encoding.count, 0.0))

    def draw(count: int) -> Array:
        shape = (count, len(encoding))
        moved = centre + width * rng.uniform(-1.0, 1.0, shape)
        moved = np.where(moved < 0.0, -moved, np.where(moved > 1.0, 2.0 - moved, moved))
        chosen = np.where(rng.random(shape) < 0.5, centre, rng.random(shape))
        return np.where(encoding.is_choice, chosen, moved)

    return draw


def shares_of_variance(model: GPEnsemble, encoding: SpaceEncoding, draw: Draw, rng: np.random.Generator) -> Array:
    """Return (s, d) shares, one row per function drawn from the posterior; each row sums to 1.

    Args:
        model: of the function, over the features of the encoding.
        encoding: the space.
        draw: points of the region in question.
        rng: draws the functions.
    """
    bases = int(np.clip(_MAX_POINTS // (len(encoding) + 1), _MIN_BASES, _MAX_BASES))
    rounds = []
    for index in range(_ROUNDS):
        points = _changed_one_at_a_time(draw(bases), draw(bases))
        distinct, row = np.unique(encoding.features(encoding.project_to_valid(points)), axis=0, return_inverse=True)
        posterior = model.posteriors[index % len(model.posteriors)]
        values = _functions(posterior, distinct, rng)[:, row.ravel()]
        values = values.reshape(_FUNCTIONS, len(encoding) + 1, bases)
        rounds.append(((values[:, 1:] - values[:, :1]) ** 2).mean(axis=2))
    effects = np.concatenate(rounds)
    total = effects.sum(axis=1, keepdims=True)
    return effects / np.where(total > 0.0, total, 1.0)


def _functions(posterior: gp.Posterior, points: Array, rng: np.random.Generator) -> Array:
    """(m, c) different points -> (_FUNCTIONS, m) values of functions drawn from the posterior."""
    mean, covariance = posterior.joint(points)
    normal = rng.normal(size=(_FUNCTIONS, len(points)))
    for jitter in _JITTERS:
        covariance.flat[:: len(covariance) + 1] += jitter * posterior.signal
        try:
            return np.asarray(mean + normal @ np.linalg.cholesky(covariance).T)
        except np.linalg.LinAlgError:
            continue
    raise np.linalg.LinAlgError("the covariance of a posterior is not positive definite")


def explained(model: GPEnsemble) -> float:
    """Return the part of the variance of the model's own points that is predicted from the others; 0 for none."""
    left_out = np.mean([posterior.alpha / np.diagonal(posterior.inverse) for posterior in model.posteriors], axis=0)
    return max(1.0 - float((left_out**2).mean()) / float(model.posteriors[0].y.var()), 0.0)


def _changed_one_at_a_time(points: Array, others: Array) -> Array:
    """(m, d), (m, d) -> ((d + 1) m, d): the points, then the points with the first column of the others, and so on."""
    copies = np.tile(points, (points.shape[1] + 1, 1, 1))
    for column in range(points.shape[1]):
        copies[column + 1, :, column] = others[:, column]
    return copies.reshape(-1, points.shape[1])
