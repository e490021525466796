"""Planners with a language model: ours, and baselines that are built from the same parts.

    hybrid      the sampler and the model; trials are divided by their results (ours)
    llm         only the model; invalid and duplicate candidates are dropped
    centaur     the sampler; the model takes three trials in ten, without scoring (Ferreira et al. 2026)
    llambo      only the model, which picks the candidate with its best predicted value (after Liu et al. 2024)
    best-of-n   points from one question before any result, then random points: the model without feedback

A name may carry its model and address, as in hybrid@openai:gpt-5-mini or llm@qwen3@http://127.0.0.1:8080/v1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from tunesmith.agent.llm.planner import LLMPlanner
from tunesmith.agent.planner.arbiter import LLMRules
from tunesmith.agent.planner.model import open_model
from tunesmith.agent.sampler.alternatives.random import RandomSampler
from tunesmith.bench.planners.own import TunerPlanner
from tunesmith.bench.task import Task
from tunesmith.prompts.planner_prompts import Part, StudyBrief
from tunesmith.study.config.tables.planner import PlannerTable
from tunesmith.study.errors import ProjectError
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.trial import Failure, Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import StudyView

BEST_OF_N = 32
"""Number of points that best-of-n asks for."""

_RULES: Mapping[str, LLMRules | None] = {
    "hybrid": None,
    "llm": LLMRules(fraction=1.0, scored=False),
    "centaur": LLMRules(fraction=0.3, scored=False, count=1),
    "llambo": LLMRules(fraction=1.0, scored=False, by_prediction=True, count=8),
}


def _make(
    name: str, task: Task, seed: int, *, model: str = "", base_url: str = "", permuted: bool = False
) -> TunerPlanner:
    options = {
        "model": _required(name, model),
        "base_url": base_url or None,
        "rules": _RULES[name],
        "permute_feedback": permuted,
    }
    return TunerPlanner("hybrid", task, seed, **options)


class BestOfN:
    """Asks the model once, runs its points, and continues with random points."""

    def __init__(self, task: Task, seed: int, *, model: str = "", base_url: str = "") -> None:
        self._view = StudyView(space=task.space, objectives=(task.objective,), trials=[], number=0, seed=seed)
        self._planner = _planner(task, _required("best-of-n", model), base_url)
        self._points: list[Mapping[str, Value]] | None = None
        self._trials: list[Trial] = []

    def ask(self) -> Mapping[str, Value]:
        """Return the next configuration."""
        if self._points is None:
            default = self._view.space.default
            found = self._planner.starting_points(self._view, count=BEST_OF_N)
            self._points = [*([default] if default is not None else []), *(c.params for c in found.candidates)]
        number = len(self._trials)
        view = replace(self._view, trials=self._trials, number=number)
        params = self._points[number] if number < len(self._points) else RandomSampler().suggest(view).params
        proposal = Proposal(params=params, source=Source.LLM, seed=0)
        self._trials.append(Trial(number=number, proposal=proposal, state=TrialState.WAITING))
        return params

    def tell(self, value: float) -> None:
        """Ignore the result."""

    def fail(self, failure: Failure) -> None:
        """Ignore the result."""


def _planner(task: Task, model: str, base_url: str) -> LLMPlanner:
    brief = StudyBrief(
        name=task.name,
        space=task.space,
        objectives=(task.objective,),
        description=task.description,
        part=Part(beside_sampler=False, order="own", is_earned=False, narrows=False),
    )
    return LLMPlanner(open_model(PlannerTable(model=model, base_url=base_url or None)), brief)


def _required(name: str, model: str) -> str:
    if not model:
        raise ProjectError(f"planner {name} needs --model, for example --model openai:gpt-5-mini")
    return model


LLM_PLANNERS = (*_RULES, "best-of-n")

MAKERS = {
    **{name: partial(_make, name) for name in _RULES},
    **{f"{name}-permuted": partial(_make, name, permuted=True) for name in _RULES},
    "best-of-n": BestOfN,
}
