"""Tables of study.toml for who proposes trials and edits."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from tunesmith.study.config.tables.field_types import Count, Table, Text, no_bool
from tunesmith.study.units import parse_seconds

EditStrategy = Literal["adaptive", "greedy", "tree", "islands", "front"]
"""How edits are searched: what is asked, and which version of the code runs."""

SAMPLERS = ("bayes", "random", "sobol", "grid", "optuna-tpe", "optuna-gp", "nevergrad", "cma-es", "smac", "turbo")


class PlannerTable(Table):
    """[planner]: the sampler and the LLM that propose trials; without a model only the sampler does."""

    sampler: Text = Field("bayes", description=f"one of {', '.join(SAMPLERS)}")
    model: Text | None = Field(None, description='a model such as "openai:gpt-5-mini"')
    base_url: Text | None = Field(None, description='an address such as "http://127.0.0.1:11434/v1"')
    fallbacks: list[Text] = Field(
        default_factory=list,
        description='a list of models to ask if the first one fails, for example ["openai:gpt-5-nano"]',
    )
    timeout: Annotated[float, BeforeValidator(parse_seconds)] = Field(
        300.0, description='the longest wait for the next part of an answer, in seconds or as text such as "10m"'
    )
    max_tokens: Count | None = Field(None, description="a whole number of tokens of at least 1, thinking included")
    temperature: Annotated[float, BeforeValidator(no_bool), Field(ge=0, le=2)] | None = Field(
        None, description="a number from 0 to 2"
    )
    reasoning_effort: Text | None = Field(
        None, description='a word that the provider knows, such as "minimal", "low", "medium" or "high"'
    )
    headers: dict[Text, Annotated[str, Field(strict=True)]] = Field(
        default_factory=dict,
        description='a table of HTTP headers, for example { "X-Team" = "vision", Authorization = "Bearer $NAME" }',
    )
    body: dict[Text, Any] = Field(
        default_factory=dict,
        description="a table of further keys of each request, for example { top_p = 0.9 }",
    )
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
