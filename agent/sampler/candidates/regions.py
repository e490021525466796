"""Where a proposal is sought: in the whole space, near the best points, or at a value of a choice that no trial had.

Knows no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from tunesmith.agent.sampler.surrogate.acquisition_optimizer import Region, box, trust_region, whole_space
from tunesmith.agent.sampler.training_data import TrainingData
from tunesmith.tools.surrogate.encoding import Array, SpaceEncoding

Turn = Literal["space", "box"]
"""The whole space; a box about the best point that the next best ones span."""

_NARROW_EVERY = 3
"""Every n-th proposal stays near the best mixtures."""

_BOX_POINTS = 5
_NEAR = 0.1
"""Half width of the box in which a value of a choice is tried for the first time."""


def region_of(turn: Turn, encoding: SpaceEncoding, good: Array) -> Region:
    """Return the region of a turn, given the coordinates of trials (k, d), the best first."""
    return trust_region(good[:_BOX_POINTS], encoding) if turn == "box" else whole_space(encoding)


def with_all_mixtures(region: Region, encoding: SpaceEncoding, number: int) -> Region:
    """Return the region of a proposal in a study with a default, in two of three proposals with all mixtures.

    The best mixture often leaves most sources out, far from a default of equal shares.
    """
    if not encoding.mixtures or number % _NARROW_EVERY == 0:
        return region
    is_share = np.zeros(len(encoding), dtype=bool)
    for mixture in encoding.mixtures:
        is_share[mixture.columns] = True
    return replace(
        region,
        centre=np.where(is_share, 0.5, region.centre),
        half_width=np.where(is_share, 0.5, region.half_width),
    )


def region_of_untried_value(encoding: SpaceEncoding, data: TrainingData, best: Array) -> Region | None:
    """Return the neighbourhood of the best point with one choice set to a value that no trial had; None if all were.

    Choices that other parameters depend on are left out: one trial, with those parameters in the middle of their
    ranges, would say little of the value, and the model would believe it.
    """
    active = encoding.active(best[None, :])[0]
    units = np.concatenate([data.units, data.pending])
    ran = encoding.active(units)
    for column in np.flatnonzero(active & encoding.is_choice & ~encoding.is_guard):
        missing = _missing_values(units[ran[:, column], column], int(encoding.count[column]))
        if len(missing):
            centre = best.copy()
            centre[column] = (missing[0] + 0.5) / encoding.count[column]
            valid = encoding.project_to_valid(centre[None, :])[0]
            frozen = encoding.unordered | (np.arange(len(encoding)) == column)
            return replace(box(valid, _NEAR, encoding), frozen=frozen)
    return None


def _missing_values(coordinates: Array, count: int) -> Sequence[int]:
    tried = np.minimum((coordinates * count).astype(int), count - 1)
    return [int(value) for value in np.setdiff1d(np.arange(count), tried)]
