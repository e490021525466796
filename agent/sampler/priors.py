"""Prior plausibility of configurations by the names of their parameters, before any trial.

The entries are in priors.toml, each with its source. Where the user gave a default it is the centre, and what the name
says only sets how far about it values are plausible: somebody chose the default for this very script. Knows no trial
and no model; the sampler decides how fast the priors fade.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.study.space.condition import Value
from tunesmith.study.space.encoding import Bins
from tunesmith.study.space.mixtures.shares import Share
from tunesmith.study.space.parameters import Bool, Choice, Parameter, has_default
from tunesmith.study.space.space import SearchSpace
from tunesmith.tools.surrogate.encoding import Array, Mask, SpaceEncoding

FLOOR = 0.1
"""Plausibility of the least plausible value; it is not 0, because an entry may be wrong for the study at hand."""

_POINTS = 129
"""Number of even coordinates at which a parameter's plausibility is tabulated."""

DEFAULT_SPREAD = 0.3
"""Spread about the user's default of a parameter whose name says nothing, as a part of its range."""

OTHER_CHOICE = 0.6
"""Plausibility of a choice's values other than the user's default."""

_MAX_OUTSIDE = 1.5
"""Largest distance, in spreads, of an entry's centre from the range; farther away it means another unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamePrior:
    """An entry of priors.toml, which explains the keys."""

    names: tuple[str, ...]
    source: str
    requires_any: tuple[str, ...] = ()
    when: Mapping[str, Sequence[str]] = field(default_factory=dict)
    scale: str = "linear"
    centre: float | None = None
    spread: float = 1.0
    weights: Mapping[str, float] = field(default_factory=dict)

    def plausibility(self, value: Value) -> float:
        """Return the plausibility of a value, in [FLOOR, 1]."""
        return FLOOR + (1.0 - FLOOR) * self._relative_plausibility(value)

    def _relative_plausibility(self, value: Value) -> float:
        if self.centre is None:
            return self.weights.get(str(value).lower(), 1.0)
        if isinstance(value, str) or value is None:
            return 1.0
        return math.exp(-0.5 * self._distance(float(value)) ** 2)

    def fits(self, parameter: Parameter) -> bool:
        """Tell whether the entry applies to a parameter with this range."""
        if self.centre is None:
            return isinstance(parameter, Choice)
        if isinstance(parameter, Bool):
            return False
        values = parameter.choices if isinstance(parameter, Choice) else (parameter.low, parameter.high)
        numbers = [float(v) for v in values if not isinstance(v, str) and v is not None]
        if len(numbers) < len(values) or (self.scale == "log" and max(numbers) <= 0):
            return False
        low, high = min(numbers), max(numbers)
        return low <= self.centre <= high or min(abs(self._distance(low)), abs(self._distance(high))) <= _MAX_OUTSIDE

    def _distance(self, value: float) -> float:
        """Return the signed distance from the centre, in spreads."""
        assert self.centre is not None  # noqa: S101  # entries with weights do not come here
        if self.scale == "linear":
            return (value - self.centre) / self.spread
        return math.log(max(value, self.centre * 1e-9) / self.centre) / math.log(self.spread)


@dataclass(frozen=True, slots=True)
class _Part:
    """One parameter's plausibility over its coordinate, in rows whose column `guard` holds one of `choices`.

    Attributes:
        table: plausibility at even coordinates from 0 to 1, or per bin.
        bins: whether the table is per bin.
        guard: column of the deciding choice; -1 when the part always applies.
        choices: indices of the guard's values for which the part applies.
        guard_count: number of the guard's values.
    """

    table: Array
    bins: bool
    guard: int = -1
    choices: frozenset[int] = frozenset()
    guard_count: int = 1

    def applies(self, units: Array) -> Mask:
        if self.guard < 0:
            return np.ones(len(units), dtype=bool)
        index = np.minimum((units[:, self.guard] * self.guard_count).astype(int), self.guard_count - 1)
        return np.isin(index, list(self.choices))

    def at(self, u: Array) -> Array:
        if self.bins:
            return np.asarray(self.table[np.minimum((u * len(self.table)).astype(int), len(self.table) - 1)])
        return np.asarray(np.interp(u, np.linspace(0.0, 1.0, len(self.table)), self.table))

    @property
    def mode(self) -> float:
        """The most plausible coordinate; of several the middle one."""
        top = np.flatnonzero(self.table >= self.table.max() - 1e-12)
        index = float(top[len(top) // 2])
        return (index + 0.5) / len(self.table) if self.bins else index / (len(self.table) - 1)

    def quantiles(self, level: Array) -> Array:
        """(m,) levels in [0, 1] -> (m,) coordinates: quantiles of the distribution proportional to plausibility."""
        if self.bins:
            cumulative = np.concatenate([[0.0], np.cumsum(self.table)]) / self.table.sum()
            return np.asarray(np.interp(level, cumulative, np.linspace(0.0, 1.0, len(cumulative))))
        middles = (self.table[1:] + self.table[:-1]) / 2.0
        cumulative = np.concatenate([[0.0], np.cumsum(middles)]) / middles.sum()
        return np.asarray(np.interp(level, cumulative, np.linspace(0.0, 1.0, len(cumulative))))


class NamePriors:
    """The priors that apply to one space; falsy when there are none.

    Attributes:
        sources: the sources of each parameter's priors.
    """

    def __init__(self, encoding: SpaceEncoding) -> None:
        space = encoding.space
        self._encoding = encoding
        self._parts: dict[int, list[_Part]] = {}
        self.sources: dict[str, tuple[str, ...]] = {}
        known = frozenset(spelling for name in space.names for spelling in spellings(name))
        for column, name in enumerate(space.names):
            entries = [e for e in _matching_entries(name, known) if e.fits(space.parameters[name])]
            parts = [(e, part) for e in entries for part in _parts(e, space.parameters[name], space)]
            if parts:
                self._parts[column] = [part for _, part in parts]
                self.sources[name] = tuple(dict.fromkeys(e.source for e, _ in parts))
            # A default mixture is often equal shares, which nobody chose; the best one may leave most sources out.
            if has_default(space.parameters[name]) and not isinstance(space.parameters[name], Share):
                self._parts[column] = [*self._parts.get(column, []), _part_about_default(space.parameters[name])]

    def __bool__(self) -> bool:
        return bool(self._parts)

    def log_plausibility(self, units: Array) -> Array:
        """(m, d) valid coordinates -> (m,), at most 0: the sum of the log plausibilities of active parameters."""
        total = np.zeros(len(units))
        if not self._parts:
            return total
        active = self._encoding.active(units)
        for column, parts in self._parts.items():
            value = np.ones(len(units))
            for part in reversed(parts):
                value = np.where(part.applies(units), part.at(units[:, column]), value)
            total += np.where(active[:, column], np.log(value), 0.0)
        return total

    def quantiles(self, levels: Array) -> Array:
        """(m, d) levels in [0, 1] -> (m, d) coordinates: quantiles of parameters with a prior, else the levels."""
        drawn = levels.copy()
        for column in self._guards_first():
            for part in reversed(self._parts[column]):
                drawn[:, column] = np.where(part.applies(drawn), part.quantiles(levels[:, column]), drawn[:, column])
        return drawn

    def mode(self, default: Array) -> Array:
        """(d,) coordinates -> (d,) the most plausible ones of parameters with a prior; the others unchanged."""
        point = default.copy()
        for column in self._guards_first():
            part = next((p for p in self._parts[column] if p.applies(point[None, :])[0]), None)
            point[column] = point[column] if part is None else part.mode
        return point

    def _guards_first(self) -> list[int]:
        guards = {part.guard for parts in self._parts.values() for part in parts}
        return sorted(self._parts, key=lambda column: (column not in guards, column))


@lru_cache(maxsize=8)
def name_priors_of(encoding: SpaceEncoding) -> NamePriors:
    """Return the priors of a space; those of the last few spaces are kept, since their tables take a while."""
    return NamePriors(encoding)


def spellings(name: str) -> tuple[str, ...]:
    """Return the spellings of a parameter's name that entries may use: `Dropout_1` matches dropout_1 and dropout."""
    return tuple(dict.fromkeys([name.lower(), re.sub(r"_\d+$", "", name.lower())]))


def _matching_entries(name: str, known: frozenset[str]) -> list[NamePrior]:
    """Return the entries for a parameter of this name, in order, in a space whose names have these spellings."""
    indices = sorted({index for s in spellings(name) for index in _entries_by_name().get(s, ())})
    found = [_entries()[index] for index in indices]
    return [e for e in found if not e.requires_any or not known.isdisjoint(e.requires_any)]


def _parts(entry: NamePrior, parameter: Parameter, space: SearchSpace) -> list[_Part]:
    """Return the entry's part for a parameter; empty when it depends on a choice that the space does not have."""
    if not entry.when:
        return [_table_of(_moved_to_default(entry, parameter), parameter)]
    (kind, values), *_ = entry.when.items()
    for column, (name, guard) in enumerate(space.parameters.items()):
        if any(s in _kinds()[kind] for s in spellings(name)) and isinstance(guard, Choice):
            matching = frozenset(i for i, choice in enumerate(guard.choices) if str(choice).lower() in values)
            # A default is about the optimizer that it comes with, and says nothing of the rate of another one.
            is_of_default = has_default(guard) and guard.choices.index(guard.default) in matching
            centred = _moved_to_default(entry, parameter) if is_of_default else entry
            part = _table_of(centred, parameter)
            return [replace(part, guard=column, choices=matching, guard_count=len(guard.choices))] if matching else []
    return []


def _moved_to_default(entry: NamePrior, parameter: Parameter) -> NamePrior:
    """Return the entry with the user's default as its centre; unchanged without one."""
    default = parameter.default
    if not has_default(parameter):
        return entry
    if entry.centre is None or isinstance(default, str | bool) or default is None:
        return entry
    if entry.scale == "log" and default <= 0:
        return entry
    return replace(entry, centre=float(default))


def _table_of(entry: NamePrior, parameter: Parameter) -> _Part:
    coordinates, bins = _coordinates(parameter)
    table = np.array([entry.plausibility(parameter.from_unit(float(u))) for u in coordinates])
    if entry.centre is None and has_default(parameter):
        is_default = np.abs(coordinates - parameter.to_unit(parameter.default)) < 1e-9  # type: ignore[arg-type]  # its own type
        table = np.where(is_default, 1.0, OTHER_CHOICE * table)
    return _Part(table, bins)


def _part_about_default(parameter: Parameter) -> _Part:
    """Return the plausibility about the user's default of a parameter whose name says nothing."""
    coordinates, bins = _coordinates(parameter)
    centre = parameter.to_unit(parameter.default)  # type: ignore[arg-type]  # its own type
    if bins and isinstance(parameter, Choice | Bool) and not getattr(parameter, "ordered", False):
        return _Part(np.where(np.abs(coordinates - centre) < 1e-9, 1.0, OTHER_CHOICE), bins)
    near = np.exp(-0.5 * ((coordinates - centre) / DEFAULT_SPREAD) ** 2)
    return _Part(FLOOR + (1.0 - FLOOR) * near, bins)


def _coordinates(parameter: Parameter) -> tuple[Array, bool]:
    """Return the coordinates at which a parameter's plausibility is tabulated, and whether they are all its values."""
    bins = isinstance(parameter.scale, Bins) and parameter.cardinality <= _POINTS or isinstance(parameter, Choice)
    count = int(parameter.cardinality) if bins else _POINTS
    return ((np.arange(count) + 0.5) / count if bins else np.linspace(0.0, 1.0, count)), bins


@cache
def _document() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("priors.toml").read_text(encoding="utf-8"))


@cache
def _entries() -> tuple[NamePrior, ...]:
    return tuple(NamePrior(**{**raw, "names": tuple(raw["names"])}) for raw in _document()["prior"])


@cache
def _entries_by_name() -> Mapping[str, Sequence[int]]:
    """Return the indices of the entries that list each name."""
    found: dict[str, list[int]] = {}
    for index, entry in enumerate(_entries()):
        for name in entry.names:
            found.setdefault(name, []).append(index)
    return found


@cache
def _kinds() -> dict[str, list[str]]:
    kinds: dict[str, list[str]] = _document()["kinds"]
    return kinds
