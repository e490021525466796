"""What a few plausible Gaussian processes believe together. Arrays in, arrays out; knows no space and no trial."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tunesmith.agent.sampler.surrogate import gp
from tunesmith.agent.sampler.surrogate.acquisition import log_expected_improvement, log_mean_exp, log_probability_below

Array = NDArray[np.float64]
Index = NDArray[np.intp]

_LEARNING_ROWS = 150
"""Hyperparameters are learned from at most so many points: more would cost seconds and hardly move them."""
_NEIGHBOURS = 5
"""Where points are selected, each counts for the mean of so many about it, itself among them."""
_DRAWS = ((60, 8), (90, 4))
"""Up to so many points, so many draws of the hyperparameters; beyond, the mode alone, which is sharp by then."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """Equally likely processes, conditioned on the same points.

    Attributes:
        posteriors: at least one.
        centre: what is added to the processes' means.
        scale: what their units are multiplied by.
    """

    posteriors: tuple[gp.Posterior, ...]
    centre: float
    scale: float

    def predict(self, z: Array) -> tuple[Array, Array]:
        """(m, c) -> mean (m,) and standard deviation (m,) of the mixture, noise left out."""
        each = [posterior.predict(z) for posterior in self.posteriors]
        means = np.stack([mean for mean, _ in each])
        mean = means.mean(axis=0)
        variance = np.stack([std * std for _, std in each]).mean(axis=0) + means.var(axis=0)
        return self.centre + self.scale * mean, self.scale * np.sqrt(variance)

    def log_improvement(self, z: Array, at: Array) -> Array:
        """(m, c) -> (m,) log expected improvement on the lowest mean among `at` (k, c), each process with its own."""
        each = []
        for posterior in self.posteriors:
            mean, std = posterior.predict(z)
            best = float(posterior.predict(at)[0].min())
            each.append(log_expected_improvement(mean, std, best))
        return log_mean_exp(np.stack(each))

    def log_below(self, z: Array, bound: float) -> Array:
        """(m, c) -> (m,) log probability that a measurement lies at `bound` or below."""
        each = []
        for posterior in self.posteriors:
            mean, std = posterior.predict(z)
            each.append(
                log_probability_below(mean, np.sqrt(std * std + posterior.noise), (bound - self.centre) / self.scale)
            )
        return log_mean_exp(np.stack(each))

    def believing(self, z: Array, group: Index) -> Mixture:
        """Return the mixture as if each process's own mean had been measured at the pending points `z` (p, c).

        That leaves the means alone and takes the uncertainty away where an answer is under way.
        """
        if not len(z):
            return self
        extended = [
            gp.condition(
                np.concatenate([posterior.z, z]),
                np.concatenate([posterior.y, posterior.predict(z)[0]]),
                posterior.theta,
                group,
            )
            for posterior in self.posteriors
        ]
        return replace(self, posteriors=tuple(extended))


def learn(  # noqa: PLR0913  # what the model is fitted to, and how
    z: Array,
    y: Array,
    group: Index,
    prior: gp.Prior,
    rng: np.random.Generator,
    *,
    averaging: bool = True,
) -> Mixture:
    """Fit to (n, c) features and (n,) finite values, n >= 1; lower is better, as far as anything is.

    Few points: several draws of the hyperparameters. Many: their mode, learned from the most promising and some others.

    Args:
        z: features.
        y: values.
        group: the parameter of each feature.
        prior: of the hyperparameters.
        rng: the source of chance.
        averaging: False for the mode alone, however few points there are.
    """
    data = _Standard.of(z, y)
    mode = data.mode(group, prior)
    draws = next((count for limit, count in _DRAWS if len(y) <= limit), 0) if averaging else 0
    thetas = gp.draw(mode, z, data.y, group, prior, rng, count=draws) if draws else [mode]
    return data.mixture(thetas, group)


def learn_mode(z: Array, y: Array, group: Index, prior: gp.Prior) -> Mixture:
    """Fit as `learn` does, with the likeliest hyperparameters alone: a fifth of the time."""
    data = _Standard.of(z, y)
    return data.mixture([data.mode(group, prior)], group)


@dataclass(frozen=True, slots=True)
class _Standard:
    """Data with mean 0 and standard deviation 1, and the way back."""

    z: Array
    y: Array
    centre: float
    scale: float

    @classmethod
    def of(cls, z: Array, y: Array) -> _Standard:
        centre, scale = float(y.mean()), float(y.std())
        # Values that differ by rounding alone are one value.
        scale = scale if scale > 1e-12 * max(1.0, abs(centre)) else 1.0
        return cls(z, (y - centre) / scale, centre, scale)

    def mode(self, group: Index, prior: gp.Prior) -> Array:
        rows = promising_and_spread(self.z, self.y, _LEARNING_ROWS)
        return gp.fit(self.z[rows], self.y[rows], group, prior)

    def mixture(self, thetas: list[Array], group: Index) -> Mixture:
        posteriors = tuple(gp.condition(self.z, self.y, theta, group) for theta in thetas)
        return Mixture(posteriors, self.centre, self.scale)


def promising_and_spread(z: Array, y: Array, limit: int) -> Index:
    """(n, c) features, (n,) values -> indices of at most `limit`: half where values are low, the rest evenly by rank.

    Selected by the mean about them and not by their own values: of noisy values the lowest are the lucky ones, and a
    model of them alone takes luck for shape and finds no noise.
    """
    if len(y) <= limit:
        return np.arange(len(y))
    from scipy.spatial import KDTree  # 0.1 s, which short studies do without

    _, nearest = KDTree(z).query(z, k=_NEIGHBOURS)
    return lowest_and_spread(y[nearest].mean(axis=1), limit)


def lowest_and_spread(y: Array, limit: int) -> Index:
    """(n,) values -> indices of at most `limit` of them: the lowest half of the limit, and the rest evenly by rank."""
    order = np.argsort(y, kind="stable")
    if len(y) <= limit:
        return np.arange(len(y))
    half = limit // 2
    spread = np.linspace(half, len(y) - 1, limit - half).round().astype(np.intp)
    return np.sort(order[np.concatenate([np.arange(half), spread])])
