"""Encodes a search space as arrays: projection to valid coordinates, active parameters and model features.

A row is a configuration and a column a parameter, in the space's order. Entries are coordinates in [0, 1], as
`SearchSpace.to_unit` returns them; an inactive parameter has an imputed coordinate. Knows no trial and no model.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tunesmith.study.space import condition as conditions
from tunesmith.study.space.condition import Comparison, Condition, Junction, Negation
from tunesmith.study.space.encoding import Bins, Integers
from tunesmith.study.space.parameters import Bool, Choice, Parameter, imputed_value
from tunesmith.study.space.space import SearchSpace
from tunesmith.tools.surrogate.comparison_columns import compile_comparison
from tunesmith.tools.surrogate.relation_columns import RelationColumns, sample_rows
from tunesmith.tools.surrogate.share_columns import mixture_columns

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

SMOOTH_FROM = 64
"""Number of values from which an ordered parameter is treated as continuous when configurations are compared."""


class SpaceEncoding:
    """The columns of a space.

    Attributes:
        space: the search space.
        count: (d,) number of values; inf for a continuous parameter.
        unordered: (d,) whether any two different values are equally far apart.
        is_choice: (d,) whether it is a choice without an order, of two values or more.
        is_guard: (d,) whether other parameters' conditions depend on it.
        smooth: (d,) whether neighbouring values are practically the same.
        imputed: (d,) coordinate of each parameter while it is inactive.
        mixtures: the columns of each mixture.
        group: (c,) index of the parameter that each feature belongs to; derived values count as further parameters.
    """

    def __init__(self, space: SearchSpace) -> None:
        parameters = list(space.parameters.values())
        self.space = space
        self.count = np.array([p.cardinality for p in parameters], dtype=float)
        self.unordered = np.array([isinstance(p, Choice) and not p.ordered and len(p.choices) > 2 for p in parameters])
        self.is_choice = np.array(
            [isinstance(p, Choice | Bool) and not getattr(p, "ordered", False) for p in parameters]
        )
        decides = {c.name for condition in space.conditions.values() for c in conditions.comparisons(condition)}
        self.is_guard = np.array([name in decides for name in space.parameters])
        self.smooth = (self.count >= SMOOTH_FROM) & ~self.unordered
        self.imputed = np.array([p.to_unit(imputed_value(p)) for p in parameters])  # type: ignore[arg-type]  # its own type
        self.mixtures = mixture_columns(space)
        self._projections = [_projection(p) for p in parameters]
        self._relations = RelationColumns(space) if space.relations else None
        self._conditions = _compiled_conditions(space, self._relations)
        widths = [int(c) if u else 1 for c, u in zip(self.count, self.unordered, strict=True)]
        if self._relations is not None:
            units = self._snapped(sample_rows(len(parameters)))
            self._relations.fit_ranges(units, self.active(units))
            widths += [1] * len(self._relations.derived)
        self.group = np.repeat(np.arange(len(widths)), widths)

    def __len__(self) -> int:
        return len(self.count)

    def project_to_valid(self, units: Array) -> Array:
        """(m, d) any coordinates -> (m, d) of valid configurations.

        They are snapped to grids, inactive parameters are imputed, and forbidden rows become allowed ones nearby.
        """
        valid = self._snapped(units)
        if self._relations is None:
            return valid
        replaced, is_changed = self._relations.replace_forbidden(valid, self.active(valid))
        return self._snapped(replaced) if is_changed else valid

    def allowed(self, units: Array) -> Mask:
        """(m, d) valid coordinates -> (m,) whether no rule forbids the row."""
        if self._relations is None:
            return np.ones(len(units), dtype=bool)
        return self._relations.allowed(units, self.active(units))

    def _snapped(self, units: Array) -> Array:
        valid = np.clip(units, 0.0, 1.0)
        for column, project in enumerate(self._projections):
            if project is not None:
                valid[:, column] = project(valid[:, column])
        for mixture in self.mixtures:
            valid[:, mixture.columns] = mixture.coordinates(mixture.shares(valid))
        if self._conditions:
            valid = np.where(self.active(valid), valid, self.imputed)
        return valid

    def active(self, units: Array) -> Mask:
        """(m, d) coordinates on their grids -> (m, d) whether each parameter is active."""
        active = np.ones(units.shape, dtype=bool)
        for column, holds in self._conditions:
            active[:, column] = holds(units, active)
        return active

    def features(self, units: Array) -> Array:
        """(m, d) valid coordinates -> (m, c) features: ordered parameters in [0, 1], unordered ones one-hot.

        One-hot columns are scaled so that different values are at distance 1, as are the ends of an ordered parameter.
        Shares of a mixture enter by their logarithms. Derived values follow, in [0, 1].
        """
        parts = []
        given, units = units, self._with_logarithms(units)
        for column, (count, unordered) in enumerate(zip(self.count, self.unordered, strict=True)):
            u = units[:, column]
            if unordered:
                index = np.minimum(np.floor(u * count), count - 1)
                parts.append((index[:, None] == np.arange(int(count))) * math.sqrt(0.5))
            elif count < SMOOTH_FROM and count > 1:
                # Coordinates are the centres of bins; stretched, the ends of a short scale lie a full unit apart.
                parts.append(((u - 0.5) * (count / (count - 1)) + 0.5)[:, None])
            else:
                parts.append(u[:, None] if count > 1 else np.zeros((len(u), 1)))
        if self._relations is not None and self._relations.derived:
            parts.append(self._relations.features(given, self.active(given)))
        return np.concatenate(parts, axis=1)

    def _with_logarithms(self, units: Array) -> Array:
        if not self.mixtures:
            return units
        seen = units.copy()
        for mixture in self.mixtures:
            seen[:, mixture.columns] = mixture.features(units)
        return seen


def _projection(parameter: Parameter) -> Callable[[Array], Array] | None:
    """Return the map to the nearest valid coordinate; None for a parameter whose every coordinate counts as valid."""
    scale = parameter.scale
    if isinstance(scale, Bins):
        count = scale.count
        return lambda u: (np.minimum(np.floor(u * count), count - 1) + 0.5) / count
    # With more than a million values a model cannot distinguish neighbouring integers.
    if isinstance(scale, Integers) and scale.log and parameter.cardinality <= 1e6:
        low, high = math.log(scale.low - 0.5), math.log(scale.high + 0.5)

        def snap(u: Array) -> Array:
            whole = np.clip(np.round(np.exp(low + u * (high - low))), scale.low, scale.high)
            return (np.log(whole) - low) / (high - low)

        return snap
    return None


_Holds = Callable[[Array, Mask], Mask]


def _compiled_conditions(space: SearchSpace, relations: RelationColumns | None) -> list[tuple[int, _Holds]]:
    names = list(space.names)
    return [
        (names.index(name), _compile(space.conditions[name], space, relations))
        for name in space.dependency_order
        if name in space.conditions
    ]


def _compile(condition: Condition, space: SearchSpace, relations: RelationColumns | None) -> _Holds:
    """Return the condition as a function of many rows; a comparison with an inactive parameter is false."""
    match condition:
        case Comparison(name=name):
            if relations is not None and name in space.relations.derived:
                return _compile_derived(condition, relations)
            return _compile_comparison(condition, space)
        case Junction(op=op, parts=parts):
            combine = np.logical_and if op == "and" else np.logical_or
            compiled = [_compile(part, space, relations) for part in parts]
            return lambda units, active: combine.reduce([holds(units, active) for holds in compiled])
        case Negation(part=part):
            holds, known = (
                _compile(part, space, relations),
                [_known(c.name, space, relations) for c in conditions.comparisons(part)],
            )
            return lambda units, active: (
                np.logical_and.reduce([one(units, active) for one in known]) & ~holds(units, active)
            )


def _known(name: str, space: SearchSpace, relations: RelationColumns | None) -> _Holds:
    """Return whether a parameter is active, or a derived value has a value, as a function of many rows."""
    if relations is not None and name in space.relations.derived:
        return lambda units, active: np.array(
            [value is not None for value in relations.derived_values(units, active, name)], dtype=bool
        )
    column = list(space.names).index(name)
    return lambda units, active: active[:, column]


def _compile_derived(comparison: Comparison, relations: RelationColumns) -> _Holds:
    name = comparison.name

    def holds(units: Array, active: Mask) -> Mask:
        values = relations.derived_values(units, active, name)
        return np.array([value is not None and comparison.holds({name: value}) for value in values], dtype=bool)

    return holds


def _compile_comparison(comparison: Comparison, space: SearchSpace) -> _Holds:
    column = list(space.names).index(comparison.name)
    holds_at = compile_comparison(comparison, space.parameters[comparison.name])
    return lambda units, active: active[:, column] & holds_at(units[:, column])
