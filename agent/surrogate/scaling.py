"""How the optimum moves with the scale of a study: what small, cheap studies say of a large one.

At another scale the landscape is taken to be the same but for a shift: each ordered coordinate moves by a constant for
each e-fold of scale. On logarithmic axes that is a power law, as measured for learning rate and batch size against
model and data size (McCandlish et al. 2018; Yang et al. 2022, muTransfer; Li et al. 2025, step law), and as CARBS
(Fetterman et al. 2023) assumes of its Pareto front. The shift is inferred with a Gaussian process over the coordinates
moved to the present scale. Arrays in, arrays out; knows no trial.

Notation: n rows, d coordinates, s names of scale.
    units: (n, d) in [0, 1]    apart: (n, s) log of the present scale over a row's    y: (n,) targets, each study's own
    drift: (s, d) shift of a coordinate for each e-fold
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.agent.surrogate import gp
from tunesmith.agent.surrogate.axes import Array, Axes, Mask

Index = NDArray[np.intp]

_SPREAD = 0.1
"""What a drift is beforehand, as a standard deviation: a learning rate that falls as one over the width moves 0.087 of
a range from 1e-5 to 1 for each e-fold."""

_ROUNDS = 3
_BURN = 40
_THINNING = 3
_CANDIDATES = 256


@dataclass(frozen=True, slots=True)
class Rows:
    """What ran at any scale."""

    units: Array
    apart: Array
    y: Array

    def moved(self, drift: Array) -> Array:
        """Return (n, d) where each row's configuration would lie at the present scale, in [0, 1]."""
        return np.asarray(np.clip(self.units + self.apart @ drift, 0.0, 1.0))


def draw_drifts(rows: Rows, axes: Axes, rng: np.random.Generator, *, count: int) -> Array:
    """Return (count, s, d) draws from what the rows say of the drift; 0 for unordered coordinates.

    By elliptical slice sampling (Murray et al. 2010) with the process's likeliest hyperparameters, found in turn.
    """
    free = np.broadcast_to(~axes.unordered & (axes.count > 1), (rows.apart.shape[1], len(axes)))
    prior = gp.Prior()
    drift = np.zeros(free.shape)
    drawn: list[Array] = []
    for last in [False] * (_ROUNDS - 1) + [True]:
        theta = gp.fit(axes.features(rows.moved(drift)), rows.y, axes.group, prior)
        drawn = _sampled(rows, axes, theta, free, drift, rng, count if last else 8)
        drift = np.mean(drawn, axis=0)
    return np.stack(drawn)


def _sampled(
    rows: Rows, axes: Axes, theta: Array, free: Mask, start: Array, rng: np.random.Generator, count: int
) -> list[Array]:
    def loss_at(flat: Array) -> float:
        z = axes.features(rows.moved(flat.reshape(free.shape)))
        return gp.negative_log_likelihood(theta, z, rows.y, axes.group)

    spread = np.where(free, _SPREAD, 0.0).ravel()
    state, loss, drawn = start.ravel(), loss_at(start.ravel()), []
    for step in range(_BURN + count * _THINNING):
        state, loss = gp.slice_step(state, loss, loss_at, spread, rng)
        if step >= _BURN and (step - _BURN) % _THINNING == 0:
            drawn.append(state.reshape(free.shape))
    return drawn


def draw_optima(rows: Rows, drifts: Array, axes: Axes, rng: np.random.Generator) -> Array:
    """(k, s, d) drifts -> (k, d) settled coordinates: for each, the best of a function drawn at this scale.

    The function is drawn at the moved rows and at points near the best of them: elsewhere nothing is known of it.
    """
    theta = gp.fit(axes.features(rows.moved(drifts.mean(axis=0))), rows.y, axes.group, gp.Prior())
    found = []
    for drift in drifts:
        moved = rows.moved(drift)
        best = moved[np.argsort(rows.y, kind="stable")[:8]]
        near = np.repeat(best, _CANDIDATES // 8, axis=0)
        near = np.where(axes.unordered, near, np.clip(near + 0.1 * rng.normal(size=near.shape), 0.0, 1.0))
        points = axes.settle(np.concatenate([moved, near]))
        process = gp.condition(axes.features(moved), rows.y, theta, axes.group)
        found.append(points[int(process.draw(axes.features(points), rng).argmin())])
    return np.stack(found)
