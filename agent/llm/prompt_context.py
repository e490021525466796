"""What the sampler thinks and what is left, gathered for a prompt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tunesmith.agent.sampler.base import Sampler
from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.prompts.planner_prompts import PromptContext
from tunesmith.study.sampler_state import SamplerBelief
from tunesmith.study.trials.view import StudyView
from tunesmith.tools.analysis.failure_regions import failing_regions
from tunesmith.tools.analysis.importance import importance

_PAIRED = 4
"""Among so many of the parameters that matter most pairs are looked at."""


def make_prompt_context(
    view: StudyView,
    sampler: Sampler,
    *,
    budget: str = "",
    curves: Callable[[StudyView], Mapping[int, Sequence[float]]] | None = None,
) -> PromptContext:
    """Return where a study stands: the sampler's next point, what mattered, where it fails, and the budget left."""
    return PromptContext(
        view=view,
        belief=summarize_sampler(view, sampler),
        budget=budget,
        curves=curves(view) if curves else {},
    )


def summarize_sampler(view: StudyView, sampler: Sampler) -> SamplerBelief:
    """Return what the sampler thinks.

    Raises:
        SpaceExhausted: there is no next point.
    """
    suggestion = sampler.suggest(view)
    shares = importance(view.space, view.finished, view.objectives[0])
    leading = list(shares)[:_PAIRED]
    return SamplerBelief(
        next_params=suggestion.params,
        next_prediction=suggestion.prediction,
        importance=shares,
        interactions=sampler.interactions(view, leading) if isinstance(sampler, BayesSampler) else (),
        failing=failing_regions(view.space, view.finished),
    )
