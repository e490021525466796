"""Keeps a sampler from running a known configuration again. A deliberate repeat is a replicate: another verb."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from tunesmith.study.condition import Value
from tunesmith.study.errors import SpaceExhausted
from tunesmith.study.parameters import Int, Parameter
from tunesmith.study.space import SearchSpace
from tunesmith.study.view import StudyView

REDRAWS = 50
LARGEST_ENUMERATION = 20_000
"""Finite spaces up to this size are enumerated when redrawing keeps meeting known configurations."""


def identity(params: Mapping[str, Value]) -> str:
    """Return a text that is equal for equal configurations, and only for those."""
    return json.dumps(dict(params), sort_keys=True)


def known(view: StudyView) -> set[str]:
    """Return the identities of every configuration that was tried or is on its way."""
    return {identity(trial.params) for trial in view.trials}


def draw_untried(
    view: StudyView, draw: Callable[[], Mapping[str, Value]], rng: np.random.Generator
) -> Mapping[str, Value]:
    """Return the first draw that is new, else a random new configuration.

    Raises:
        SpaceExhausted: the space is finite and every configuration was tried.
    """
    tried = known(view)
    for attempt in itertools.count():
        params = draw() if attempt == 0 else random_params(view.space, rng)
        if identity(params) not in tried:
            return params
        if attempt >= REDRAWS:
            break
    if view.space.cardinality > LARGEST_ENUMERATION:
        return params
    rest = [p for p in enumerate_space(view.space) if identity(p) not in tried]
    if not rest:
        raise SpaceExhausted(f"all {len(tried)} configurations were tried")
    return rest[int(rng.integers(len(rest)))]


def random_params(space: SearchSpace, rng: np.random.Generator) -> dict[str, Value]:
    """Return a uniform draw from the unit cube, decoded."""
    return space.from_unit([float(u) for u in rng.random(len(space))])


def enumerate_space(space: SearchSpace) -> Iterator[dict[str, Value]]:
    """Yield every configuration of a finite space once."""
    axes = [_coordinates(parameter) for parameter in space.parameters.values()]
    seen: set[str] = set()
    for coordinates in itertools.product(*axes):
        params = space.from_unit(coordinates)
        if identity(params) not in seen:
            seen.add(identity(params))
            yield params


def _coordinates(parameter: Parameter) -> list[float]:
    if isinstance(parameter, Int) and parameter.log:
        return [parameter.to_unit(value) for value in range(parameter.low, parameter.high + 1)]
    count = int(parameter.cardinality)
    return [(index + 0.5) / count for index in range(count)]
