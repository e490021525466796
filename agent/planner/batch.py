"""Suggests several configurations at once: each counts as a pending trial while the next one is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tunesmith.agent.sampler.base import Sampler, Suggestion
from tunesmith.study.errors import SpaceExhausted
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.trial import Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import StudyView


def suggest_batch(sampler: Sampler, view: StudyView, count: int) -> list[Suggestion]:
    """Return `count` different suggestions; fewer if the space has no more."""
    suggestions: list[Suggestion] = []
    while len(suggestions) < count:
        try:
            suggestion = sampler.suggest(view)
        except SpaceExhausted:
            break
        suggestions.append(suggestion)
        view = with_pending(view, suggestion.params, Source.SAMPLER)
    return suggestions


def with_pending(view: StudyView, params: Mapping[str, Value], source: Source) -> StudyView:
    """Return the view with one more trial, which waits to run."""
    proposal = Proposal(params=params, source=source, seed=0)
    trial = Trial(number=view.number, proposal=proposal, state=TrialState.WAITING)
    return replace(view, trials=[*view.trials, trial], number=view.number + 1)
