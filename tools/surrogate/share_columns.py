"""The columns of mixtures: rows whose shares sum to 1, features that suit a model, and steps on the simplex.

The arithmetic is that of study/space/mixtures/simplex.py for many rows, without rounding. Knows no trial and no model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.study.space.mixtures.rows import names_of
from tunesmith.study.space.mixtures.shares import Shares
from tunesmith.study.space.mixtures.simplex import RATE
from tunesmith.study.space.space import SearchSpace

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Index = NDArray[np.intp]

ABSENT = 1e-3
"""Share below which a source counts as absent: a model sees log(share + ABSENT)."""

_STEP = 6.0
"""Standard deviation of a step in the logarithm of a share, for one of size 1 in a coordinate."""

_CEILING = 1.0 - 1e-16


@dataclass(frozen=True, slots=True)
class MixtureColumns:
    """The columns of one mixture.

    Attributes:
        columns: (k,) indices in the space.
        lows: (k,) the smallest share of each source.
        highs: (k,) the largest share of each source, as far as the lows of the others leave it.
    """

    columns: Index
    lows: Array
    highs: Array

    @property
    def width(self) -> float:
        """What the lows leave of 1."""
        return float(1.0 - self.lows.sum())

    def shares(self, units: Array) -> Array:
        """(m, d) any coordinates -> (m, k) shares that sum to 1, within the bounds."""
        sizes = -np.log1p(-np.minimum(np.clip(units[:, self.columns], 0.0, 1.0), _CEILING))
        sizes = np.where(sizes.sum(axis=1, keepdims=True) > 0.0, sizes, 1.0)
        return self._within(sizes)

    def coordinates(self, shares: Array) -> Array:
        """(m, k) shares -> (m, k) their coordinates, which decode to them."""
        return np.asarray(-np.expm1(-RATE * np.maximum(shares - self.lows, 0.0) / self.width))

    def features(self, units: Array) -> Array:
        """(m, d) valid coordinates -> (m, k) logarithms of the shares, from 0 at the lowest to 1 at the highest."""
        shares = self.lows - self.width * np.log1p(-np.minimum(units[:, self.columns], _CEILING)) / RATE
        low, high = np.log(self.lows + ABSENT), np.log(self.highs + ABSENT)
        return np.asarray((np.log(shares + ABSENT) - low) / (high - low))

    def stepped(self, units: Array, changed: Mask, rng: np.random.Generator, scale: float) -> Array:
        """Return (m, k) coordinates after a step in the logarithm of every changed share; the others are rescaled.

        Args:
            units: (m, d) valid coordinates.
            changed: (m, d) which take a step.
            rng: the source of randomness.
            scale: of the step, as for other coordinates.
        """
        shares = self.shares(units) - self.lows
        factor = np.exp(rng.normal(size=shares.shape) * scale * _STEP)
        moved = np.maximum((shares + ABSENT) * factor - ABSENT, 0.0)
        sizes = np.where(changed[:, self.columns], moved, shares)
        return self.coordinates(self._within(np.where(sizes.sum(axis=1, keepdims=True) > 0.0, sizes, 1.0)))

    def _within(self, sizes: Array) -> Array:
        """(m, k) sizes of a positive sum -> (m, k) shares: what the lows leave in proportion, none above its high."""
        shares = self.lows + self.width * sizes / sizes.sum(axis=1, keepdims=True)
        capped = np.zeros(sizes.shape, dtype=bool)
        for _ in range(sizes.shape[1]):
            over = (shares > self.highs + 1e-9) & ~capped
            if not over.any():
                break
            capped |= over
            fixed = np.where(capped, self.highs, self.lows).sum(axis=1, keepdims=True)
            free = np.where(capped, 0.0, sizes)
            # Where all that is free has size 0, it is divided equally.
            free = np.where((free.sum(axis=1, keepdims=True) <= 0.0) & ~capped, 1.0, free)
            part = free / np.maximum(free.sum(axis=1, keepdims=True), 1e-300)
            shares = np.where(capped, self.highs, self.lows + (1.0 - fixed) * part)
        return np.asarray(shares)


def mixture_columns(space: SearchSpace) -> list[MixtureColumns]:
    """Return the columns of every mixture of a space."""
    return [_columns_of(space, name, shares) for name, shares in space.mixtures.items()]


def _columns_of(space: SearchSpace, name: str, shares: Shares) -> MixtureColumns:
    index = {own: column for column, own in enumerate(space.names)}
    lows, highs = np.array(shares.lows), np.array(shares.highs)
    reach = np.minimum(highs, 1.0 - lows.sum() + lows)
    return MixtureColumns(np.array([index[part] for part in names_of(name, shares)]), lows, reach)
