"""Planners with a language model: ours, and what it has to be compared with, built from the same parts.

    hybrid      the sampler and the model, shared out by results (ours)
    llm         the model alone, checked for the space and for duplicates
    centaur     the sampler, with three trials in ten overridden by the model unjudged (Ferreira et al. 2026)
    llambo      the model alone, which of several candidates takes the one it expects most of (after Liu et al. 2024)

A name may carry its model and address, as in hybrid@openai:gpt-5-mini or llm@qwen3@http://127.0.0.1:8080/v1.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from tunesmith.agent.arbiter import Rules
from tunesmith.bench.planners.own import TunerPlanner
from tunesmith.bench.task import Task
from tunesmith.study.errors import ProjectError

_RULES: Mapping[str, Rules | None] = {
    "hybrid": None,
    "llm": Rules(share=1.0, judged=False),
    "centaur": Rules(share=0.3, judged=False, count=1),
    "llambo": Rules(share=1.0, judged=False, by_prediction=True, count=8),
}


def _make(
    name: str, task: Task, seed: int, *, model: str = "", base_url: str = "", permuted: bool = False
) -> TunerPlanner:
    if not model:
        raise ProjectError(f"planner {name} needs --model, for example --model openai:gpt-5-mini")
    options = {"model": model, "base_url": base_url or None, "rules": _RULES[name], "permute_feedback": permuted}
    return TunerPlanner("hybrid", task, seed, **options)


LLM_PLANNERS = tuple(_RULES)

MAKERS = {name: partial(_make, name) for name in _RULES} | {
    f"{name}-permuted": partial(_make, name, permuted=True) for name in _RULES
}
