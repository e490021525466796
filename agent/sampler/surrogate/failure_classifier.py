"""How likely a point is to fail: a probit Gaussian process classifier, averaged over a few kernels by their evidence.

Notation: n points, m queries, c features.     z: (n, c) features     t: (n,) labels, 1 failed and -1 did not
The kernel is a linear part plus a Matern-5/2 part. Memory and time grow with products of parameters, so that on log
axes the border is close to a plane: the linear part says so far beyond the points seen, the other part bends it.
Laplace's approximation: Rasmussen and Williams 2006, algorithms 3.1 and 3.2. Knows no space and no trial.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_LINEAR = (1.0, 6.0)
_BENT = (0.5, 3.0)
_LENGTHS = (0.35, 0.8)
"""Variances of the two parts, and lengthscales in units of the square root of the number of features."""

_ROWS_FOR_EVIDENCE = 120
_STEPS = 20
_LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)


@dataclass(frozen=True, slots=True)
class _Kernel:
    linear: float
    bent: float
    length: float

    def between(self, a: Array, b: Array) -> Array:
        """(m, c), (n, c) -> (m, n)."""
        squared = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None, :] - 2.0 * (a @ b.T)
        root = np.sqrt(np.maximum(squared, 0.0)) * (math.sqrt(5.0) / self.length)
        return np.asarray(self.linear * (1.0 + a @ b.T) + self.bent * (1.0 + root + root * root / 3.0) * np.exp(-root))

    def at(self, a: Array) -> Array:
        """(m, c) -> (m,) the variance at each point."""
        return np.asarray(self.linear * (1.0 + (a * a).sum(axis=1)) + self.bent)


@dataclass(frozen=True, slots=True)
class _Fit:
    """Laplace's approximation: the slope of the likelihood at the mode, and what takes variance away."""

    kernel: _Kernel
    z: Array
    slope: Array
    root: Array
    lower: Array
    evidence: float

    def log_success(self, queries: Array) -> Array:
        """(m, c) -> (m,) log probability not to fail."""
        from scipy.linalg import solve_triangular  # 0.1 s
        from scipy.special import log_ndtr

        cross = self.kernel.between(queries, self.z)
        mean = cross @ self.slope
        half = solve_triangular(self.lower, (cross * self.root).T, lower=True, check_finite=False)
        variance = np.maximum(self.kernel.at(queries) - (half * half).sum(axis=0), 0.0)
        return np.asarray(log_ndtr(-mean / np.sqrt(1.0 + variance)))


@dataclass(frozen=True, slots=True)
class FailureModel:
    """Fits with their weights, which sum to 1."""

    fits: tuple[_Fit, ...]
    weights: Array
    centre: Array

    def log_success(self, z: Array) -> Array:
        """(m, c) features -> (m,) log probability not to fail."""
        each = np.stack([fit.log_success(z - self.centre) for fit in self.fits])
        top = each.max(axis=0)
        return np.asarray(top + np.log(self.weights @ np.exp(each - top)))


def learn_failures(z: Array, failed: NDArray[np.bool_]) -> FailureModel:
    """Fit to (n, c) features and (n,) whether each failed, n >= 1.

    Up to 120 points all kernels vote; beyond, the one with the best evidence on an even sample decides.
    """
    centre = np.full(z.shape[1], 0.5)
    moved, labels = z - centre, np.where(failed, 1.0, -1.0)
    width = math.sqrt(z.shape[1])
    kernels = [_Kernel(a, b, length * width) for a, b, length in itertools.product(_LINEAR, _BENT, _LENGTHS)]
    few = np.linspace(0, len(z) - 1, min(len(z), _ROWS_FOR_EVIDENCE)).round().astype(np.intp)
    fits = [_laplace(kernel, moved[few], labels[few]) for kernel in kernels]
    if len(few) < len(z):
        best = max(fits, key=lambda fit: fit.evidence)
        fits = [_laplace(best.kernel, moved, labels)]
    evidence = np.array([fit.evidence for fit in fits])
    weights = np.exp(evidence - evidence.max())
    keep = weights > 0.02 * weights.max()
    kept = tuple(fit for fit, kept in zip(fits, keep, strict=True) if kept)
    return FailureModel(kept, weights[keep] / weights[keep].sum(), centre)


def _laplace(kernel: _Kernel, z: Array, t: Array) -> _Fit:
    """Find the mode of the latent function by Newton's method."""
    from scipy.linalg import cho_solve, cholesky
    from scipy.special import log_ndtr

    covariance = kernel.between(z, z)
    f = np.zeros(len(z))
    for _ in range(_STEPS):
        slope, curvature = _probit(f, t)
        root = np.sqrt(curvature)
        lower = cholesky(np.eye(len(z)) + root[:, None] * covariance * root[None, :], lower=True, check_finite=False)
        pull = curvature * f + slope
        a = pull - root * cho_solve((lower, True), root * (covariance @ pull), check_finite=False)
        moved = covariance @ a
        done = float(np.abs(moved - f).max()) < 1e-3
        f = moved
        if done:
            break
    slope, curvature = _probit(f, t)
    root = np.sqrt(curvature)
    lower = cholesky(np.eye(len(z)) + root[:, None] * covariance * root[None, :], lower=True, check_finite=False)
    evidence = -0.5 * float(a @ f) + float(log_ndtr(t * f).sum()) - float(np.log(np.diagonal(lower)).sum())
    return _Fit(kernel, z, slope, root, lower, evidence)


def _probit(f: Array, t: Array) -> tuple[Array, Array]:
    """(n,), (n,) -> first and minus the second derivative of log Phi(t f), each (n,)."""
    from scipy.special import log_ndtr

    ratio = np.exp(-0.5 * f * f - _LOG_SQRT_2PI - log_ndtr(t * f))
    return t * ratio, ratio * (ratio + t * f)
