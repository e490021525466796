"""What earlier studies say of where the present one does well, weighed by how well they rank what is seen now.

Each earlier study has a model of its own targets. Their weighted mean is no part of the present model: it makes points
more or less plausible beforehand, as the names of parameters do, and fades as trials come in (Hvarfner et al. 2022,
piBO). The weights are after the ranking-weighted ensembles of Feurer et al. 2018. Knows no trial.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.agent.sampler.surrogate.gp_ensemble import Mixture

Array = NDArray[np.float64]

_BENEFIT_OF_DOUBT = 2.0
"""How many trials' worth of agreement an earlier study is granted before anything is seen."""

_LEAST_WEIGHT = 0.05
_FARTHEST = 3.0
"""So many standard deviations of an earlier study above its best, a point is as implausible as one can be."""


@dataclass(frozen=True, slots=True)
class Lore:
    """Models of earlier studies with their weights, each in (0, 1].

    Attributes:
        lowest: what they expect of the best point that was run in any of them.
    """

    models: tuple[Mixture, ...]
    weights: Array
    lowest: float

    def expected(self, z: Array) -> Array:
        """(m, c) -> (m,) the weighted mean of what they expect, in their own targets' standard deviations."""
        return _mean(self.models, self.weights, z)

    def log_plausibility(self, z: Array) -> Array:
        """(m, c) -> (m,), at most 0: the worse a point is expected to be than the best one run, the lower."""
        above = np.clip(self.expected(z) - self.lowest, 0.0, _FARTHEST)
        return np.asarray(-float(self.weights.max()) * above)


def lore_of(models: Sequence[Mixture], ran: Array, z: Array, y: Array) -> Lore | None:
    """Weigh earlier models by the present (n, c) features and (n,) values; None when none of them is of use.

    Args:
        models: one of each earlier study.
        ran: (r, c) what was run in any of them.
        z: features of what was run now.
        y: its values, smaller is better.
    """
    weights = np.array([_weight(model.predict(z)[0] if len(z) else y, y) for model in models])
    useful = weights > _LEAST_WEIGHT
    if not useful.any():
        return None
    kept = tuple(m for m, keep in zip(models, useful, strict=True) if keep)
    return Lore(kept, weights[useful], float(_mean(kept, weights[useful], ran).min()))


def _mean(models: Sequence[Mixture], weights: Array, z: Array) -> Array:
    means = np.stack([model.predict(z)[0] for model in models])
    return np.asarray(weights @ means / float(weights.sum()))


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
