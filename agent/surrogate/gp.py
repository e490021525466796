"""A Gaussian process with a Matern-5/2 kernel, one lengthscale per parameter, and hyperparameters at their posterior's mode.

Notation: n points, m queries, c features, d parameters (groups of features).
    z: (n, c) features     y: (n,) standardized targets, smaller is better     group: (c,) feature -> parameter
    theta: (d + 2,) = log lengthscales, log signal variance, log noise variance
Knows no space and no trial. One lengthscale serves all features of a parameter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.intp]

_SQRT5 = math.sqrt(5.0)
_JITTER = 1e-8


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """Normal priors of theta: the lengthscales' centre grows with the square root of the number of parameters.

    Distances in a unit cube grow like that too; a centre that is too long makes the model too smooth and the search
    stall, one that is too short makes it forget everything between two points.
    """

    length_centre: float = 0.5
    length_spread: float = 1.0
    signal_spread: float = 1.0
    noise_centre: float = 1e-3
    noise_spread: float = 2.0

    def centre(self, d: int) -> Array:
        """(d + 2,) the most likely theta before any data."""
        return np.array([math.log(self.length_centre * math.sqrt(d))] * d + [0.0, math.log(self.noise_centre)])

    def spread(self, d: int) -> Array:
        """(d + 2,) standard deviations."""
        return np.array([self.length_spread] * d + [self.signal_spread, self.noise_spread])


@dataclass(frozen=True, slots=True)
class Posterior:
    """A process conditioned on data: `mean + k(x, z) alpha`, with `inverse` of the noisy kernel matrix."""

    z: Array
    scaled: Array
    weights: Array
    signal: float
    noise: float
    mean: float
    alpha: Array
    inverse: Array

    def predict(self, queries: Array) -> tuple[Array, Array]:
        """(m, c) -> means (m,), standard deviations (m,) of the noise-free function, in units of the targets."""
        cross = self.signal * _matern(_squared(queries * self.weights, self.scaled))
        mean = self.mean + cross @ self.alpha
        variance = self.signal - np.einsum("ij,ij->i", cross @ self.inverse, cross)
        return mean, np.sqrt(np.maximum(variance, 1e-12 * self.signal))


def condition(z: Array, y: Array, theta: Array, group: Index, *, mean: float = 0.0) -> Posterior:
    """Condition the process with hyperparameters `theta` on the data.

    Raises:
        numpy.linalg.LinAlgError: the kernel matrix is not positive definite even with more jitter.
    """
    weights = np.exp(-theta[:-2])[group]
    scaled = z * weights
    signal, noise = float(np.exp(theta[-2])), float(np.exp(theta[-1]))
    kernel = signal * _matern(_squared(scaled, scaled))
    inverse, _ = _inverse(kernel, noise)
    return Posterior(z, scaled, weights, signal, noise, mean, inverse @ (y - mean), inverse)


def fit(z: Array, y: Array, group: Index, prior: Prior, *, starts: int = 1, steps: int = 60) -> Array:
    """Return the theta with the highest posterior density that L-BFGS finds from the prior's centre.

    Further starts lie at shorter and longer lengthscales, so that the result depends on nothing but the data.
    """
    from scipy import optimize  # 0.3 s

    d = int(group[-1]) + 1
    centre, spread = prior.centre(d), prior.spread(d)
    bounds = list(zip(centre - 4 * spread, centre + 4 * spread, strict=True))
    best: tuple[float, Array] | None = None
    for shift in (0.0, -1.0, 1.0)[:starts]:
        start = centre.copy()
        start[:d] += shift * spread[:d]
        found: Any = optimize.minimize(
            negative_log_posterior, start, args=(z, y, group, centre, spread), jac=True, method="L-BFGS-B",
            bounds=bounds, options={"maxiter": steps, "ftol": 1e-6, "gtol": 1e-3},
        )  # fmt: skip
        if best is None or found.fun < best[0]:
            best = (float(found.fun), np.asarray(found.x))
    assert best is not None  # noqa: S101  # starts is at least 1
    return best[1]


def negative_log_posterior(
    theta: Array, z: Array, y: Array, group: Index, centre: Array, spread: Array
) -> tuple[float, Array]:
    """Return the negative log density of theta given the data, up to a constant, and its gradient (d + 2,)."""
    d = len(theta) - 2
    weights = np.exp(-theta[:d])[group]
    scaled = z * weights
    signal, noise = math.exp(theta[-2]), math.exp(theta[-1])
    root = np.sqrt(_squared(scaled, scaled))
    decay = np.exp(-_SQRT5 * root)
    slope = (1.0 + _SQRT5 * root) * decay
    kernel = signal * (slope + (5.0 / 3.0) * root * root * decay)
    try:
        inverse, half_log_det = _inverse(kernel, noise)
    except np.linalg.LinAlgError:
        return 1e10, np.zeros_like(theta)
    alpha = inverse @ y
    away = (theta - centre) / spread
    value = 0.5 * float(y @ alpha) + half_log_det + 0.5 * float(away @ away)
    inner = inverse - np.outer(alpha, alpha)
    pull = inner * slope * (signal * 5.0 / 3.0)
    per_feature = pull.sum(axis=1) @ (scaled * scaled) - np.einsum("ij,ij->j", scaled, pull @ scaled)
    gradient = np.empty_like(theta)
    gradient[:d] = np.bincount(group, weights=per_feature, minlength=d)
    gradient[d] = 0.5 * float(np.einsum("ij,ij->", inner, kernel))
    gradient[d + 1] = 0.5 * noise * float(np.trace(inner))
    return value, gradient + away / spread


def _inverse(kernel: Array, noise: float) -> tuple[Array, float]:
    """Return the inverse of kernel + noise, and half the log of its determinant."""
    from scipy.linalg import lapack  # 0.1 s

    jitter = _JITTER * float(kernel[0, 0]) + noise
    for _ in range(6):
        noisy = kernel.copy()
        noisy.flat[:: len(noisy) + 1] += jitter
        factor, failed = lapack.dpotrf(noisy, lower=1, overwrite_a=1, clean=1)
        if not failed:
            half_log_det = float(np.log(np.diagonal(factor)).sum())
            lower, _ = lapack.dpotri(factor, lower=1)
            return lower + np.tril(lower, -1).T, half_log_det
        jitter = max(jitter * 10.0, 1e-6 * float(kernel[0, 0]))
    raise np.linalg.LinAlgError("the kernel matrix is not positive definite")


def _matern(squared: Array) -> Array:
    root = np.sqrt(squared) * _SQRT5
    return (1.0 + root + root * root / 3.0) * np.exp(-root)  # type: ignore[no-any-return]


def _squared(a: Array, b: Array) -> Array:
    """(m, c), (n, c) -> (m, n) squared distances."""
    squared = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None, :] - 2.0 * (a @ b.T)
    return np.maximum(squared, 0.0, out=squared)
