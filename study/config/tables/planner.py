"""Tables of study.toml for who proposes trials and edits."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tunesmith.study.config.tables.connection import (
    Address,
    AnswerTokens,
    AnswerWait,
    Body,
    Effort,
    Headers,
    Temperature,
)
from tunesmith.study.config.tables.field_types import Table, Text

EditStrategy = Literal["adaptive", "greedy", "tree", "islands", "front"]
"""How edits are searched: what is asked, and which version of the code runs."""

SAMPLERS = ("bayes", "random", "sobol", "grid", "optuna-tpe", "optuna-gp", "nevergrad", "cma-es", "smac", "turbo")


class PlannerTable(Table):
    """[planner]: the sampler and the LLM that propose trials; without a model only the sampler does."""

    sampler: Text = Field("bayes", description=f"one of {', '.join(SAMPLERS)}")
    model: Text | None = Field(None, description='a model such as "openai:gpt-5-mini"')
    base_url: Address = None
    fallbacks: list[Text] = Field(
        default_factory=list,
        description='a list of models to ask if the first one fails, for example ["openai:gpt-5-nano"]',
    )
    timeout: AnswerWait = 300.0
    max_tokens: AnswerTokens = None
    temperature: Temperature = None
    reasoning_effort: Effort = None
    headers: Headers = Field(default_factory=dict)
    body: Body = Field(default_factory=dict)
    allow: list[Literal["ranges"]] = Field(
        default_factory=list,
        description='a list of what the LLM may do unasked: "ranges" to widen the range of a parameter',
    )
    learn_from: list[Text] = Field(
        default_factory=list, description='a list of studies in the same history, for example ["digits-small"]'
    )


class EditsTable(Table):
    """[edits]: the files that the LLM may change."""

    files: list[Text] = Field(description='a list of files, for example ["train.py"]', min_length=1)
    protect: list[Text] = Field(default_factory=list, description='a list of files, for example ["evaluate.py"]')
    time: Literal["fixed", "free"] = Field(
        "fixed", description='"fixed" or "free": whether edited code may train longer than the code before it'
    )
    constants: Literal["offer", "model", "all"] = Field(
        "offer",
        description='"offer", "model" or "all": whether numbers that an edit brings into the code become parameters '
        "when you say so, when the LLM says so, or always",
    )
    strategy: EditStrategy = Field("adaptive", description='"adaptive", "greedy", "tree", "islands" or "front"')
