"""A search space as arrays: snapping, activity and model features for many configurations at once.

Rows are configurations, columns parameters in the space's order, entries coordinates in [0, 1] as `Space.to_unit` gives
them; inactive parameters lie where they rest. Knows no trial and no model.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tunesmith.study.space import condition as conditions
from tunesmith.study.space.condition import Comparison, Condition, Junction, Negation
from tunesmith.study.space.encoding import Bins, Integers
from tunesmith.study.space.parameters import Bool, Choice, Parameter, resting
from tunesmith.study.space.space import SearchSpace

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

SMOOTH_FROM = 64
"""From this many values on an ordered parameter is treated as continuous where nearness is judged."""

_TABLE_LIMIT = 4096


class Axes:
    """The columns of a space.

    Attributes:
        count: (d,) number of values, inf for a continuous parameter.
        unordered: (d,) whether any two different values are equally far from each other.
        smooth: (d,) whether neighbouring values are practically the same.
        rest: (d,) where each parameter lies while it is inactive.
        group: (c,) the column of the space that each feature belongs to.
    """

    def __init__(self, space: SearchSpace) -> None:
        parameters = list(space.parameters.values())
        self.space = space
        self.count = np.array([p.cardinality for p in parameters], dtype=float)
        self.unordered = np.array([isinstance(p, Choice) and not p.ordered and len(p.choices) > 2 for p in parameters])
        self.smooth = (self.count >= SMOOTH_FROM) & ~self.unordered
        self.rest = np.array([p.to_unit(resting(p)) for p in parameters])  # type: ignore[arg-type]  # its own type
        self._snaps = [_snapper(p) for p in parameters]
        self._active = _activities(space)
        widths = [int(c) if u else 1 for c, u in zip(self.count, self.unordered, strict=True)]
        self.group = np.repeat(np.arange(len(parameters)), widths)

    def __len__(self) -> int:
        return len(self.count)

    def settle(self, units: Array) -> Array:
        """(m, d) any coordinates -> (m, d) of valid configurations: on their grids, inactive ones at rest."""
        settled = np.clip(units, 0.0, 1.0)
        for column, snap in enumerate(self._snaps):
            if snap is not None:
                settled[:, column] = snap(settled[:, column])
        if self._active:
            settled = np.where(self.active(settled), settled, self.rest)
        return settled

    def active(self, units: Array) -> Mask:
        """(m, d) snapped coordinates -> (m, d) whether each parameter is active."""
        active = np.ones(units.shape, dtype=bool)
        for column, holds in self._active:
            active[:, column] = holds(units, active)
        return active

    def features(self, units: Array) -> Array:
        """(m, d) settled coordinates -> (m, c) features: ordered ones in [0, 1], unordered ones as scaled indicators.

        Two different values of an unordered parameter are at distance 1, as the ends of an ordered one are.
        """
        parts = []
        for column, (count, unordered) in enumerate(zip(self.count, self.unordered, strict=True)):
            u = units[:, column]
            if unordered:
                index = np.minimum(np.floor(u * count), count - 1)
                parts.append((index[:, None] == np.arange(int(count))) * math.sqrt(0.5))
            elif count < SMOOTH_FROM and count > 1:
                # Bins are encoded at their centres; the ends of a short scale should lie a full unit apart.
                parts.append(((u - 0.5) * (count / (count - 1)) + 0.5)[:, None])
            else:
                parts.append(u[:, None] if count > 1 else np.zeros((len(u), 1)))
        return np.concatenate(parts, axis=1)


def _snapper(parameter: Parameter) -> Callable[[Array], Array] | None:
    """Return the move to the nearest valid coordinate; None where every coordinate is as good as valid."""
    scale = parameter.scale
    if isinstance(scale, Bins):
        count = scale.count
        return lambda u: (np.minimum(np.floor(u * count), count - 1) + 0.5) / count
    # Beyond a million values neighbouring integers cannot be told apart by a model.
    if isinstance(scale, Integers) and scale.log and parameter.cardinality <= 1e6:
        low, high = math.log(scale.low - 0.5), math.log(scale.high + 0.5)

        def snap(u: Array) -> Array:
            whole = np.clip(np.round(np.exp(low + u * (high - low))), scale.low, scale.high)
            return (np.log(whole) - low) / (high - low)

        return snap
    return None


_Holds = Callable[[Array, Mask], Mask]


def _activities(space: SearchSpace) -> list[tuple[int, _Holds]]:
    names = list(space.names)
    return [
        (names.index(name), _compile(space.conditions[name], space))
        for name in space.guards_first
        if name in space.conditions
    ]


def _compile(condition: Condition, space: SearchSpace) -> _Holds:
    """Return the condition over many rows; what it asks of an inactive parameter does not hold."""
    match condition:
        case Comparison():
            return _compile_comparison(condition, space)
        case Junction(op=op, parts=parts):
            combine = np.logical_and if op == "and" else np.logical_or
            compiled = [_compile(part, space) for part in parts]
            return lambda units, active: combine.reduce([holds(units, active) for holds in compiled])
        case Negation(part=part):
            holds = _compile(part, space)
            asked = sorted({list(space.names).index(c.name) for c in conditions.comparisons(part)})
            return lambda units, active: active[:, asked].all(axis=1) & ~holds(units, active)


def _compile_comparison(comparison: Comparison, space: SearchSpace) -> _Holds:
    column = list(space.names).index(comparison.name)
    parameter = space.parameters[comparison.name]

    def one(u: float) -> bool:
        return comparison.holds({comparison.name: parameter.from_unit(u)})

    if isinstance(parameter, Bool) or (isinstance(parameter.scale, Bins) and parameter.cardinality <= _TABLE_LIMIT):
        count = int(parameter.cardinality)
        table = np.array([one((i + 0.5) / count) for i in range(count)])
        return lambda units, active: (
            active[:, column] & table[np.minimum((units[:, column] * count).astype(int), count - 1)]
        )
    return lambda units, active: active[:, column] & np.array([one(u) for u in units[:, column]], dtype=bool)
