"""An ensemble of Gaussian processes with different hyperparameters. Arrays in, arrays out; knows no space or trial."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tunesmith.tools.surrogate import gp
from tunesmith.tools.surrogate.acquisition import log_expected_improvement, log_mean_exp, log_probability_below

Array = NDArray[np.float64]
Index = NDArray[np.intp]

_ROWS_FOR_HYPERPARAMETERS = 150
"""Largest number of points that hyperparameters are fitted to; more would take seconds and hardly change them."""

_NEIGHBOURS = 5
"""Number of nearest points, itself included, over which a point's value is averaged before points are selected."""

_SAMPLES = ((60, 8), (90, 4))
"""(largest number of points, number of hyperparameter samples); with more points only the mode is used."""


@dataclass(frozen=True, slots=True)
class GPEnsemble:
    """Equally weighted processes, conditioned on the same points.

    Attributes:
        posteriors: at least one process, in standardized units.
        centre: mean of the values before standardization.
        scale: standard deviation of the values before standardization.
    """

    posteriors: tuple[gp.Posterior, ...]
    centre: float
    scale: float

    @property
    def noise(self) -> float:
        """Variance of a measurement about the function."""
        return self.scale**2 * sum(posterior.noise for posterior in self.posteriors) / len(self.posteriors)

    def predict(self, z: Array) -> tuple[Array, Array]:
        """(m, c) -> mean (m,) and standard deviation (m,) of the mixture, without measurement noise."""
        each = [posterior.predict(z) for posterior in self.posteriors]
        means = np.stack([mean for mean, _ in each])
        mean = means.mean(axis=0)
        variance = np.stack([std * std for _, std in each]).mean(axis=0) + means.var(axis=0)
        return self.centre + self.scale * mean, self.scale * np.sqrt(variance)

    def log_improvement(self, z: Array, incumbents: Array, margin: float = 0.0) -> Array:
        """(m, c), (k, c) -> (m,) log expected improvement on the lowest mean among the incumbents of each process.

        Args:
            z: the points.
            incumbents: known points.
            margin: how far below that mean the improvement begins, in standard deviations of the values.
        """
        each = []
        for posterior in self.posteriors:
            mean, std = posterior.predict(z)
            best = float(posterior.predict(incumbents)[0].min()) - margin
            each.append(log_expected_improvement(mean, std, best))
        return log_mean_exp(np.stack(each))

    def log_below(self, z: Array, bound: float) -> Array:
        """(m, c) -> (m,) log probability that a measurement is at most `bound`."""
        each = []
        for posterior in self.posteriors:
            mean, std = posterior.predict(z)
            each.append(
                log_probability_below(mean, np.sqrt(std * std + posterior.noise), (bound - self.centre) / self.scale)
            )
        return log_mean_exp(np.stack(each))

    def fantasize(self, z: Array, group: Index) -> GPEnsemble:
        """Condition each process on its own mean at the pending points `z` (p, c), as if that had been measured.

        The means stay the same; the uncertainty near pending points shrinks.
        """
        if not len(z):
            return self
        extended = [
            gp.condition(
                np.concatenate([posterior.z, z]),
                np.concatenate([posterior.y, posterior.predict(z)[0]]),
                posterior.theta,
                group,
                None if posterior.runs is None else np.concatenate([posterior.runs, np.ones(len(z))]),
            )
            for posterior in self.posteriors
        ]
        return replace(self, posteriors=tuple(extended))


def fit_ensemble(  # noqa: PLR0913  # the data, and how hyperparameters are sought
    z: Array, y: Array, group: Index, prior: gp.HyperPrior, rng: np.random.Generator, runs: Array | None = None
) -> GPEnsemble:
    """Fit to (n, c) features and (n,) finite values, n >= 1; smaller is better.

    Up to 90 points the ensemble holds several samples of the hyperparameters, beyond that their mode.

    Args:
        z: features.
        y: values.
        group: index of the parameter of each feature.
        prior: prior of the hyperparameters.
        rng: the source of randomness.
        runs: (n,) number of measurements that each value is the mean of; None where each is one.
    """
    count = next((count for limit, count in _SAMPLES if len(y) <= limit), 0)
    return fit_samples(z, y, group, prior, rng, runs, count=count) if count else fit_single(z, y, group, prior, runs)


def fit_samples(  # noqa: PLR0913  # the arguments of fit_ensemble, and how long hyperparameters are sampled
    z: Array, y: Array, group: Index, prior: gp.HyperPrior, rng: np.random.Generator, runs: Array | None = None,
    *, count: int, thinning: int = gp.THINNING,
) -> GPEnsemble:  # fmt: skip
    """Fit as `fit_ensemble` does, with `count` samples of the hyperparameters at any number of points."""
    data = _StandardizedData.of(z, y, runs)
    mode = data.mode(group, prior)
    thetas = gp.sample_theta(mode, z, data.y, group, prior, rng, runs, count=count, thinning=thinning)
    return data.ensemble(thetas, group)


def fit_single(z: Array, y: Array, group: Index, prior: gp.HyperPrior, runs: Array | None = None) -> GPEnsemble:
    """Fit as `fit_ensemble` does, but with the mode of the hyperparameters only: a fifth of the time."""
    data = _StandardizedData.of(z, y, runs)
    return data.ensemble([data.mode(group, prior)], group)


@dataclass(frozen=True, slots=True)
class _StandardizedData:
    """Features, and values with mean 0 and standard deviation 1."""

    z: Array
    y: Array
    centre: float
    scale: float
    runs: Array | None

    @classmethod
    def of(cls, z: Array, y: Array, runs: Array | None) -> _StandardizedData:
        centre, scale = float(y.mean()), float(y.std())
        # Values that differ only by rounding count as equal.
        scale = scale if scale > 1e-12 * max(1.0, abs(centre)) else 1.0
        return cls(z, (y - centre) / scale, centre, scale, runs)

    def mode(self, group: Index, prior: gp.HyperPrior) -> Array:
        rows = subsample_by_local_mean(self.z, self.y, _ROWS_FOR_HYPERPARAMETERS)
        runs = None if self.runs is None else self.runs[rows]
        return gp.fit(self.z[rows], self.y[rows], group, prior, runs)

    def ensemble(self, thetas: list[Array], group: Index) -> GPEnsemble:
        posteriors = tuple(gp.condition(self.z, self.y, theta, group, self.runs) for theta in thetas)
        return GPEnsemble(posteriors, self.centre, self.scale)


def subsample_by_local_mean(z: Array, y: Array, limit: int) -> Index:
    """(n, c) features, (n,) values -> indices of at most `limit` points, selected by the mean of their neighbours.

    Half of the limit is where that mean is lowest, the rest is even by rank. Selecting by a point's own value would
    favour lucky noisy values, and a model of only those would mistake noise for shape.
    """
    if len(y) <= limit:
        return np.arange(len(y))
    from scipy.spatial import KDTree  # 0.1 s, not needed in short studies

    _, nearest = KDTree(z).query(z, k=_NEIGHBOURS)
    return subsample_by_value(y[nearest].mean(axis=1), limit)


def subsample_by_value(y: Array, limit: int) -> Index:
    """(n,) values -> sorted indices of at most `limit` of them: half of the limit lowest, the rest even by rank."""
    order = np.argsort(y, kind="stable")
    if len(y) <= limit:
        return np.arange(len(y))
    half = limit // 2
    spread = np.linspace(half, len(y) - 1, limit - half).round().astype(np.intp)
    return np.sort(order[np.concatenate([np.arange(half), spread])])
