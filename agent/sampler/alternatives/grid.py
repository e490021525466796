"""Grid search: every combination of values, of continuous and finely stepped parameters on a grid that gets finer.

First each of these has its ends and its middle, then five values, then nine. Combinations come in random order, so that
a budget that is smaller than the grid covers all of it. Knows no model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tunesmith.agent.sampler.base import Suggestion
from tunesmith.agent.sampler.candidates.deduplication import draw_new_params, tried_keys, values_of
from tunesmith.study.space.condition import Value
from tunesmith.study.space.mixtures.rows import lattice
from tunesmith.study.space.mixtures.shares import Shares, share_name
from tunesmith.study.space.parameters import Bool, Choice, Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.space.values import config_key
from tunesmith.study.trials.replicates.seeds import derived_seed
from tunesmith.study.trials.view import StudyView

_MAX_COMBINATIONS = 200_000
"""Most combinations of a grid that are listed; of a larger grid this number is drawn."""
_MAX_MIXTURES = 5_000
"""Most mixtures of a grid that are listed; of more this number is drawn."""
_MAX_LEVEL = 10
"""The finest grid has 2^10 + 1 values of a parameter."""


class GridSampler:
    """The combinations of a grid that were not tried yet."""

    def suggest(self, view: StudyView) -> Suggestion:
        """Return a combination that is new and that no rule forbids; from the coarsest grid that has one.

        Raises:
            SpaceExhausted: the space is finite and every configuration was tried.
        """
        tried = tried_keys(view)
        for level in range(1, _MAX_LEVEL + 1):
            values = _axes(view.space, level)
            for params in _combinations(view.space, values, derived_seed(view.seed, "grid", level)):
                if config_key(params) not in tried:
                    return Suggestion(params=params, rationale=f"a combination of the grid of {_size(values)}")
            if _size(values) >= view.space.cardinality:
                break
        rng = np.random.default_rng(derived_seed(view.seed, "grid", view.number))
        params = draw_new_params(view, lambda: view.space.from_unit(rng.random(len(view.space)).tolist()), rng)
        return Suggestion(params=params, rationale="a draw beyond the grid")


def _axes(space: SearchSpace, level: int) -> list[Sequence[Mapping[str, Value]]]:
    """Return the values of each parameter on the grid of a level; a mixture has whole mixtures in place of shares."""
    axes: list[Sequence[Mapping[str, Value]]] = []
    for name, parameter in space.declared.items():
        if isinstance(parameter, Shares):
            axes.append(lattice(name, parameter, 2**level, _MAX_MIXTURES) or [_middle(name, parameter)])
        else:
            axes.append([{name: value} for value in _on_grid(parameter, level)])
    return axes


def _middle(name: str, shares: Shares) -> dict[str, Value]:
    return {share_name(name, source): share for source, share in shares.middle.items()}


def _on_grid(parameter: Parameter, level: int) -> Sequence[Value]:
    """Return a parameter's values on the grid of a level; all values of one that has few, or whose values are names."""
    steps = 2**level
    if isinstance(parameter, Choice | Bool) or parameter.cardinality <= steps + 1:
        return list(values_of(parameter))
    return list(dict.fromkeys(parameter.from_unit(index / steps) for index in range(steps + 1)))


def _combinations(
    space: SearchSpace, values: Sequence[Sequence[Mapping[str, Value]]], seed: int
) -> Iterator[Mapping[str, Value]]:
    """Yield the allowed combinations in random order; some twice, where inactive parameters make the difference."""
    rng = np.random.default_rng(seed)
    for index in _order(_size(values), rng):
        left = index
        chosen: dict[str, Value] = {}
        for found in values:
            left, position = divmod(left, len(found))
            chosen |= found[position]
        params = space.completed(chosen)
        if not space.broken_rule(params):
            yield params


def _order(size: int, rng: np.random.Generator) -> Iterator[int]:
    if size <= _MAX_COMBINATIONS:
        yield from (int(index) for index in rng.permutation(size))
        return
    largest = min(size, 2**63 - 1)
    yield from (int(rng.integers(largest)) for _ in range(_MAX_COMBINATIONS))


def _size(values: Sequence[Sequence[Mapping[str, Value]]]) -> int:
    return math.prod(len(found) for found in values)
