"""How the optimum moves with the scale of a study: what small, cheap studies say of a large one.

At another scale the landscape is taken to be the same but for a shift: each logarithmic coordinate moves by a constant
for each e-fold of scale. That is a power law, as measured for learning rate and batch size against model and data size
(McCandlish et al. 2018; Yang et al. 2022, muTransfer; Li et al. 2025, step law), and as CARBS (Fetterman et al. 2023)
assumes of its Pareto front. The shift is inferred with a Gaussian process over the coordinates moved to the present
scale. Arrays in, arrays out; knows no trial.

Notation: n rows of q studies, d coordinates, s names of scale.
    units: (n, d) in [0, 1]    apart: (n, s) log of the present scale over a row's    study: (n,) which one
    y: (n,) targets, of each study with mean 0 and standard deviation 1
    drift: (s, d) shift of a coordinate for each e-fold    level: (q, 2) shift of a study's targets, log of their factor
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tunesmith.agent.sampler.surrogate import gp
from tunesmith.agent.sampler.surrogate.encoding import Array, Axes, Mask

Index = NDArray[np.intp]

_SPREAD = 0.1
"""What a drift is beforehand, as a standard deviation: a learning rate that falls as one over the width moves 0.087 of
a range from 1e-5 to 1 for each e-fold."""

_LEVEL_SPREAD = np.array([0.5, 0.3])
"""The same of levels: where the optimum lies far from the faces, the same function has smaller values."""

_LAW = 0.3
"""How far, as a share of itself, a drift is off beyond the scales that were seen: a power law is no more than close."""

_ROUNDS = 3
_STEP, _WIDE_STEP = 1e-4, 0.02
_NEAR = 256


@dataclass(frozen=True, slots=True)
class Rows:
    """What ran at any scale.

    Attributes:
        drifts: (d,) which coordinates may move.
    """

    drifts: Mask
    units: Array
    apart: Array
    study: Index
    y: Array

    def moved(self, drift: Array) -> Array:
        """Return (n, d) where each row's configuration would lie at the present scale, beyond [0, 1], too.

        Rows that were stopped at the faces would make a drift that gathers them there look likely.
        """
        return np.asarray(self.units + self.apart @ drift)

    def levelled(self, level: Array) -> Array:
        """Return (n,) targets on one scale."""
        return np.asarray((self.y - level[self.study, 0]) * np.exp(-level[self.study, 1]))


@dataclass(frozen=True, slots=True)
class Move:
    """One plausible way to bring the rows to the present scale."""

    drift: Array
    level: Array


def likeliest_move(rows: Rows, axes: Axes) -> Move:
    """Return the likeliest move, found in turn with the process's hyperparameters."""
    problem = _Problem(rows, axes)
    return problem.move_of(problem.likeliest())


def draw_moves(rows: Rows, axes: Axes, rng: np.random.Generator, *, count: int) -> list[Move]:
    """Return the likeliest move and `count` - 1 draws about it: normal by the curvature there, and off the law."""
    problem = _Problem(rows, axes)
    best = problem.likeliest()
    root = _root_of_covariance(problem.loss_at, best)
    drawn = [problem.move_of(best + root @ rng.normal(size=len(best))) for _ in range(count - 1)]
    off = [replace(move, drift=move.drift * (1.0 + _LAW * rng.normal())) for move in drawn]
    return [problem.move_of(best), *off]


def draw_optima(rows: Rows, moves: Sequence[Move], axes: Axes, rng: np.random.Generator) -> Array:
    """Return (k, d) settled coordinates: for each of k moves, the likeliest first, the best of a function drawn there.

    The function is drawn at the moved rows and at points near the best of them: elsewhere nothing is known of it.
    """
    z, y = axes.features(rows.moved(moves[0].drift)), rows.levelled(moves[0].level)
    theta = gp.fit(z, y, axes.group, gp.Prior())
    found = []
    for move in moves:
        moved, y = rows.moved(move.drift), rows.levelled(move.level)
        near = np.repeat(moved[np.argsort(y, kind="stable")[:8]], _NEAR // 8, axis=0)
        near = np.where(axes.unordered, near, near + 0.1 * rng.normal(size=near.shape))
        points = axes.settle(np.concatenate([moved, near]))
        process = gp.condition(axes.features(moved), y, theta, axes.group)
        found.append(points[int(process.draw(axes.features(points), rng).argmin())])
    return np.stack(found)


class _Problem:
    """How likely a move is; a move as a vector (p,) of standard normals, those coordinates alone that drift.

    The first study's level is the one that others are brought to.
    """

    def __init__(self, rows: Rows, axes: Axes) -> None:
        self._rows = rows
        self._axes = axes
        self._free = np.broadcast_to(rows.drifts, (rows.apart.shape[1], len(axes)))
        self._others = int(rows.study.max())
        self._theta = self._fitted(np.zeros(self._size))

    @property
    def _size(self) -> int:
        return int(self._free.sum()) + 2 * self._others

    def move_of(self, state: Array) -> Move:
        drift, level = np.zeros(self._free.shape), np.zeros((self._others + 1, 2))
        drifting = int(self._free.sum())
        drift[self._free] = _SPREAD * state[:drifting]
        level[1:] = _LEVEL_SPREAD * state[drifting:].reshape(-1, 2)
        return Move(drift, level)

    def loss_at(self, state: Array) -> float:
        z, y, move = self._seen(state)
        stretched = float(move.level[self._rows.study, 1].sum())
        likely = gp.negative_log_likelihood(self._theta, z, y, self._axes.group)
        return likely + stretched + 0.5 * float(state @ state)

    def likeliest(self) -> Array:
        from scipy import optimize  # 0.3 s

        state = np.zeros(self._size)
        for _ in range(_ROUNDS):
            self._theta = self._fitted(state)
            options = {"maxiter": 30, "eps": _STEP}
            state = np.asarray(optimize.minimize(self.loss_at, state, method="L-BFGS-B", options=options).x)
        return state

    def _fitted(self, state: Array) -> Array:
        z, y, _ = self._seen(state)
        return gp.fit(z, y, self._axes.group, gp.Prior())

    def _seen(self, state: Array) -> tuple[Array, Array, Move]:
        move = self.move_of(state)
        return self._axes.features(self._rows.moved(move.drift)), self._rows.levelled(move.level), move


def _root_of_covariance(loss_at: Callable[[Array], float], at: Array) -> Array:
    """(p,) -> (p, p) whose square is the covariance of the normal with the loss's curvature, at most the prior's."""
    p, steps = len(at), _WIDE_STEP * np.eye(len(at))
    here, ahead = loss_at(at), [loss_at(at + step) for step in steps]
    curvature = np.empty((p, p))
    for i in range(p):
        for j in range(i, p):
            both = loss_at(at + steps[i] + steps[j])
            curvature[i, j] = curvature[j, i] = (both - ahead[i] - ahead[j] + here) / _WIDE_STEP**2
    values, vectors = np.linalg.eigh(curvature)
    return np.asarray(vectors / np.sqrt(np.maximum(values, 1.0)))
