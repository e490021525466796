"""Keeps samplers from repeating a known configuration. A deliberate repetition is a replicate and made elsewhere."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from tunesmith.study.errors import SpaceExhausted
from tunesmith.study.space.condition import Value
from tunesmith.study.space.encoding import Bins, Integers
from tunesmith.study.space.parameters import Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.space.values import config_key
from tunesmith.study.trials.view import StudyView

REDRAWS = 50
"""Number of random draws before the configurations of a space are listed one by one."""


def tried_keys(view: StudyView) -> set[str]:
    """Return the keys of every configuration that was tried, runs or waits."""
    return {config_key(trial.params) for trial in view.trials if view.counts_as_tried(trial)}


def draw_new_params(
    view: StudyView, draw: Callable[[], Mapping[str, Value]], rng: np.random.Generator
) -> Mapping[str, Value]:
    """Return the draw when it is new, else a random new configuration, else the first new one in the space's order.

    Raises:
        SpaceExhausted: the space is finite and every configuration was tried.
    """
    tried = tried_keys(view)

    def candidates() -> Iterator[Mapping[str, Value]]:
        yield draw()
        for _ in range(REDRAWS):
            yield random_params(view.space, rng)
        yield from every_configuration(view.space)

    for params in candidates():
        if config_key(params) not in tried:
            return params
    raise SpaceExhausted(f"all {len(tried)} configurations were tried")


def random_params(space: SearchSpace, rng: np.random.Generator) -> dict[str, Value]:
    """Return the configuration at a uniform draw from the allowed part of the unit cube.

    Where rules leave little, at the allowed point nearest to the last of several draws.

    Raises:
        SpaceExhausted: rules forbid every configuration that was looked at.
    """
    for _ in range(REDRAWS):
        drawn = [float(u) for u in rng.random(len(space))]
        params = space.unrepaired(drawn)
        if not space.broken_rule(params):
            return params
    return space.from_unit(drawn)


def every_configuration(space: SearchSpace) -> Iterator[dict[str, Value]]:
    """Yield every configuration of a finite space once; a continuous parameter yields values without end."""

    def extend(chosen: dict[str, Value], names: Sequence[str]) -> Iterator[dict[str, Value]]:
        if not names:
            params = {name: chosen[name] for name in space.names if name in chosen}
            if not space.broken_rule(params):
                yield params
            return
        name, *later = names
        if not space.is_active(name, chosen):
            yield from extend(chosen, later)
            return
        for value in values_of(space.parameters[name]):
            yield from extend({**chosen, name: value}, later)

    yield from extend({}, space.dependency_order)


def values_of(parameter: Parameter) -> Iterator[Value]:
    """Yield every value of a parameter once; of a continuous one values without end."""
    if math.isinf(parameter.cardinality):
        yield from (parameter.from_unit(_van_der_corput(index)) for index in itertools.count(1))
    scale = parameter.scale
    if isinstance(scale, Bins):
        count = int(parameter.cardinality)
        yield from (parameter.from_unit((i + 0.5) / count) for i in range(count))
    elif isinstance(scale, Integers):
        yield from (parameter.from_unit(scale.encode(position)) for position in range(scale.low, scale.high + 1))


def _van_der_corput(index: int) -> float:
    """Return element `index` >= 1 of the sequence 1/2, 1/4, 3/4, 1/8, 5/8, ..., which never repeats a value."""
    value, weight = 0.0, 0.5
    while index:
        index, digit = divmod(index, 2)
        value, weight = value + digit * weight, weight / 2
    return value
