"""A prior from earlier studies: their models, weighted by how well they rank the present study's trials.

Each earlier study has a separate model of its targets. Their weighted mean is not part of the present model. It
multiplies the acquisition as a prior, as the names of parameters do, and loses influence as trials come in (piBO,
Hvarfner et al. 2022). The weights follow the ranking-weighted ensembles of Feurer et al. 2018. Knows no trial.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.tools.surrogate.gp_ensemble import GPEnsemble

Array = NDArray[np.float64]

_PRIOR_AGREEMENT = 2.0
"""Number of agreeing trials that an earlier study is credited with before anything is observed."""

_MIN_WEIGHT = 0.05
"""Earlier studies with a smaller weight are left out."""

_MAX_DISTANCE = 3.0
"""Distance above the best mean, in standard deviations of an earlier study, beyond which plausibility falls no more."""


@dataclass(frozen=True, slots=True)
class TransferPrior:
    """Models of earlier studies with their weights, each in (0, 1].

    Attributes:
        best_mean: the lowest weighted mean among the points that any of them ran.
    """

    models: tuple[GPEnsemble, ...]
    weights: Array
    best_mean: float

    def mean(self, z: Array) -> Array:
        """(m, c) -> (m,) weighted mean of the models' predictions, in standard deviations of their targets."""
        return _weighted_mean(self.models, self.weights, z)

    def log_plausibility(self, z: Array) -> Array:
        """(m, c) -> (m,), at most 0: the farther the predicted mean lies above the best one, the lower."""
        above = np.clip(self.mean(z) - self.best_mean, 0.0, _MAX_DISTANCE)
        return np.asarray(-float(self.weights.max()) * above)


def fit_transfer_prior(models: Sequence[GPEnsemble], ran: Array, z: Array, y: Array) -> TransferPrior | None:
    """Weight earlier models by how they rank the present trials; None when none of them is of use.

    Args:
        models: one per earlier study.
        ran: (r, c) features of the points that any of them ran.
        z: (n, c) features of the present trials.
        y: (n,) values of the present trials, smaller is better.
    """
    weights = np.array([_rank_weight(model.predict(z)[0] if len(z) else y, y) for model in models])
    useful = weights > _MIN_WEIGHT
    if not useful.any():
        return None
    kept = tuple(m for m, keep in zip(models, useful, strict=True) if keep)
    return TransferPrior(kept, weights[useful], float(_weighted_mean(kept, weights[useful], ran).min()))


def _weighted_mean(models: Sequence[GPEnsemble], weights: Array, z: Array) -> Array:
    means = np.stack([model.predict(z)[0] for model in models])
    return np.asarray(weights @ means / float(weights.sum()))


def _rank_weight(predicted: Array, y: Array) -> float:
    """Return the square of Kendall's rank correlation, smoothed by the prior agreement; 0 for disagreement.

    It is squared because over a few trials unrelated problems often agree a little.
    """
    n = len(y)
    if n < 2:  # noqa: PLR2004  # one value has no ranks
        return 1.0
    rows, columns = np.triu_indices(n, 1)
    agreement = np.sign(predicted[rows] - predicted[columns]) * np.sign(y[rows] - y[columns])
    return max(float(_PRIOR_AGREEMENT + n * agreement.mean()) / (_PRIOR_AGREEMENT + n), 0.0) ** 2
