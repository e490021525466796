"""A Gaussian process with a Matern-5/2 kernel and one lengthscale per parameter; hyperparameters by mode or by draws.

Notation: n points, m queries, c features, d parameters (groups of features).
    z: (n, c) features     y: (n,) standardized targets, smaller is better     group: (c,) feature -> parameter
    theta: (d + 2,) = log lengthscales, log signal variance, log noise variance
Knows no space and no trial. One lengthscale serves all features of a parameter.
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
_THINNING = 5
_LONGEST_SLICE = 40
_LEAST_NOISE, _SOME_NOISE, _MOST_NOISE = 1e-6, 0.04, 2.0
_CLEARLY = 1.0
"""By so much, in log density, one mode has to be likelier than the other before it takes its place."""
_MEASURED_SPREAD = 1.2
"""Of the log of a variance that was taken from three values or so: of a chi-square with two degrees of freedom."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """Normal priors of theta: the lengthscales' centre grows with the square root of the number of parameters.

    Distances in a unit cube grow like that too; a centre that is too long makes the model too smooth and the search
    stall, one that is too short makes it forget everything between two points.
    """

    length_centre: float = 0.5
    length_spread: float = 1.5
    signal_spread: float = 1.0
    noise_centre: float = 1e-4
    noise_spread: float = 2.0

    def knowing_noise(self, variance: float | None, std: float) -> Prior:
        """Return the prior after noise was measured.

        Args:
            variance: between repeated measurements, from a few of them; None when there are none.
            std: of all measurements, in the same unit.
        """
        if variance is None or std <= 0.0:
            return self
        share = min(max(variance / std**2, _LEAST_NOISE), _MOST_NOISE)
        return replace(self, noise_centre=share, noise_spread=_MEASURED_SPREAD)

    def centre(self, d: int) -> Array:
        """(d + 2,) the most likely theta before any data."""
        return np.array([math.log(self.length_centre * math.sqrt(d))] * d + [0.0, math.log(self.noise_centre)])

    def spread(self, d: int) -> Array:
        """(d + 2,) standard deviations."""
        return np.array([self.length_spread] * d + [self.signal_spread, self.noise_spread])


@dataclass(frozen=True, slots=True)
class Posterior:
    """A process conditioned on data: its mean is `k(x, z) alpha`; `inverse` is that of the noisy kernel matrix."""

    z: Array
    y: Array
    theta: Array
    scaled: Array
    weights: Array
    alpha: Array
    inverse: Array

    @property
    def signal(self) -> float:
        """The variance of the function before any data."""
        return math.exp(self.theta[-2])

    @property
    def noise(self) -> float:
        """The variance of a measurement about the function."""
        return math.exp(self.theta[-1])

    def predict(self, queries: Array) -> tuple[Array, Array]:
        """(m, c) -> means (m,), standard deviations (m,) of the noise-free function, in units of the targets."""
        signal = self.signal
        cross = signal * _matern(_squared(queries * self.weights, self.scaled))
        mean = cross @ self.alpha
        variance = signal - np.einsum("ij,ij->i", cross @ self.inverse, cross)
        return mean, np.sqrt(np.maximum(variance, 1e-12 * signal))

    def draw(self, queries: Array, rng: np.random.Generator) -> Array:
        """(m, c) -> (m,) a function drawn from the posterior; the time grows with the cube of m."""
        scaled, signal = queries * self.weights, self.signal
        cross = signal * _matern(_squared(scaled, self.scaled))
        covariance = signal * _matern(_squared(scaled, scaled)) - cross @ self.inverse @ cross.T
        values, vectors = np.linalg.eigh(covariance)
        return np.asarray(
            cross @ self.alpha + vectors @ (np.sqrt(np.maximum(values, 0.0)) * rng.normal(size=len(values)))
        )


def condition(z: Array, y: Array, theta: Array, group: Index) -> Posterior:
    """Condition the process with hyperparameters `theta` on the data.

    Raises:
        numpy.linalg.LinAlgError: the kernel matrix is not positive definite even with more jitter.
    """
    weights = np.exp(-theta[:-2])[group]
    scaled = z * weights
    kernel = math.exp(theta[-2]) * _matern(_squared(scaled, scaled))
    inverse, _ = _inverse(kernel, math.exp(theta[-1]))
    return Posterior(z, y, theta, scaled, weights, inverse @ y, inverse)


def fit(z: Array, y: Array, group: Index, prior: Prior, *, steps: int = 60) -> Array:
    """Return the theta with the highest posterior density that L-BFGS finds from the prior's centre, and from noise.

    Noisy values have two explanations, a smooth function with noise and a rough one without, with a valley between them
    that a search from the quiet side does not cross. Of two that are about as likely the quiet one is taken: with few
    points it costs less to be wrong with.
    """
    from scipy import optimize  # 0.3 s

    d = int(group[-1]) + 1
    centre, spread = prior.centre(d), prior.spread(d)
    low, high = centre - 4 * spread, centre + 4 * spread
    high[-1] = max(high[-1], math.log(_MOST_NOISE))
    best: tuple[float, Array] | None = None
    for start in (centre, np.append(centre[:-1], math.log(_SOME_NOISE))):
        found: Any = optimize.minimize(
            negative_log_posterior, start, args=(z, y, group, centre, spread), jac=True, method="L-BFGS-B",
            bounds=list(zip(low, high, strict=True)), options={"maxiter": steps, "ftol": 1e-6, "gtol": 1e-3},
        )  # fmt: skip
        if best is None or found.fun < best[0] - _CLEARLY:
            best = (float(found.fun), np.asarray(found.x))
    assert best is not None  # noqa: S101  # there are two starts
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


def draw(  # noqa: PLR0913  # what fit takes, and the source of chance
    start: Array, z: Array, y: Array, group: Index, prior: Prior, rng: np.random.Generator,
    *, count: int,
) -> list[Array]:  # fmt: skip
    """Return `count` thetas from their posterior by elliptical slice sampling, a few steps apart. Murray et al. 2010.

    With few points many hyperparameters are plausible. One mode alone is overconfident; an average over draws is not.
    """
    d = len(start) - 2
    centre, spread = prior.centre(d), prior.spread(d)

    def loss_at(away: Array) -> float:
        return negative_log_likelihood(centre + away, z, y, group)

    away = start - centre
    loss, drawn = loss_at(away), []
    for _ in range(count):
        for _ in range(_THINNING):
            away, loss = slice_step(away, loss, loss_at, spread, rng)
        drawn.append(centre + away)
    return drawn


def slice_step(
    away: Array, loss: float, loss_at: Callable[[Array], float], spread: Array, rng: np.random.Generator
) -> tuple[Array, float]:
    """Return the next (k,) state, drawn along a random ellipse through `away`, and its loss.

    Args:
        away: (k,) the state, whose prior is normal with mean 0.
        loss: negative log likelihood there.
        loss_at: the same anywhere.
        spread: (k,) the prior's standard deviations.
        rng: the source of chance.
    """
    other = rng.normal(size=len(away)) * spread
    bar = loss + float(rng.exponential())
    angle = float(rng.random()) * 2.0 * math.pi
    low, high = angle - 2.0 * math.pi, angle
    for _ in range(_LONGEST_SLICE):
        moved = away * math.cos(angle) + other * math.sin(angle)
        moved_loss = loss_at(moved)
        if moved_loss <= bar:
            return moved, moved_loss
        low, high = (angle, high) if angle < 0.0 else (low, angle)
        angle = low + float(rng.random()) * (high - low)
    return away, loss


def negative_log_likelihood(theta: Array, z: Array, y: Array, group: Index) -> float:
    """Return the negative log likelihood of the targets, up to a constant."""
    from scipy.linalg import lapack

    scaled = z * np.exp(-theta[:-2])[group]
    signal = math.exp(theta[-2])
    kernel = signal * _matern(_squared(scaled, scaled))
    kernel.flat[:: len(kernel) + 1] += _JITTER * signal + math.exp(theta[-1])
    factor, failed = lapack.dpotrf(kernel, lower=1, overwrite_a=1, clean=0)
    if failed:
        return 1e10
    alpha, _ = lapack.dpotrs(factor, y, lower=1)
    return 0.5 * float(y @ alpha) + float(np.log(np.diagonal(factor)).sum())


def _inverse(kernel: Array, noise: float) -> tuple[Array, float]:
    """Return the inverse of kernel + noise on its diagonal, and half the log of its determinant."""
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
    return np.asarray((1.0 + root + root * root / 3.0) * np.exp(-root))


def _squared(a: Array, b: Array) -> Array:
    """(m, c), (n, c) -> (m, n) squared distances."""
    squared = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None, :] - 2.0 * (a @ b.T)
    return np.asarray(np.maximum(squared, 0.0))
