"""Quasi-random search by a scrambled Sobol sequence, more even than random draws. Knows no model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import numpy as np

from tunesmith.agent.sampler.base import Suggestion
from tunesmith.agent.sampler.candidates.deduplication import draw_new_params
from tunesmith.study.space.condition import Value
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.replicates.seeds import derived_seed
from tunesmith.study.trials.view import StudyView

_LOOKED_AT = 64
"""Points per allowed one that are looked at; where rules leave less of the space, points are moved to the nearest."""


class SobolSampler:
    """The points of one sequence in order, without those that a rule forbids."""

    def suggest(self, view: StudyView) -> Suggestion:
        """Return the next point of the sequence, or a random one when that was tried before.

        Raises:
            SpaceExhausted: the space is finite and every configuration was tried.
        """
        rng = np.random.default_rng(derived_seed(view.seed, "sobol", view.number))
        params = draw_new_params(view, lambda: _params(view.space, view.number, view.seed), rng)
        return Suggestion(params=params, rationale=f"point {view.number} of a Sobol sequence")


def _params(space: SearchSpace, number: int, seed: int) -> Mapping[str, Value]:
    """Return the point with this number among those that no rule forbids."""
    if not space.relations:
        return space.unrepaired(next(_points(space, seed, first=number)))
    looked_at = islice(_points(space, seed), _LOOKED_AT * (number + 1))
    drawn = (space.unrepaired(point) for point in looked_at)
    allowed = (params for params in drawn if not space.broken_rule(params))
    found = next(islice(allowed, number, None), None)
    return found if found is not None else space.from_unit(next(_points(space, seed, first=number)))


def _points(space: SearchSpace, seed: int, first: int = 0) -> Iterator[Sequence[float]]:
    from scipy.stats import qmc  # 0.3 s

    engine = qmc.Sobol(len(space), scramble=True, seed=derived_seed(seed, "sobol"))
    if first:
        engine.fast_forward(first)
    while True:
        yield [float(u) for u in engine.random(1)[0]]
