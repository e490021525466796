"""Uniform random search. Knows no model."""

from __future__ import annotations

import numpy as np

from tunesmith.agent.sampler.base import Suggestion
from tunesmith.agent.sampler.candidates.deduplication import draw_new_params, random_params
from tunesmith.study.trials.replicates.seeds import derived_seed
from tunesmith.study.trials.view import StudyView


class RandomSampler:
    """Independent uniform draws."""

    def suggest(self, view: StudyView) -> Suggestion:
        """Return a uniform draw that was not tried before.

        Raises:
            SpaceExhausted: the space is finite and every configuration was tried.
        """
        rng = np.random.default_rng(derived_seed(view.seed, "random", view.number))
        params = draw_new_params(view, lambda: random_params(view.space, rng), rng)
        return Suggestion(params=params, rationale="uniform draw")
