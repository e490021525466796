"""How the optimum shifts with the scale of a study, inferred from studies at other scales.

The landscape at another scale is assumed to be the same up to a shift: each logarithmic coordinate shifts by a constant
per e-fold of scale. That is a power law, as measured for learning rate and batch size against model and data size
(McCandlish et al. 2018; Yang et al. 2022, muTransfer; Li et al. 2025, step law), and as CARBS (Fetterman et al. 2023)
assumes for its Pareto front. The shift is inferred with a Gaussian process over the coordinates shifted to the present
scale. Arrays in, arrays out; knows no trial.

Notation: n trials of q studies, d coordinates, s names of scale.
    units: (n, d) in [0, 1]    log_ratio: (n, s) log of the present scale over a trial's    study: (n,) study index
    y: (n,) targets, of each study with mean 0 and standard deviation 1
    drift: (s, d) shift of a coordinate per e-fold    level: (q, 2) offset and log factor of a study's targets
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tunesmith.tools.surrogate import gp
from tunesmith.tools.surrogate.encoding import Array, Mask, SpaceEncoding

Index = NDArray[np.intp]

_DRIFT_SPREAD = 0.1
"""Prior standard deviation of a drift. A learning rate proportional to one over the width moves 0.087 of a range from
1e-5 to 1 per e-fold."""

_LEVEL_SPREAD = np.array([0.5, 0.3])
"""Prior standard deviations of a level; a function whose optimum is far from the faces has smaller values."""

_POWER_LAW_ERROR = 0.3
"""Standard deviation of a drift beyond the observed scales, as a fraction of itself: power laws hold approximately."""

_ROUNDS = 3
"""Alternations between fitting the shift and the process's hyperparameters."""

_GRADIENT_STEP, _CURVATURE_STEP = 1e-4, 0.02
"""Finite-difference steps, in prior standard deviations."""

_SAMPLED_BEST, _SAMPLED_NEARBY = 8, 256
"""A function is sampled at this number of points near the best trials, split evenly among this number of trials."""


@dataclass(frozen=True, slots=True)
class ScaledTrials:
    """Trials of studies at any scale.

    Attributes:
        drifting: (d,) which coordinates may shift with scale.
    """

    drifting: Mask
    units: Array
    log_ratio: Array
    study: Index
    y: Array

    def shifted(self, drift: Array) -> Array:
        """Return (n, d) coordinates at the present scale, which may lie outside [0, 1].

        Clipped coordinates would make a drift that gathers trials at the faces look likely.
        """
        return np.asarray(self.units + self.log_ratio @ drift)

    def levelled(self, level: Array) -> Array:
        """Return (n,) targets with each study's offset and factor removed."""
        return np.asarray((self.y - level[self.study, 0]) * np.exp(-level[self.study, 1]))


@dataclass(frozen=True, slots=True)
class ScaleShift:
    """One way to bring all trials to the present scale."""

    drift: Array
    level: Array


def most_likely_shift(trials: ScaledTrials, encoding: SpaceEncoding) -> ScaleShift:
    """Return the most likely shift, fitted in turn with the process's hyperparameters."""
    posterior = _ShiftPosterior(trials, encoding)
    return posterior.to_shift(posterior.mode())


def sample_shifts(
    trials: ScaledTrials, encoding: SpaceEncoding, rng: np.random.Generator, *, count: int
) -> list[ScaleShift]:
    """Return the most likely shift and `count` - 1 samples about it.

    Samples are normal with the curvature at the mode, and their drifts are scaled by the error of the power law.
    """
    posterior = _ShiftPosterior(trials, encoding)
    best = posterior.mode()
    root = _covariance_root(posterior.loss_at, best)
    sampled = [posterior.to_shift(best + root @ rng.normal(size=len(best))) for _ in range(count - 1)]
    scaled = [replace(shift, drift=shift.drift * (1.0 + _POWER_LAW_ERROR * rng.normal())) for shift in sampled]
    return [posterior.to_shift(best), *scaled]


def sample_optima(
    trials: ScaledTrials, shifts: Sequence[ScaleShift], encoding: SpaceEncoding, rng: np.random.Generator
) -> Array:
    """Return (k, d) valid coordinates: for each of k shifts, the minimum of a function sampled from the posterior.

    The function is sampled at the shifted trials and near the best of them, because nothing is known elsewhere. The
    first shift must be the most likely one; it decides the hyperparameters.
    """
    z, y = encoding.features(trials.shifted(shifts[0].drift)), trials.levelled(shifts[0].level)
    theta = gp.fit(z, y, encoding.group, gp.HyperPrior())
    optima = []
    for shift in shifts:
        units, y = trials.shifted(shift.drift), trials.levelled(shift.level)
        best = np.argsort(y, kind="stable")[:_SAMPLED_BEST]
        near = np.repeat(units[best], _SAMPLED_NEARBY // _SAMPLED_BEST, axis=0)
        near = np.where(encoding.unordered, near, near + 0.1 * rng.normal(size=near.shape))
        points = encoding.project_to_valid(np.concatenate([units, near]))
        process = gp.condition(encoding.features(units), y, theta, encoding.group)
        optima.append(points[int(process.sample(encoding.features(points), rng).argmin())])
    return np.stack(optima)


class _ShiftPosterior:
    """The posterior of a shift, as a function of a state (p,): standard normal variables for drifts and levels.

    The state holds only drifts of drifting coordinates, and no level of the first study, to which others are brought.
    """

    def __init__(self, trials: ScaledTrials, encoding: SpaceEncoding) -> None:
        self._trials = trials
        self._encoding = encoding
        self._free = np.broadcast_to(trials.drifting, (trials.log_ratio.shape[1], len(encoding)))
        self._other_studies = int(trials.study.max())
        self._theta = self._fit_theta(np.zeros(self._size))

    @property
    def _size(self) -> int:
        return int(self._free.sum()) + 2 * self._other_studies

    def to_shift(self, state: Array) -> ScaleShift:
        drift, level = np.zeros(self._free.shape), np.zeros((self._other_studies + 1, 2))
        drifts = int(self._free.sum())
        drift[self._free] = _DRIFT_SPREAD * state[:drifts]
        level[1:] = _LEVEL_SPREAD * state[drifts:].reshape(-1, 2)
        return ScaleShift(drift, level)

    def loss_at(self, state: Array) -> float:
        """Return the negative log posterior density, up to a constant."""
        z, y, shift = self._data_at(state)
        log_jacobian = float(shift.level[self._trials.study, 1].sum())
        likelihood = gp.negative_log_likelihood(self._theta, z, y, self._encoding.group)
        return likelihood + log_jacobian + 0.5 * float(state @ state)

    def mode(self) -> Array:
        from scipy import optimize  # 0.3 s

        state = np.zeros(self._size)
        for _ in range(_ROUNDS):
            self._theta = self._fit_theta(state)
            options = {"maxiter": 30, "eps": _GRADIENT_STEP}
            state = np.asarray(optimize.minimize(self.loss_at, state, method="L-BFGS-B", options=options).x)
        return state

    def _fit_theta(self, state: Array) -> Array:
        z, y, _ = self._data_at(state)
        return gp.fit(z, y, self._encoding.group, gp.HyperPrior())

    def _data_at(self, state: Array) -> tuple[Array, Array, ScaleShift]:
        shift = self.to_shift(state)
        return self._encoding.features(self._trials.shifted(shift.drift)), self._trials.levelled(shift.level), shift


def _covariance_root(loss_at: Callable[[Array], float], at: Array) -> Array:
    """(p,) -> (p, p) root of the covariance of the normal with the loss's curvature, at most the prior's."""
    p, steps = len(at), _CURVATURE_STEP * np.eye(len(at))
    here, ahead = loss_at(at), [loss_at(at + step) for step in steps]
    curvature = np.empty((p, p))
    for i in range(p):
        for j in range(i, p):
            both = loss_at(at + steps[i] + steps[j])
            curvature[i, j] = curvature[j, i] = (both - ahead[i] - ahead[j] + here) / _CURVATURE_STEP**2
    values, vectors = np.linalg.eigh(curvature)
    return np.asarray(vectors / np.sqrt(np.maximum(values, 1.0)))
