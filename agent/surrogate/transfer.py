"""What earlier studies of the same parameters say of the present one, as far as they rank what is seen now.

Their rows stand beside the present ones in one Gaussian process, each study with a feature of its own: the longer that
feature's lengthscale, the more it is taken to be the same function, and the data decide how long it is. A study that
ranks the present trials wrongly is left out before that (after the ranking-weighted ensembles of Feurer et al. 2018).
Knows no trial.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.agent.surrogate.mixture import Index, Mixture, lowest_and_spread

Array = NDArray[np.float64]

ROWS = 60
"""So many rows of all earlier studies stand beside the present ones: more would cost seconds."""

_BENEFIT_OF_DOUBT = 2.0
"""How many trials' worth of agreement an earlier study is granted before anything is seen."""

_LEAST_AGREEMENT = 0.2
_APART = 0.5
"""The distance between the same configuration in two studies, where opposite faces of the space are 1 apart."""

_TYPICAL_SPREAD, _TYPICAL_COUNT = 0.5, 2.0
"""Before anything is seen, present targets are taken to spread so much on the earlier studies' scale."""


@dataclass(frozen=True, slots=True)
class Source:
    """An earlier study: its own model, and its rows (k, c) with targets (k,) of mean 0 and standard deviation 1."""

    model: Mixture
    z: Array
    y: Array


@dataclass(frozen=True, slots=True)
class Sources:
    """The earlier studies that are of use, with the weight of each in (0, 1]."""

    each: tuple[Source, ...]
    weights: Array

    def expected(self, z: Array) -> Array:
        """(m, c) -> (m,) what earlier studies lead to expect, on their scale."""
        means = np.stack([source.model.predict(z)[0] for source in self.each])
        return np.asarray(self.weights @ means / self.weights.sum())

    def scale_for(self, z: Array, y: Array) -> tuple[float, float]:
        """Return factor and shift that bring the present (n,) targets at (n, c), n >= 1, to the earlier studies' scale.

        Present trials lie where earlier ones were good, so mean 0 and standard deviation 1 are not the same there.
        """
        t = self.expected(z)
        squares = float(((t - t.mean()) ** 2).sum()) + _TYPICAL_COUNT * _TYPICAL_SPREAD**2
        spread = float(np.sqrt(squares / (len(t) + _TYPICAL_COUNT)))
        factor = spread / float(y.std()) if y.std() > 1e-9 else 1.0  # noqa: PLR2004  # equal but for rounding
        return factor, float(t.mean()) - factor * float(y.mean())

    def rows(self) -> tuple[Array, Array]:
        """Return features (k, c + sources) and targets (k,) of at most ROWS rows, the best of each and some others."""
        limit = max(ROWS // len(self.each), 2)
        z, y = [], []
        for index, source in enumerate(self.each):
            kept = lowest_and_spread(source.y, limit)
            z.append(np.concatenate([source.z[kept], _marks(len(kept), len(self.each), index)], axis=1))
            y.append(source.y[kept])
        return np.concatenate(z), np.concatenate(y)


def marked(z: Array, sources: int) -> Array:
    """(m, c) features -> (m, c + sources) of the present study."""
    return np.concatenate([z, np.zeros((len(z), sources))], axis=1) if sources else z


def marked_group(group: Index, sources: int) -> Index:
    """(c,) the parameter of each feature -> (c + sources,): each earlier study counts as one more."""
    return np.concatenate([group, group[-1] + 1 + np.arange(sources)])


def of_use(sources: Sequence[Source], z: Array, y: Array) -> Sources | None:
    """Weigh earlier studies by the present (n, c) features and (n,) values; None when none of them is of use."""
    weights = np.array([_weight(source.model.predict(z)[0] if len(z) else y, y) for source in sources])
    useful = weights > _LEAST_AGREEMENT**2
    if not useful.any():
        return None
    return Sources(tuple(s for s, keep in zip(sources, useful, strict=True) if keep), weights[useful])


def _marks(rows: int, sources: int, index: int) -> Array:
    marks = np.zeros((rows, sources))
    marks[:, index] = _APART
    return marks


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
