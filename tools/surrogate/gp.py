"""Gaussian process regression with a Matern-5/2 kernel; hyperparameters by their posterior's mode or by sampling.

Notation: n points, m queries, c features, d parameters (groups of features).
    z: (n, c) features     y: (n,) standardized targets, smaller is better     group: (c,) feature -> parameter
    theta: (d + 2,) = log lengthscales, log signal variance, log noise variance
    runs: (n,) number of measurements that each target is the mean of; None where each is one measurement
All features of a parameter share one lengthscale. Knows no space and no trial.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.intp]

_SQRT5 = math.sqrt(5.0)
_JITTER = 1e-8
"""Diagonal term relative to the signal variance; keeps the kernel matrix positive definite."""

THINNING = 5
"""Slice sampling steps per returned sample."""

_MAX_SLICE_SHRINKS = 40
_MIN_NOISE, _MAX_NOISE = 1e-6, 2.0
"""Range of the noise variance, in units of the targets' variance."""

_NOISY_START = 0.04
"""Noise variance of the fit's second start."""

_MIN_ADVANTAGE = 1.0
"""Difference in log density from which the noisy mode is preferred."""

_MEASURED_NOISE_SPREAD = 1.2
"""Standard deviation of the log of a variance measured from about three values (chi-square, 2 degrees of freedom)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HyperPrior:
    """Normal prior of theta.

    The centre of the lengthscales grows with the square root of the number of parameters, as do distances in a unit
    cube. With too long lengthscales the model is too smooth and the search stalls; with too short ones it returns to
    the prior between any two points.
    """

    length_centre: float = 0.5
    length_spread: float = 1.5
    signal_spread: float = 1.0
    noise_centre: float = 1e-4
    noise_spread: float = 2.0

    def with_measured_noise(self, variance: float | None, std: float) -> HyperPrior:
        """Return the prior with its noise term centred on a measured variance.

        Args:
            variance: variance between a few repeated measurements; None when there are none.
            std: standard deviation of all measurements, in the same unit.
        """
        if variance is None or std <= 0.0:
            return self
        relative = min(max(variance / std**2, _MIN_NOISE), _MAX_NOISE)
        return replace(self, noise_centre=relative, noise_spread=_MEASURED_NOISE_SPREAD)

    def centre(self, d: int) -> Array:
        """(d + 2,) mean of theta."""
        return np.array([math.log(self.length_centre * math.sqrt(d))] * d + [0.0, math.log(self.noise_centre)])

    def spread(self, d: int) -> Array:
        """(d + 2,) standard deviations of theta."""
        return np.array([self.length_spread] * d + [self.signal_spread, self.noise_spread])


@dataclass(frozen=True, slots=True)
class Posterior:
    """A process conditioned on data.

    Attributes:
        scaled: (n, c) features divided by their lengthscales.
        weights: (c,) one over the lengthscale of each feature.
        alpha: (n,) the posterior mean at x is `k(x, z) @ alpha`.
        inverse: (n, n) inverse of the kernel matrix with noise.
    """

    z: Array
    y: Array
    theta: Array
    scaled: Array
    weights: Array
    alpha: Array
    inverse: Array
    runs: Array | None = None

    @property
    def signal(self) -> float:
        """Prior variance of the function."""
        return math.exp(self.theta[-2])

    @property
    def noise(self) -> float:
        """Variance of a measurement about the function."""
        return math.exp(self.theta[-1])

    def predict(self, queries: Array) -> tuple[Array, Array]:
        """(m, c) -> means (m,) and standard deviations (m,) of the noise-free function, in units of the targets."""
        signal = self.signal
        cross = signal * _matern(_squared(queries * self.weights, self.scaled))
        mean = cross @ self.alpha
        variance = signal - np.einsum("ij,ij->i", cross @ self.inverse, cross)
        return mean, np.sqrt(np.maximum(variance, 1e-12 * signal))

    def joint(self, queries: Array) -> tuple[Array, Array]:
        """(m, c) -> means (m,) and covariance (m, m) of the noise-free function."""
        scaled, signal = queries * self.weights, self.signal
        cross = signal * _matern(_squared(scaled, self.scaled))
        covariance = signal * _matern(_squared(scaled, scaled)) - cross @ self.inverse @ cross.T
        return cross @ self.alpha, covariance

    def sample(self, queries: Array, rng: np.random.Generator) -> Array:
        """(m, c) -> (m,) values of a function drawn from the posterior; the time grows with the cube of m."""
        mean, covariance = self.joint(queries)
        values, vectors = np.linalg.eigh(covariance)
        return np.asarray(mean + vectors @ (np.sqrt(np.maximum(values, 0.0)) * rng.normal(size=len(values))))


def condition(z: Array, y: Array, theta: Array, group: Index, runs: Array | None = None) -> Posterior:
    """Return the process with hyperparameters `theta`, conditioned on the data.

    Raises:
        numpy.linalg.LinAlgError: the kernel matrix is not positive definite even with more jitter.
    """
    weights = np.exp(-theta[:-2])[group]
    scaled = z * weights
    kernel = math.exp(theta[-2]) * _matern(_squared(scaled, scaled))
    inverse, _ = _inverse(kernel, math.exp(theta[-1]), runs)
    return Posterior(z, y, theta, scaled, weights, inverse @ y, inverse, runs)


def fit(  # noqa: PLR0913  # the data, and how hyperparameters are sought
    z: Array, y: Array, group: Index, prior: HyperPrior, runs: Array | None = None, *, steps: int = 60
) -> Array:
    """Return the theta with the highest posterior density that L-BFGS finds from two starts.

    Noisy values have two explanations: a smooth function with noise, and a rough function without. Their modes are
    separated by a valley that a search from little noise does not cross, so the second start has more noise. Of two
    modes that are about equally likely the one with less noise is returned, because with few points it is the cheaper
    mistake.
    """
    from scipy import optimize  # 0.3 s

    d = int(group[-1]) + 1
    centre, spread = prior.centre(d), prior.spread(d)
    low, high = centre - 4 * spread, centre + 4 * spread
    high[-1] = max(high[-1], math.log(_MAX_NOISE))
    best: tuple[float, Array] | None = None
    for start in (centre, np.append(centre[:-1], math.log(_NOISY_START))):
        found: Any = optimize.minimize(
            negative_log_posterior, start, args=(z, y, group, centre, spread, runs), jac=True, method="L-BFGS-B",
            bounds=list(zip(low, high, strict=True)), options={"maxiter": steps, "ftol": 1e-6, "gtol": 1e-3},
        )  # fmt: skip
        if best is None or found.fun < best[0] - _MIN_ADVANTAGE:
            best = (float(found.fun), np.asarray(found.x))
    assert best is not None  # noqa: S101  # there are two starts
    return best[1]


def negative_log_posterior(  # noqa: PLR0913  # theta, the data, and the prior
    theta: Array, z: Array, y: Array, group: Index, centre: Array, spread: Array, runs: Array | None = None
) -> tuple[float, Array]:
    """Return the negative log posterior density of theta, up to a constant, and its gradient (d + 2,)."""
    d = len(theta) - 2
    weights = np.exp(-theta[:d])[group]
    scaled = z * weights
    signal, noise = math.exp(theta[-2]), math.exp(theta[-1])
    root = np.sqrt(_squared(scaled, scaled))
    decay = np.exp(-_SQRT5 * root)
    slope = (1.0 + _SQRT5 * root) * decay
    kernel = signal * (slope + (5.0 / 3.0) * root * root * decay)
    try:
        inverse, half_log_det = _inverse(kernel, noise, runs)
    except np.linalg.LinAlgError:
        return 1e10, np.zeros_like(theta)
    alpha = inverse @ y
    offset = (theta - centre) / spread
    value = 0.5 * float(y @ alpha) + half_log_det + 0.5 * float(offset @ offset)
    inner = inverse - np.outer(alpha, alpha)
    pull = inner * slope * (signal * 5.0 / 3.0)
    per_feature = pull.sum(axis=1) @ (scaled * scaled) - np.einsum("ij,ij->j", scaled, pull @ scaled)
    gradient = np.empty_like(theta)
    gradient[:d] = np.bincount(group, weights=per_feature, minlength=d)
    gradient[d] = 0.5 * float(np.einsum("ij,ij->", inner, kernel))
    own = np.diagonal(inner)
    gradient[d + 1] = 0.5 * noise * float((own if runs is None else own / runs).sum())
    return value, gradient + offset / spread


def sample_theta(  # noqa: PLR0913  # the arguments of fit, and the source of randomness
    start: Array, z: Array, y: Array, group: Index, prior: HyperPrior, rng: np.random.Generator,
    runs: Array | None = None, *, count: int, thinning: int = THINNING,
) -> list[Array]:  # fmt: skip
    """Return `count` samples of theta from its posterior by elliptical slice sampling (Murray et al. 2010).

    With few points many hyperparameters are plausible, and a model with only the likeliest is overconfident.
    """
    d = len(start) - 2
    centre, spread = prior.centre(d), prior.spread(d)

    def loss_at(offset: Array) -> float:
        return negative_log_likelihood(centre + offset, z, y, group, runs)

    offset = start - centre
    loss, samples = loss_at(offset), []
    for _ in range(count):
        for _ in range(thinning):
            offset, loss = slice_step(offset, loss, loss_at, spread, rng)
        samples.append(centre + offset)
    return samples


def slice_step(
    state: Array, loss: float, loss_at: Callable[[Array], float], spread: Array, rng: np.random.Generator
) -> tuple[Array, float]:
    """Return the next (k,) state, drawn from a random ellipse through `state`, and its loss.

    Args:
        state: (k,) the current state; its prior is normal with mean 0.
        loss: negative log likelihood at `state`.
        loss_at: negative log likelihood at any state.
        spread: (k,) standard deviations of the prior.
        rng: the source of randomness.
    """
    other = rng.normal(size=len(state)) * spread
    max_loss = loss + float(rng.exponential())
    angle = float(rng.random()) * 2.0 * math.pi
    low, high = angle - 2.0 * math.pi, angle
    for _ in range(_MAX_SLICE_SHRINKS):
        moved = state * math.cos(angle) + other * math.sin(angle)
        moved_loss = loss_at(moved)
        if moved_loss <= max_loss:
            return moved, moved_loss
        low, high = (angle, high) if angle < 0.0 else (low, angle)
        angle = low + float(rng.random()) * (high - low)
    return state, loss


def negative_log_likelihood(theta: Array, z: Array, y: Array, group: Index, runs: Array | None = None) -> float:
    """Return the negative log marginal likelihood of the targets, without the constant n / 2 * log(2 pi)."""
    from scipy.linalg import lapack

    scaled = z * np.exp(-theta[:-2])[group]
    signal = math.exp(theta[-2])
    kernel = signal * _matern(_squared(scaled, scaled))
    noise = math.exp(theta[-1])
    kernel.flat[:: len(kernel) + 1] += _JITTER * signal + (noise if runs is None else noise / runs)
    factor, failed = lapack.dpotrf(kernel, lower=1, overwrite_a=1, clean=0)
    if failed:
        return 1e10
    alpha, _ = lapack.dpotrs(factor, y, lower=1)
    return 0.5 * float(y @ alpha) + float(np.log(np.diagonal(factor)).sum())


def _inverse(kernel: Array, noise: float, runs: Array | None) -> tuple[Array, float]:
    """Return the inverse of the kernel with noise on its diagonal, and half the log of its determinant."""
    from scipy.linalg import lapack  # 0.1 s

    own = noise if runs is None else noise / runs
    jitter = _JITTER * float(kernel[0, 0])
    for _ in range(6):
        noisy = kernel.copy()
        noisy.flat[:: len(noisy) + 1] += jitter + own
        factor, failed = lapack.dpotrf(noisy, lower=1, overwrite_a=1, clean=1)
        if not failed:
            half_log_det = float(np.log(np.diagonal(factor)).sum())
            lower, _ = lapack.dpotri(factor, lower=1)
            return lower + np.tril(lower, -1).T, half_log_det
        jitter = max(jitter * 10.0, 1e-6 * float(kernel[0, 0]))
    raise np.linalg.LinAlgError("the kernel matrix is not positive definite")


def _matern(squared: Array) -> Array:
    root = np.sqrt(squared) * _SQRT5
    return np.asarray((1.0 + root + root * root / 3.0) * np.exp(-root))


def _squared(a: Array, b: Array) -> Array:
    """(m, c), (n, c) -> (m, n) squared distances."""
    squared = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None, :] - 2.0 * (a @ b.T)
    return np.asarray(np.maximum(squared, 0.0))
