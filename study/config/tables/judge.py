"""[judge] of study.toml: a model that judges the texts that trials write."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool

from tunesmith.study.config.tables.connection import (
    Address,
    AnswerTokens,
    AnswerWait,
    Body,
    Effort,
    Headers,
    Temperature,
)
from tunesmith.study.config.tables.field_types import Count, Table, Text, no_bool, project_file
from tunesmith.study.config.tables.planner import PlannerTable

MIN_LABELS = 20
"""Number of labelled examples from which a judge's agreement with people counts as known."""
MIN_KAPPA = 0.2
"""Lowest kappa that a judge may have: up to 0.2, agreement is slight (Landis and Koch 1977)."""
_SCALE_ENDS = 2
_MAX_GRADES = 101


def _scale(ends: list[int]) -> list[int]:
    if len(ends) != _SCALE_ENDS or not 0 < ends[1] - ends[0] < _MAX_GRADES:
        raise ValueError("not a scale")
    return ends


class JudgeTable(Table):
    """[judge]: a language model compares or scores the texts that each trial writes."""

    model: Text = Field(description='a model such as "openai:gpt-5-mini"')
    base_url: Address = None
    prompt: Annotated[Text, AfterValidator(project_file)] = Field(
        description='a file of the project that says what a good text is, for example "judge.md"'
    )
    pairs: StrictBool = Field(
        True, description="true to compare each text with the reference's, or false to give each text a score"
    )
    labels: Annotated[Text, AfterValidator(project_file)] | None = Field(
        None, description='a CSV file of the project with examples that people labelled, for example "labels.csv"'
    )
    outputs: Annotated[Text, AfterValidator(project_file)] = Field(
        "outputs.jsonl", description='a file that each trial writes in {artifacts}, for example "outputs.jsonl"'
    )
    reference: Annotated[Text, AfterValidator(project_file)] | None = Field(
        None, description='a file of the project with texts to compare with, for example "reference.jsonl"'
    )
    scale: Annotated[list[Annotated[int, BeforeValidator(no_bool)]], AfterValidator(_scale)] = Field(
        default_factory=lambda: [1, 5], description="the lowest and the highest score, for example [1, 5]"
    )
    accept_unproven: StrictBool = Field(
        False,
        description=f"true or false: whether a judge counts that has under {MIN_LABELS} labels, or whose kappa may be "
        f"under {MIN_KAPPA}",
    )
    parallel: Count = Field(4, description="a whole number of questions at once, at least 1")
    timeout: AnswerWait = 300.0
    max_tokens: AnswerTokens = None
    temperature: Temperature = None
    reasoning_effort: Effort = None
    headers: Headers = Field(default_factory=dict)
    body: Body = Field(default_factory=dict)

    @property
    def connection(self) -> PlannerTable:
        """How the model is reached, in the form of [planner]."""
        names = ("model", "base_url", "timeout", "max_tokens", "temperature", "reasoning_effort", "headers", "body")
        return PlannerTable(**{name: getattr(self, name) for name in names})

    @property
    def private_files(self) -> list[str]:
        """The files of the project that no trial may see: it could write what they ask for."""
        return [name for name in (self.prompt, self.labels, self.reference) if name is not None]
