"""Picks what the next trial tries, and says why: the user's default first, then the sampler.

Knows no executor and writes no history. A choice is a pure function of the view, as the sampler's suggestion is.
"""

from __future__ import annotations

import numpy as np

from tunesmith.agent.sources import Sampler, Suggestion
from tunesmith.agent.untried import draw_untried, random_params
from tunesmith.study.errors import TunesmithError
from tunesmith.study.trial import Proposal, Source
from tunesmith.study.view import StudyView, derived_seed

CONFIRM_SEEDS_FROM = 2**30
"""Seeds for tuning lie below, seeds for confirming at or above: the two never overlap."""


class Arbiter:
    """Chooses for one study.

    Args:
        sampler: proposes wherever nobody with precedence does.
        fidelity: at which fidelity trials run; None when the study has none.
    """

    def __init__(self, sampler: Sampler, *, fidelity: float | None = None) -> None:
        self._sampler = sampler
        self._fidelity = fidelity

    def choose(self, view: StudyView) -> Proposal:
        """Return the proposal for trial `view.number`.

        Raises:
            SpaceExhausted: the space is finite and every configuration was tried.
        """
        default = view.space.default
        if view.number == 0 and default is not None:
            return self._proposal(view, Suggestion(params=default, rationale="your default"), Source.DEFAULT)
        try:
            return self._proposal(view, self._sampler.suggest(view), Source.SAMPLER)
        except TunesmithError:
            raise
        except Exception as error:  # noqa: BLE001  # numerics may fail in ways no list foresees; a night must go on
            reason = f"the sampler failed: {type(error).__name__}: {error}"
            return self._proposal(view, _random_suggestion(view), Source.FALLBACK, fallback_reason=reason)

    def _proposal(
        self, view: StudyView, suggestion: Suggestion, source: Source, *, fallback_reason: str = ""
    ) -> Proposal:
        return Proposal(
            params=suggestion.params,
            source=source,
            seed=tuning_seed(view.seed, view.number),
            rationale=suggestion.rationale,
            fidelity=self._fidelity,
            prediction=suggestion.prediction,
            fallback_reason=fallback_reason,
        )


def tuning_seed(seed: int, number: int) -> int:
    """Return the training seed of trial `number`, in [0, 2^30)."""
    return derived_seed(seed, "train", number) % CONFIRM_SEEDS_FROM


def confirming_seed(seed: int, index: int) -> int:
    """Return the `index`-th fresh seed for confirming, in [2^30, 2^31); the same for every configuration."""
    return CONFIRM_SEEDS_FROM + derived_seed(seed, "confirm", index) % CONFIRM_SEEDS_FROM


def _random_suggestion(view: StudyView) -> Suggestion:
    rng = np.random.default_rng(derived_seed(view.seed, "fallback", view.number))
    params = draw_untried(view, lambda: random_params(view.space, rng), rng)
    return Suggestion(params=params, rationale="random point in the sampler's place")
