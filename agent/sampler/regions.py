"""Where a proposal is sought: in the whole space, near the best point, or where only few of its coordinates change.

In a space of many parameters a model of few trials promises most where it knows least. About a good point it knows
something, so some proposals stay there. Knows no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from tunesmith.agent.sampler.surrogate.acquisition_optimizer import (
    Region,
    box,
    few_coordinates,
    trust_region,
    whole_space,
)
from tunesmith.agent.sampler.surrogate.encoding import Array, SpaceEncoding
from tunesmith.agent.sampler.training_data import TrainingData

Turn = Literal["space", "box", "trust", "few"]
"""The whole space; a box that the best points span; a box about the best point whose width follows from the successes
so far; all points that differ from the best in few coordinates."""

_BOX_POINTS = 5
_FEW = 3
"""Number of coordinates that change in a turn of few."""

_NEAR = 0.1
"""Half width of the box in which a value of a choice is tried for the first time."""

_WIDTH, _NARROWEST, _WIDEST = 0.3, 0.05, 0.5
_WINS_TO_WIDEN = 2
_RELATIVE_GAIN = 1e-3
"""Smallest improvement that counts, as a part of the best value."""


def region_of(turn: Turn, encoding: SpaceEncoding, data: TrainingData, good: Array, rng: np.random.Generator) -> Region:
    """Return the region of a turn.

    Args:
        turn: which kind.
        encoding: the space.
        data: all trials, in order.
        good: (k, d) coordinates of trials, the best first.
        rng: chooses the coordinates that change in a turn of few.
    """
    if turn == "box":
        return trust_region(good[:_BOX_POINTS], encoding)
    if turn == "trust":
        return box(good[0], trust_width(data), encoding)
    if turn == "few":
        active = encoding.active(good[:1])[0]
        # Parameters that a changed choice activates are free too.
        changed = ~active
        columns = np.flatnonzero(active)
        changed[rng.choice(columns, size=min(_FEW, len(columns)), replace=False)] = True
        return few_coordinates(good[0], changed, encoding)
    return whole_space(encoding)


def region_of_untried_value(encoding: SpaceEncoding, data: TrainingData, best: Array) -> Region | None:
    """Return the neighbourhood of the best point with one choice set to a value that no trial had; None if all were.

    Choices that decide which other parameters there are come first.
    """
    active = encoding.active(best[None, :])[0]
    units = np.concatenate([data.units, data.pending])
    ran = encoding.active(units)
    columns = np.flatnonzero(active & encoding.is_choice)
    for column in sorted(columns, key=lambda c: (not encoding.is_guard[c], c)):
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


def trust_width(data: TrainingData) -> float:
    """Return the half width of the trust region: doubled after two gains in a row, halved after many trials without."""
    width, best, gains, misses = _WIDTH, np.inf, 0, 0
    patience = max(4, data.units.shape[1] // 3)
    for value, complete in zip(data.values[: data.own_count, 0], data.complete[: data.own_count], strict=True):
        if complete and (not np.isfinite(best) or value < best - _RELATIVE_GAIN * abs(best)):
            best, gains, misses = value, gains + 1, 0
        else:
            gains, misses = 0, misses + 1
        if gains == _WINS_TO_WIDEN:
            width, gains = min(2.0 * width, _WIDEST), 0
        if misses == patience:
            width, misses = max(width / 2.0, _NARROWEST), 0
    return width
