"""What a parameter's name says about where it does well, before any trial: a plausibility for every configuration.

The knowledge stands in priors.toml, each entry with its source. Knows no trial and no model; the sampler decides how
fast it fades.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.agent.sampler.surrogate.encoding import Array, Axes, Mask
from tunesmith.study.space.condition import Value
from tunesmith.study.space.encoding import Bins
from tunesmith.study.space.parameters import Bool, Choice, Parameter
from tunesmith.study.space.space import SearchSpace

FLOOR = 0.1
"""The plausibility of the least plausible value: what is known in general may be wrong for the study at hand."""

_POINTS = 129
_OUT_OF_RANGE = 1.5
"""An entry whose centre lies so many spreads outside the range speaks of another unit or another thing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One piece of knowledge; priors.toml says what each key means."""

    names: tuple[str, ...]
    source: str
    beside: tuple[str, ...] = ()
    when: Mapping[str, Sequence[str]] = field(default_factory=dict)
    scale: str = "linear"
    centre: float | None = None
    spread: float = 1.0
    weights: Mapping[str, float] = field(default_factory=dict)

    def plausibility(self, value: Value) -> float:
        """Return how plausible a value is, in [FLOOR, 1]."""
        return FLOOR + (1.0 - FLOOR) * self._height(value)

    def _height(self, value: Value) -> float:
        if self.centre is None:
            return self.weights.get(str(value).lower(), 1.0)
        if isinstance(value, str) or value is None:
            return 1.0
        return math.exp(-0.5 * self._away(float(value)) ** 2)

    def fits(self, parameter: Parameter) -> bool:
        """Tell whether the entry can speak of a parameter with this range."""
        if self.centre is None:
            return isinstance(parameter, Choice)
        if isinstance(parameter, Bool):
            return False
        values = parameter.choices if isinstance(parameter, Choice) else (parameter.low, parameter.high)
        numbers = [float(v) for v in values if not isinstance(v, str) and v is not None]
        if len(numbers) < len(values) or (self.scale == "log" and max(numbers) <= 0):
            return False
        low, high = min(numbers), max(numbers)
        return low <= self.centre <= high or min(abs(self._away(low)), abs(self._away(high))) <= _OUT_OF_RANGE

    def _away(self, value: float) -> float:
        """Return the distance from the centre, in spreads."""
        assert self.centre is not None  # noqa: S101  # asked of entries with a centre alone
        if self.scale == "linear":
            return (value - self.centre) / self.spread
        return math.log(max(value, self.centre * 1e-9) / self.centre) / math.log(self.spread)


@dataclass(frozen=True, slots=True)
class _Part:
    """One parameter's plausibility over its coordinate, in those rows in which `choices` of column `guard` hold.

    Attributes:
        table: the plausibility at even coordinates from 0 to 1, or per bin.
        guard: the column of the choice that decides, -1 when the part always applies.
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
        """The most plausible coordinate; of equally plausible ones the middle one."""
        top = np.flatnonzero(self.table >= self.table.max() - 1e-12)
        index = float(top[len(top) // 2])
        return (index + 0.5) / len(self.table) if self.bins else index / (len(self.table) - 1)

    def drawn_at(self, level: Array) -> Array:
        """(m,) levels in [0, 1] -> (m,) coordinates: the quantiles of a draw in proportion to plausibility."""
        if self.bins:
            shares = np.concatenate([[0.0], np.cumsum(self.table)]) / self.table.sum()
            return np.asarray(np.interp(level, shares, np.linspace(0.0, 1.0, len(shares))))
        middles = (self.table[1:] + self.table[:-1]) / 2.0
        shares = np.concatenate([[0.0], np.cumsum(middles)]) / middles.sum()
        return np.asarray(np.interp(level, shares, np.linspace(0.0, 1.0, len(shares))))


class Priors:
    """What is known of one space. Falsy when no name says anything.

    Attributes:
        sources: by parameter, where its knowledge is from.
    """

    def __init__(self, axes: Axes) -> None:
        space = axes.space
        self._axes = axes
        self._parts: dict[int, list[_Part]] = {}
        self.sources: dict[str, tuple[str, ...]] = {}
        for column, name in enumerate(space.names):
            entries = [e for e in _entries() if _speaks(e, name, space.names) and e.fits(space.parameters[name])]
            parts = [(e, part) for e in entries for part in _parts(e, space.parameters[name], space)]
            if parts:
                self._parts[column] = [part for _, part in parts]
                self.sources[name] = tuple(dict.fromkeys(e.source for e, _ in parts))

    def __bool__(self) -> bool:
        return bool(self._parts)

    def log_plausibility(self, units: Array) -> Array:
        """(m, d) settled coordinates -> (m,), at most 0: the sum over active parameters of the log of each."""
        total = np.zeros(len(units))
        if not self._parts:
            return total
        active = self._axes.active(units)
        for column, parts in self._parts.items():
            value = np.ones(len(units))
            for part in reversed(parts):
                value = np.where(part.applies(units), part.at(units[:, column]), value)
            total += np.where(active[:, column], np.log(value), 0.0)
        return total

    def drawn_at(self, levels: Array) -> Array:
        """(m, d) levels in [0, 1] -> (m, d) coordinates: quantiles where something is known, as they are elsewhere."""
        drawn = levels.copy()
        for column in self._guards_first():
            for part in reversed(self._parts[column]):
                drawn[:, column] = np.where(part.applies(drawn), part.drawn_at(levels[:, column]), drawn[:, column])
        return drawn

    def mode(self, rest: Array) -> Array:
        """(d,) coordinates for what nothing is known of -> (d,) with the most plausible ones elsewhere."""
        point = rest.copy()
        for column in self._guards_first():
            part = next((p for p in self._parts[column] if p.applies(point[None, :])[0]), None)
            point[column] = point[column] if part is None else part.mode
        return point

    def _guards_first(self) -> list[int]:
        guards = {part.guard for parts in self._parts.values() for part in parts}
        return sorted(self._parts, key=lambda column: (column not in guards, column))


def spellings(name: str) -> tuple[str, ...]:
    """Return how the knowledge file may spell a parameter: `Dropout_1` is dropout_1, and dropout."""
    return tuple(dict.fromkeys([name.lower(), re.sub(r"_\d+$", "", name.lower())]))


def _speaks(entry: Entry, name: str, names: Iterable[str]) -> bool:
    others = {spelling for other in names for spelling in spellings(other)}
    return any(s in entry.names for s in spellings(name)) and (not entry.beside or not others.isdisjoint(entry.beside))


def _parts(entry: Entry, parameter: Parameter, space: SearchSpace) -> list[_Part]:
    """Return the entry's part for a parameter; none when it depends on a choice that the space does not have."""
    bins = isinstance(parameter.scale, Bins) and parameter.cardinality <= _POINTS or isinstance(parameter, Choice)
    count = int(parameter.cardinality) if bins else _POINTS
    at = (np.arange(count) + 0.5) / count if bins else np.linspace(0.0, 1.0, count)
    table = np.array([entry.plausibility(parameter.from_unit(float(u))) for u in at])
    if not entry.when:
        return [_Part(table, bins)]
    (kind, wanted), *_ = entry.when.items()
    for column, (name, guard) in enumerate(space.parameters.items()):
        if any(s in _kinds()[kind] for s in spellings(name)) and isinstance(guard, Choice):
            held = frozenset(i for i, choice in enumerate(guard.choices) if str(choice).lower() in wanted)
            return [_Part(table, bins, column, held, len(guard.choices))] if held else []
    return []


@cache
def _document() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("priors.toml").read_text(encoding="utf-8"))


@cache
def _entries() -> tuple[Entry, ...]:
    return tuple(Entry(**{**raw, "names": tuple(raw["names"])}) for raw in _document()["prior"])


@cache
def _kinds() -> dict[str, list[str]]:
    kinds: dict[str, list[str]] = _document()["kinds"]
    return kinds
