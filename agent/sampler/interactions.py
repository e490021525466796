"""Describes which pairs of parameters interact: how the best value of one depends on the other.

Uses the partial dependence on a pair minus the effect of each of the two (Hutter et al. 2014, "An Efficient Approach
for Assessing Hyperparameter Importance"; Friedman and Popescu 2008). A surface goes in, sentences come out. Knows no
model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from tunesmith.study.formatting import render_parameter
from tunesmith.study.space.parameters import Parameter
from tunesmith.tools.surrogate.encoding import Array, SpaceEncoding

Surface = Callable[[Array], Array]
"""(m, d) valid coordinates -> (m,) predicted value, smaller is better, in any monotone unit."""

_LEVELS = 7
"""Largest number of levels per parameter at which the surface is evaluated."""

_BACKGROUND_POINTS = 24
"""Number of random settings of the other parameters over which the surface is averaged."""

_VARIANCE_POINTS = 512
_MIN_VARIANCE_FRACTION = 0.04
"""Smallest fraction of the surface's variance for which an interaction is reported."""


@dataclass(frozen=True, slots=True)
class _Interaction:
    """A pair, the fraction of the surface's variance that only both explain, and a sentence; "" for none."""

    first: str
    second: str
    variance_fraction: float
    sentence: str


@dataclass(frozen=True, slots=True)
class _Dependence:
    """Partial dependence on two parameters: a table over levels (coordinates) of the first (rows) and the second."""

    table: Array
    first_levels: Array
    second_levels: Array


def describe_interactions(
    surface: Surface, encoding: SpaceEncoding, names: Sequence[str], rng: np.random.Generator, *, limit: int = 3
) -> tuple[str, ...]:
    """Return sentences on the pairs that interact most, the strongest first; empty when none does.

    Args:
        surface: the model's prediction.
        encoding: the space.
        names: the parameters to consider; conditional ones are skipped.
        rng: draws the settings of all other parameters.
        limit: largest number of sentences.
    """
    background = encoding.project_to_valid(rng.random((_BACKGROUND_POINTS, len(encoding))))
    unconditional = [name for name in names if name not in encoding.space.conditions]
    variance = float(surface(encoding.project_to_valid(rng.random((_VARIANCE_POINTS, len(encoding))))).var())
    if variance <= 0.0:
        return ()
    pairs = [_interaction(surface, encoding, background, a, b, variance) for a, b in combinations(unconditional, 2)]
    reported = [p for p in pairs if p.variance_fraction >= _MIN_VARIANCE_FRACTION and p.sentence]
    strongest = sorted(reported, key=lambda p: -p.variance_fraction)[:limit]
    return tuple(f"{p.first} with {p.second} ({p.variance_fraction:.0%}): {p.sentence}" for p in strongest)


def _interaction(
    surface: Surface, encoding: SpaceEncoding, background: Array, a: str, b: str, variance: float
) -> _Interaction:
    found = _dependence(surface, encoding, background, a, b)
    rows, columns = found.table.mean(axis=1, keepdims=True), found.table.mean(axis=0, keepdims=True)
    joint = found.table - rows - columns + found.table.mean()
    sentence = _sentence(found.table, encoding, (a, found.first_levels), (b, found.second_levels))
    return _Interaction(a, b, float(joint.var()) / variance, sentence)


def _dependence(surface: Surface, encoding: SpaceEncoding, background: Array, a: str, b: str) -> _Dependence:
    names = list(encoding.space.names)
    levels_a, levels_b = _levels(encoding.space.parameters[a]), _levels(encoding.space.parameters[b])
    points = np.tile(background, (len(levels_a) * len(levels_b), 1))
    grid = np.stack(np.meshgrid(levels_a, levels_b, indexing="ij"), axis=-1).reshape(-1, 2)
    points[:, [names.index(a), names.index(b)]] = np.repeat(grid, len(background), axis=0)
    values = surface(encoding.project_to_valid(points)).reshape(len(levels_a), len(levels_b), len(background))
    return _Dependence(np.asarray(values.mean(axis=2)), levels_a, levels_b)


def _levels(parameter: Parameter) -> Array:
    """Return coordinates of every value of a parameter with few values, else even ones over the whole range."""
    count = parameter.cardinality
    if count <= _LEVELS:
        return (np.arange(int(count), dtype=np.float64) + 0.5) / count
    return np.linspace(0.0, 1.0, _LEVELS, dtype=np.float64)


def _sentence(table: Array, encoding: SpaceEncoding, first: tuple[str, Array], second: tuple[str, Array]) -> str:
    """Return how the best value of one parameter differs between the ends of the other; "" when it does not."""
    for (a, levels_a), (b, levels_b), values in ((first, second, table), (second, first, table.T)):
        low, high = int(values[:, 0].argmin()), int(values[:, -1].argmin())
        if low != high:
            best = [_render(encoding, a, levels_a[index]) for index in (low, high)]
            at = [_render(encoding, b, levels_b[index]) for index in (0, -1)]
            return f"best {a} about {best[0]} at {b}={at[0]}, about {best[1]} at {b}={at[1]}"
    return ""


def _render(encoding: SpaceEncoding, name: str, level: float) -> str:
    return render_parameter(encoding.space.parameters[name].from_unit(float(level)), digits=2)
