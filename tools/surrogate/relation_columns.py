"""What a space's relations say about rows of coordinates: which are allowed, allowed ones nearby, and derived values.

Rules and derived values are evaluated exactly, by `Relations`; equal rows are evaluated once. Knows no trial and no
model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tunesmith.study.space.condition import Value
from tunesmith.study.space.encoding import Bins
from tunesmith.study.space.parameters import Parameter
from tunesmith.study.space.space import SearchSpace

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Decode: TypeAlias = Callable[[float], Value]

_TABLE_LIMIT = 4096
"""Largest number of values that are looked up in a table."""

_MAX_REPAIRED = 64
"""Number of rows that are repaired one by one for one suggestion; later ones take the nearest known allowed values."""

_MAX_KNOWN = 512
"""Largest number of allowed rows that are kept to replace forbidden ones."""

_SAMPLES = 256
"""Number of random rows by which the range of a derived value is found."""

_LOG_FROM = 10.0
"""Ratio of the ends of a positive range from which a derived value enters the model by its logarithm."""

_CACHED = 100_000


@dataclass(frozen=True, slots=True)
class _Range:
    """The range of a derived value that maps to [0, 1]; by logarithms if `log`."""

    low: float
    high: float
    log: bool

    def to_unit(self, value: Value | None) -> float:
        if not isinstance(value, int | float):
            return 0.5
        if not self.log:
            return min(max((float(value) - self.low) / (self.high - self.low), 0.0), 1.0)
        size = math.log(max(float(value), self.low) / self.low) / math.log(self.high / self.low)
        return min(size, 1.0)


class RelationColumns:
    """The relations of a space over its columns.

    Attributes:
        columns: indices of the parameters that rules and derived values depend on, and of those that decide whether
            these are active.
        derived: names of the derived values that enter the model.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space, self._names = space, list(space.names)
        self.columns = [self._names.index(name) for name in space.names if name in space.deciding_with_guards]
        self._decoders = {column: _decoder(space.parameters[self._names[column]]) for column in self.columns}
        self._allowed: dict[tuple[object, ...], bool] = {}
        self._values: dict[tuple[object, ...], dict[str, Value]] = {}
        self._known = np.empty((0, len(space)))
        self._repaired = 0
        self._ranges: dict[str, _Range] = {}

    def fit_ranges(self, units: Array, active: Mask) -> None:
        """Find the ranges of the derived values from valid rows (m, d)."""
        rows = [self._values_of(row) for row in self._rows(units, active)]
        for name in self._space.relations.derived:
            found = [float(row[name]) for row in rows if isinstance(row.get(name), int | float)]  # type: ignore[arg-type]  # a number
            if found and min(found) < max(found):
                low, high = min(found), max(found)
                self._ranges[name] = _Range(low, high, low > 0.0 and high / low >= _LOG_FROM)

    @property
    def derived(self) -> tuple[str, ...]:
        """The derived values that vary."""
        return tuple(self._ranges)

    def allowed(self, units: Array, active: Mask) -> Mask:
        """(m, d) valid coordinates, (m, d) whether each is active -> (m,) whether no rule forbids the row."""
        return np.array([self._is_allowed(row) for row in self._rows(units, active)], dtype=bool)

    def features(self, units: Array, active: Mask) -> Array:
        """(m, d) valid coordinates -> (m, k) derived values in [0, 1]; 0.5 where one is inactive."""
        rows = [self._values_of(row) for row in self._rows(units, active)]
        found = [[span.to_unit(row.get(name)) for name, span in self._ranges.items()] for row in rows]
        return np.reshape(np.array(found, dtype=float), (len(units), len(self._ranges)))

    def derived_values(self, units: Array, active: Mask, name: str) -> list[Value | None]:
        """(m, d) -> the m values of a derived value; None where it is inactive."""
        return [self._values_of(row).get(name) for row in self._rows(units, active)]

    def replace_forbidden(self, units: Array, active: Mask) -> tuple[Array, bool]:
        """(m, d) valid coordinates -> the same with forbidden rows replaced, and whether there were any.

        The first ones by the nearest allowed configuration; when many were, by the values of the nearest known row.
        """
        is_allowed = self.allowed(units, active)
        if is_allowed.all():
            return units, False
        made = units.copy()
        forbidden = np.flatnonzero(~is_allowed)
        repairable = forbidden[: max(_MAX_REPAIRED - self._repaired, 0)]
        self._repaired += len(repairable)
        for row in repairable:
            made[row] = self._space.to_unit(self._space.from_unit(units[row].tolist()))
        fresh = np.concatenate([made[repairable], units[is_allowed], self._known])
        self._known = fresh[:_MAX_KNOWN]
        rest = forbidden[len(repairable) :]
        if len(rest):
            columns = np.array(self.columns)
            gaps = np.abs(units[rest][:, None, columns] - self._known[None, :, columns]).sum(axis=2)
            made[rest[:, None], columns] = self._known[gaps.argmin(axis=1)][:, columns]
        return made, True

    def _rows(self, units: Array, active: Mask) -> list[tuple[object, ...]]:
        """Return one hashable row per configuration: the value of each column, or an empty tuple if it is inactive."""
        columns = []
        for column, decode in self._decoders.items():
            values = [decode(u) for u in units[:, column].tolist()]
            columns.append([v if on else () for v, on in zip(values, active[:, column].tolist(), strict=True)])
        return list(zip(*columns, strict=True)) if columns else [()] * len(units)

    def _is_allowed(self, row: tuple[object, ...]) -> bool:
        key = _key(row)
        found = self._allowed.get(key)
        if found is None:
            if len(self._allowed) > _CACHED:
                self._allowed.clear()
            found = self._allowed[key] = not self._space.broken_rule(self._params(row))
        return found

    def _values_of(self, row: tuple[object, ...]) -> dict[str, Value]:
        key = _key(row)
        found = self._values.get(key)
        if found is None:
            if len(self._values) > _CACHED:
                self._values.clear()
            found = self._values[key] = self._space.derived_values(self._params(row))
        return found

    def _params(self, row: Sequence[object]) -> dict[str, Value]:
        pairs = zip(self._decoders, row, strict=True)
        return {self._names[column]: value for column, value in pairs if value != ()}  # type: ignore[misc]  # a parameter's value


def _key(row: tuple[object, ...]) -> tuple[object, ...]:
    """Return a key of a row; as keys of a dict, True and 1 would be the same."""
    return tuple((value, True) if isinstance(value, bool) else value for value in row)


def _decoder(parameter: Parameter) -> Decode:
    scale = parameter.scale
    if isinstance(scale, Bins) and scale.count <= _TABLE_LIMIT:
        count = scale.count
        table = [parameter.from_unit((index + 0.5) / count) for index in range(count)]
        return lambda u: table[min(int(u * count), count - 1)]
    decoded: dict[float, Value] = {}

    def decode(u: float) -> Value:
        if u not in decoded:
            decoded[u] = parameter.from_unit(u)
        return decoded[u]

    return decode


def sample_rows(d: int) -> Array:
    """Return random coordinates, the same every time, over which ranges are found."""
    return np.random.default_rng(0).random((_SAMPLES, d))
