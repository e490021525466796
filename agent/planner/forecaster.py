"""What the sampler's model expects of configurations, and which it would try next, for tools, which see no sampler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.agent.sampler.registry import make_sampler
from tunesmith.study.errors import SpaceExhausted
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.trial import Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import StudyView
from tunesmith.tools.llm_tools.context import ConfigForecast, SuggestedConfig


class SamplerForecaster:
    """Answers from our Bayesian sampler's model, whoever proposes.

    Args:
        sampler: the name of the sampler that suggests points.
    """

    def __init__(self, sampler: str = "bayes") -> None:
        self._sampler = sampler

    def forecast(self, view: StudyView, configurations: Sequence[Mapping[str, Value]]) -> list[ConfigForecast] | None:
        """Return what is expected of valid configurations; None while too little is known."""
        judged = BayesSampler().score(view, configurations)
        return None if judged is None else [ConfigForecast(j.prediction, j.p_feasible) for j in judged]

    def points(self, view: StudyView, count: int) -> list[SuggestedConfig]:
        """Return up to `count` configurations; each is thought to run while the next is chosen."""
        sampler = make_sampler(self._sampler)
        found: list[SuggestedConfig] = []
        while len(found) < count:
            try:
                suggestion = sampler.suggest(view)
            except SpaceExhausted:
                break
            found.append(SuggestedConfig(suggestion.params, self._sampler, suggestion.rationale))
            proposal = Proposal(params=suggestion.params, source=Source.SAMPLER, seed=0)
            waits = Trial(number=view.number, proposal=proposal, state=TrialState.WAITING)
            view = replace(view, trials=[*view.trials, waits], number=view.number + 1)
        return found
