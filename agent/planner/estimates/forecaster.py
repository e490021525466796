"""Answers the questions of tools, which know no sampler: what the model expects and what the sampler would try next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tunesmith.study.space.condition import Value
from tunesmith.study.trials.view import StudyView
from tunesmith.tools.llm_tools.context import ConfigForecast, SuggestedConfig


class SamplerForecaster:
    """Forecasts by the model of Tunesmith's Bayesian sampler; suggests by the study's sampler.

    Args:
        sampler: the name of the study's sampler.
    """

    def __init__(self, sampler: str = "bayes") -> None:
        self._sampler = sampler

    def forecast(self, view: StudyView, configurations: Sequence[Mapping[str, Value]]) -> list[ConfigForecast] | None:
        """Return the model's forecasts of valid configurations; None while there is no model."""
        from tunesmith.agent.sampler.bayes import BayesSampler  # 0.4 s

        scores = BayesSampler().score(view, configurations)
        return None if scores is None else [ConfigForecast(s.prediction, s.p_feasible) for s in scores]

    def points(self, view: StudyView, count: int) -> list[SuggestedConfig]:
        """Return up to `count` configurations that the sampler would try next."""
        from tunesmith.agent.planner.batch import suggest_batch
        from tunesmith.agent.sampler.registry import make_sampler

        suggestions = suggest_batch(make_sampler(self._sampler), view, count)
        return [SuggestedConfig(s.params, self._sampler, s.rationale) for s in suggestions]
