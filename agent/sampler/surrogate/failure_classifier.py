"""Probability that a configuration fails: a probit Gaussian process classifier, averaged over kernels by evidence.

Notation: n points, m queries, c features.     z: (n, c) features     t: (n,) labels, 1 failed and -1 succeeded
The kernel is a linear part plus a Matern-5/2 part. Memory and time grow with products of parameters, so on log scales
the border between success and failure is close to a plane. The linear part extends that plane beyond the data; the
Matern part bends it. Laplace's approximation follows Rasmussen and Williams 2006, algorithms 3.1 and 3.2. Knows no
space and no trial.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_LINEAR_VARIANCES = (1.0, 6.0)
_MATERN_VARIANCES = (0.5, 3.0)
_LENGTHSCALES = (0.35, 0.8)
"""Lengthscales of the Matern part, in units of the square root of the number of features."""

_ROWS_FOR_EVIDENCE = 120
"""Largest number of points on which the kernels are compared."""

_MIN_RELATIVE_EVIDENCE = 0.02
"""Kernels with less evidence than this fraction of the best one's are dropped from the average."""

_NEWTON_STEPS = 20
_LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)


@dataclass(frozen=True, slots=True)
class _Kernel:
    linear: float
    matern: float
    length: float

    def between(self, a: Array, b: Array) -> Array:
        """(m, c), (n, c) -> (m, n) covariances."""
        squared = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None, :] - 2.0 * (a @ b.T)
        root = np.sqrt(np.maximum(squared, 0.0)) * (math.sqrt(5.0) / self.length)
        return np.asarray(
            self.linear * (1.0 + a @ b.T) + self.matern * (1.0 + root + root * root / 3.0) * np.exp(-root)
        )

    def variance(self, a: Array) -> Array:
        """(m, c) -> (m,) prior variance at each point."""
        return np.asarray(self.linear * (1.0 + (a * a).sum(axis=1)) + self.matern)


@dataclass(frozen=True, slots=True)
class _LaplaceFit:
    """Laplace's approximation to the posterior of the latent function.

    Attributes:
        slope: (n,) derivative of the log likelihood at the mode.
        root: (n,) square root of minus its second derivative.
        lower: (n, n) Cholesky factor of I + root K root.
        evidence: log marginal likelihood of the labels.
    """

    kernel: _Kernel
    z: Array
    slope: Array
    root: Array
    lower: Array
    evidence: float

    def log_p_success(self, queries: Array) -> Array:
        """(m, c) -> (m,) log probability of success."""
        from scipy.linalg import solve_triangular  # 0.1 s
        from scipy.special import log_ndtr

        cross = self.kernel.between(queries, self.z)
        mean = cross @ self.slope
        half = solve_triangular(self.lower, (cross * self.root).T, lower=True, check_finite=False)
        variance = np.maximum(self.kernel.variance(queries) - (half * half).sum(axis=0), 0.0)
        return np.asarray(log_ndtr(-mean / np.sqrt(1.0 + variance)))


@dataclass(frozen=True, slots=True)
class FailureModel:
    """A weighted average of classifiers; the weights sum to 1."""

    fits: tuple[_LaplaceFit, ...]
    weights: Array
    centre: Array

    def log_p_success(self, z: Array) -> Array:
        """(m, c) features -> (m,) log probability of success."""
        each = np.stack([fit.log_p_success(z - self.centre) for fit in self.fits])
        top = each.max(axis=0)
        return np.asarray(top + np.log(self.weights @ np.exp(each - top)))


def fit_failure_model(z: Array, failed: NDArray[np.bool_]) -> FailureModel:
    """Fit a model to (n, c) features and (n,) whether each point failed, n >= 1.

    Up to 120 points all kernels are averaged. With more points, the kernel with the best evidence on an even sample of
    120 is fitted to all of them.
    """
    centre = np.full(z.shape[1], 0.5)
    centred, labels = z - centre, np.where(failed, 1.0, -1.0)
    width = math.sqrt(z.shape[1])
    kernels = [
        _Kernel(linear, matern, length * width)
        for linear, matern, length in itertools.product(_LINEAR_VARIANCES, _MATERN_VARIANCES, _LENGTHSCALES)
    ]
    sample = np.linspace(0, len(z) - 1, min(len(z), _ROWS_FOR_EVIDENCE)).round().astype(np.intp)
    fits = [_fit_laplace(kernel, centred[sample], labels[sample]) for kernel in kernels]
    if len(sample) < len(z):
        best = max(fits, key=lambda fit: fit.evidence)
        fits = [_fit_laplace(best.kernel, centred, labels)]
    evidence = np.array([fit.evidence for fit in fits])
    weights = np.exp(evidence - evidence.max())
    keep = weights > _MIN_RELATIVE_EVIDENCE * weights.max()
    kept = tuple(fit for fit, is_kept in zip(fits, keep, strict=True) if is_kept)
    return FailureModel(kept, weights[keep] / weights[keep].sum(), centre)


def _fit_laplace(kernel: _Kernel, z: Array, t: Array) -> _LaplaceFit:
    """Find the mode of the latent function by Newton's method."""
    from scipy.linalg import cho_solve, cholesky
    from scipy.special import log_ndtr

    covariance = kernel.between(z, z)
    f = np.zeros(len(z))
    for _ in range(_NEWTON_STEPS):
        slope, curvature = _probit_derivatives(f, t)
        root = np.sqrt(curvature)
        lower = cholesky(np.eye(len(z)) + root[:, None] * covariance * root[None, :], lower=True, check_finite=False)
        b = curvature * f + slope
        a = b - root * cho_solve((lower, True), root * (covariance @ b), check_finite=False)
        moved = covariance @ a
        converged = float(np.abs(moved - f).max()) < 1e-3
        f = moved
        if converged:
            break
    slope, curvature = _probit_derivatives(f, t)
    root = np.sqrt(curvature)
    lower = cholesky(np.eye(len(z)) + root[:, None] * covariance * root[None, :], lower=True, check_finite=False)
    evidence = -0.5 * float(a @ f) + float(log_ndtr(t * f).sum()) - float(np.log(np.diagonal(lower)).sum())
    return _LaplaceFit(kernel, z, slope, root, lower, evidence)


def _probit_derivatives(f: Array, t: Array) -> tuple[Array, Array]:
    """(n,), (n,) -> the first derivative of log Phi(t f) and minus the second, each (n,)."""
    from scipy.special import log_ndtr

    ratio = np.exp(-0.5 * f * f - _LOG_SQRT_2PI - log_ndtr(t * f))
    return t * ratio, ratio * (ratio + t * f)
