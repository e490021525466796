"""Which parameters act together, in a sentence per pair: how the best value of one shifts with the other.

Partial dependence on a pair, less what the two explain each on its own (cf. Hutter et al. 2014, "An Efficient Approach
for Assessing Hyperparameter Importance", and Friedman and Popescu 2008). A surface in, words out; knows no model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from tunesmith.agent.sampler.surrogate.encoding import Array, SpaceEncoding
from tunesmith.study.formatting import render_parameter
from tunesmith.study.space.parameters import Parameter

Surface = Callable[[Array], Array]
"""(m, d) settled coordinates -> (m,) expected value, smaller is better, in any monotone unit."""

_LEVELS = 7
_BACKGROUND = 24
_MATTERS = 0.04
"""A pair is told of when it explains at least so much of the surface's variance beyond its two parameters."""


@dataclass(frozen=True, slots=True)
class _Pair:
    first: str
    second: str
    share: float
    words: str


def describe_interactions(
    surface: Surface, encoding: SpaceEncoding, names: Sequence[str], rng: np.random.Generator, *, limit: int = 3
) -> tuple[str, ...]:
    """Return sentences on the pairs that act together most, the strongest first; empty when none does.

    Args:
        surface: what the model expects.
        encoding: of the space.
        names: the parameters to look at; those that are active under a condition alone are passed over.
        rng: draws the settings of all other parameters.
        limit: how many sentences at most.
    """
    background = encoding.project_to_valid(rng.random((_BACKGROUND, len(encoding))))
    always = [name for name in names if name not in encoding.space.conditions]
    spread = float(surface(encoding.project_to_valid(rng.random((512, len(encoding))))).var())
    if spread <= 0.0:
        return ()
    pairs = [_pair(surface, encoding, background, a, b, spread) for a, b in combinations(always, 2)]
    told = sorted((p for p in pairs if p.share >= _MATTERS and p.words), key=lambda p: -p.share)
    return tuple(f"{p.first} with {p.second} ({p.share:.0%}): {p.words}" for p in told[:limit])


def _pair(surface: Surface, encoding: SpaceEncoding, background: Array, a: str, b: str, spread: float) -> _Pair:
    table, levels_a, levels_b = _dependence(surface, encoding, background, a, b)
    rows, columns = table.mean(axis=1, keepdims=True), table.mean(axis=0, keepdims=True)
    beyond = table - rows - columns + table.mean()
    return _Pair(a, b, float(beyond.var()) / spread, _words(table, encoding, (a, levels_a), (b, levels_b)))


def _dependence(
    surface: Surface, encoding: SpaceEncoding, background: Array, a: str, b: str
) -> tuple[Array, Array, Array]:
    """Return the surface over levels of `a` (rows) and `b` (columns), all else averaged, and both levels."""
    names = list(encoding.space.names)
    i, j = names.index(a), names.index(b)
    levels_a, levels_b = _levels(encoding.space.parameters[a]), _levels(encoding.space.parameters[b])
    points = np.tile(background, (len(levels_a) * len(levels_b), 1))
    grid = np.stack(np.meshgrid(levels_a, levels_b, indexing="ij"), axis=-1).reshape(-1, 2)
    points[:, [i, j]] = np.repeat(grid, len(background), axis=0)
    values = surface(encoding.project_to_valid(points)).reshape(len(levels_a), len(levels_b), len(background))
    return np.asarray(values.mean(axis=2)), levels_a, levels_b


def _levels(parameter: Parameter) -> Array:
    """Return coordinates over the whole range, each value's own for a parameter with few."""
    count = parameter.cardinality
    if count <= _LEVELS:
        return (np.arange(int(count), dtype=np.float64) + 0.5) / count
    return np.linspace(0.0, 1.0, _LEVELS, dtype=np.float64)


def _words(table: Array, encoding: SpaceEncoding, first: tuple[str, Array], second: tuple[str, Array]) -> str:
    """Return how the best value of the first shifts with the second, or the other way round; "" when neither does."""
    for (a, levels_a), (b, levels_b), values in ((first, second, table), (second, first, table.T)):
        low, high = int(values[:, 0].argmin()), int(values[:, -1].argmin())
        if low != high:
            best = [_value(encoding, a, levels_a[index]) for index in (low, high)]
            at = [_value(encoding, b, levels_b[index]) for index in (0, -1)]
            return f"best {a} about {best[0]} at {b}={at[0]}, about {best[1]} at {b}={at[1]}"
    return ""


def _value(encoding: SpaceEncoding, name: str, level: float) -> str:
    value = encoding.space.parameters[name].from_unit(float(level))
    return render_parameter(value, digits=2)
