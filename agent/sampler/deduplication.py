"""Keeps a sampler from running a known configuration again. A deliberate repeat is a replicate: another verb."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from tunesmith.study.errors import SpaceExhausted
from tunesmith.study.space.condition import Value
from tunesmith.study.space.encoding import Bins, Integers
from tunesmith.study.space.parameters import Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.view import StudyView

REDRAWS = 50
"""So many random draws are made before a space is gone through one by one."""


def identity(params: Mapping[str, Value]) -> str:
    """Return a text that is equal for equal configurations, and only for those."""
    return json.dumps(dict(params), sort_keys=True)


def known(view: StudyView) -> set[str]:
    """Return the identities of every configuration that was tried, or is on its way."""
    return {identity(trial.params) for trial in view.trials if view.counts_as_tried(trial)}


def draw_untried(
    view: StudyView, draw: Callable[[], Mapping[str, Value]], rng: np.random.Generator
) -> Mapping[str, Value]:
    """Return the draw when it is new, else a random new configuration, else the first new one there is.

    Raises:
        SpaceExhausted: the space is finite and every configuration was tried.
    """
    tried = known(view)

    def candidates() -> Iterator[Mapping[str, Value]]:
        yield draw()
        for _ in range(REDRAWS):
            yield random_params(view.space, rng)
        yield from every_configuration(view.space)

    for params in candidates():
        if identity(params) not in tried:
            return params
    raise SpaceExhausted(f"all {len(tried)} configurations were tried")


def random_params(space: SearchSpace, rng: np.random.Generator) -> dict[str, Value]:
    """Return a uniform draw from the unit cube, decoded."""
    return space.from_unit([float(u) for u in rng.random(len(space))])


def every_configuration(space: SearchSpace) -> Iterator[dict[str, Value]]:
    """Yield every configuration of a finite space once; of a continuous parameter endlessly many values."""

    def extend(kept: dict[str, Value], rest: Sequence[str]) -> Iterator[dict[str, Value]]:
        if not rest:
            yield {name: kept[name] for name in space.names if name in kept}
            return
        name, *later = rest
        guard = space.conditions.get(name)
        if guard is not None and not guard.holds(kept):
            yield from extend(kept, later)
            return
        for value in _values(space.parameters[name]):
            yield from extend({**kept, name: value}, later)

    yield from extend({}, space.guards_first)


def _values(parameter: Parameter) -> Iterator[Value]:
    if math.isinf(parameter.cardinality):
        yield from (parameter.from_unit(_van_der_corput(index)) for index in itertools.count(1))
    scale = parameter.scale
    if isinstance(scale, Bins):
        count = int(parameter.cardinality)
        yield from (parameter.from_unit((i + 0.5) / count) for i in range(count))
    elif isinstance(scale, Integers):
        yield from range(scale.low, scale.high + 1)


def _van_der_corput(index: int) -> float:
    """1/2, 1/4, 3/4, 1/8, 5/8, ...: ever finer, never the same twice."""
    value, weight = 0.0, 0.5
    while index:
        index, digit = divmod(index, 2)
        value, weight = value + digit * weight, weight / 2
    return value
