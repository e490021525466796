"""What earlier studies of the same parameters say of the present one, weighed by how well they rank what is seen now.

Each earlier study has a model of its own targets; their weighted mean is where the present model starts from, and the
present data correct it. After the ranking-weighted ensembles of Feurer et al. 2018. Knows no trial.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.agent.surrogate.mixture import Mixture

Array = NDArray[np.float64]

_BENEFIT_OF_DOUBT = 2.0
"""How many trials' worth of agreement an earlier study is granted before anything is seen."""


@dataclass(frozen=True, slots=True)
class Trend:
    """Earlier models and their weights, each in [0, 1]."""

    models: tuple[Mixture, ...]
    weights: Array

    def __call__(self, z: Array) -> Array:
        """(m, c) -> (m,) what is expected from earlier studies alone, in units of targets."""
        means = np.stack([model.predict(z)[0] for model in self.models])
        return np.asarray(self.weights @ means / max(float(self.weights.sum()), 1.0))


def trend_of(models: Sequence[Mixture], z: Array, y: Array) -> Trend | None:
    """Weigh earlier models by the present (n, c) features and (n,) values; None when none of them is of use."""
    if not models:
        return None
    weights = np.array([_weight(model.predict(z)[0] if len(z) else y, y) for model in models])
    useful = weights > 0.05
    if not useful.any():
        return None
    return Trend(tuple(m for m, keep in zip(models, useful, strict=True) if keep), weights[useful])


def _weight(predicted: Array, y: Array) -> float:
    """Return Kendall's rank agreement over what was seen, with the benefit of the doubt, squared; 0 for disagreement.

    Squared, because a half-hearted agreement is what unrelated problems show over a few trials.
    """
    n = len(y)
    if n < 2:
        return 1.0
    rows, columns = np.triu_indices(n, 1)
    agreement = np.sign(predicted[rows] - predicted[columns]) * np.sign(y[rows] - y[columns])
    return max(float(_BENEFIT_OF_DOUBT + n * agreement.mean()) / (_BENEFIT_OF_DOUBT + n), 0.0) ** 2
