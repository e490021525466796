"""Gathers the changing facts of a study for a prompt: the sampler's view of it, and the budget that is left."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from tunesmith.agent.llm.questions.timing import typical_seconds
from tunesmith.agent.sampler.base import Sampler
from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.agent.sampler.beside_llm import without_llm_misses
from tunesmith.prompts.planner_prompts import PromptContext
from tunesmith.prompts.trial_rows import NOTED_S
from tunesmith.study.sampler_state import SamplerState
from tunesmith.study.trials.view import StudyView
from tunesmith.study.units import short_seconds
from tunesmith.tools.analysis.contrasts import contrasts
from tunesmith.tools.analysis.coverage import untried, varied, within_what_ran
from tunesmith.tools.analysis.failure_regions import failing_regions
from tunesmith.tools.analysis.importance import MIN_TRIALS, Importance, importance

_INTERACTING_PARAMETERS = 4
"""Number of the most important parameters whose pairwise interactions are computed."""


def make_prompt_context(
    view: StudyView,
    sampler: Sampler,
    *,
    budget: str = "",
    slots: int = 1,
    curves: Callable[[StudyView], Mapping[int, Sequence[float]]] | None = None,
) -> PromptContext:
    """Return the facts for a prompt: trials, contrasts, the sampler's next point, failures, and the budget left.

    Raises:
        SpaceExhausted: there is no next point.
    """
    found = importance(view.space, view.finished, view.objectives[0])
    return PromptContext(
        view=view,
        sampler=summarize_sampler(view, sampler, found),
        budget=budget,
        timing=_timing(view, slots, budget),
        curves=curves(view) if curves else {},
        contrasts=contrasts(view),
        untouched=untried(view.space, view.finished, found.names),
    )


def summarize_sampler(view: StudyView, sampler: Sampler, found: Importance) -> SamplerState:
    """Return the sampler's next point and prediction, and what a model of the trials says of parameters.

    Args:
        view: the study.
        sampler: the sampler.
        found: the importance of parameters.

    Raises:
        SpaceExhausted: there is no next point.
    """
    suggestion = sampler.suggest(without_llm_misses(view))
    return SamplerState(
        next_params=suggestion.params,
        next_prediction=suggestion.prediction,
        importance=found.lines if found.complete >= MIN_TRIALS else (),
        interactions=_interactions(view, sampler, found),
        failing=failing_regions(view.space, view.finished),
    )


def _interactions(view: StudyView, sampler: Sampler, found: Importance) -> tuple[str, ...]:
    """Return how leading parameters interact, as far as complete trials reach: beyond, a model only extrapolates."""
    several = varied(view)
    leading = [name for name in found.names[:_INTERACTING_PARAMETERS] if name in several]
    inner = within_what_ran(view)
    if inner is None or len(leading) < 2 or not isinstance(sampler, BayesSampler):  # noqa: PLR2004  # a pair
        return ()
    return sampler.interactions(inner, leading)


def _timing(view: StudyView, slots: int, budget: str) -> str:
    """Return how long trials take and which run now, for a model that decides what may run when."""
    seconds = typical_seconds(view.trials)
    seconds = seconds if seconds >= NOTED_S else 0.0
    running = ", ".join(f"#{t.number}" for t in view.pending)
    parts = [f"a trial takes about {short_seconds(seconds)}" if seconds else ""]
    parts.append(f"{slots} run at once" if slots > 1 else "one runs at a time")
    parts.append(f"running or queued now: {running}" if running else "none runs now")
    if math.isfinite(view.runs_left) and f"trials {view.runs_left:.0f} of" not in budget:
        parts.append(f"{view.runs_left:.0f} more can run")
    return "; ".join(part for part in parts if part)
