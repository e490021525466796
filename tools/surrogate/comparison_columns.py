"""Comparisons of one parameter with constants, as functions of many of its coordinates.

The value of a numeric parameter never falls as its coordinate rises, so a comparison changes at a few coordinates,
which are found once. Knows no condition of several comparisons.
"""

from __future__ import annotations

import operator
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tunesmith.study.space.condition import Comparison, Value
from tunesmith.study.space.encoding import Bins
from tunesmith.study.space.parameters import Bool, Choice, Parameter

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_TABLE_LIMIT = 4096
"""Largest number of numeric values for which a comparison is looked up in a table."""


def compile_comparison(comparison: Comparison, parameter: Parameter) -> Callable[[Array], Mask]:
    """Return the map from (m,) valid coordinates of the parameter to (m,) whether the comparison holds there."""

    def holds_at(u: float) -> bool:
        return comparison.holds({comparison.name: parameter.from_unit(u)})

    is_short = isinstance(parameter.scale, Bins) and parameter.cardinality <= _TABLE_LIMIT
    if isinstance(parameter, Choice | Bool) or is_short:
        count = int(parameter.cardinality)
        table = np.array([holds_at((i + 0.5) / count) for i in range(count)])
        return lambda u: table[np.minimum((u * count).astype(int), count - 1)]
    edges = np.unique([edge for constant in comparison.constants for edge in _edges(parameter, constant)])
    # The comparison is the same at every coordinate from one edge to before the next one.
    table = np.array([holds_at(u) for u in (0.0, *edges.tolist())])
    return lambda u: table[np.searchsorted(edges, u, side="right")]


def _edges(parameter: Parameter, constant: Value) -> list[float]:
    """Return the least coordinates whose value is at least the constant, and above it; none beyond the range."""
    if isinstance(constant, str | bool) or constant is None:
        return []
    found = (_least_coordinate(parameter, constant, beyond) for beyond in (operator.ge, operator.gt))
    return [edge for edge in found if edge is not None]


def _least_coordinate(parameter: Parameter, constant: float, beyond: Callable[[float, float], bool]) -> float | None:
    def is_beyond(u: float) -> bool:
        value = parameter.from_unit(u)
        return isinstance(value, int | float) and beyond(value, constant)

    low, high = 0.0, 1.0
    if is_beyond(low) or not is_beyond(high):
        return None
    while (middle := (low + high) / 2.0) not in (low, high):
        low, high = (low, middle) if is_beyond(middle) else (middle, high)
    return high
