"""Gathers the changing facts of a study for a prompt: the sampler's view of it, and the budget that is left."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tunesmith.agent.sampler.base import Sampler
from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.prompts.planner_prompts import PromptContext
from tunesmith.study.sampler_state import SamplerState
from tunesmith.study.trials.view import StudyView
from tunesmith.tools.analysis.failure_regions import failing_regions
from tunesmith.tools.analysis.importance import importance

_INTERACTING_PARAMETERS = 4
"""Number of the most important parameters whose pairwise interactions are computed."""


def make_prompt_context(
    view: StudyView,
    sampler: Sampler,
    *,
    budget: str = "",
    curves: Callable[[StudyView], Mapping[int, Sequence[float]]] | None = None,
) -> PromptContext:
    """Return the facts for a prompt: trials, the sampler's next point, importance, failures, and the budget left.

    Raises:
        SpaceExhausted: there is no next point.
    """
    return PromptContext(
        view=view,
        sampler=summarize_sampler(view, sampler),
        budget=budget,
        curves=curves(view) if curves else {},
    )


def summarize_sampler(view: StudyView, sampler: Sampler) -> SamplerState:
    """Return the sampler's next point and prediction, and what it found about parameters.

    Raises:
        SpaceExhausted: there is no next point.
    """
    suggestion = sampler.suggest(view)
    shares = importance(view.space, view.finished, view.objectives[0])
    leading = list(shares)[:_INTERACTING_PARAMETERS]
    return SamplerState(
        next_params=suggestion.params,
        next_prediction=suggestion.prediction,
        importance=shares,
        interactions=sampler.interactions(view, leading) if isinstance(sampler, BayesSampler) else (),
        failing=failing_regions(view.space, view.finished),
    )
