"""A tool as planner, chat and MCP server know it, and the one way to call it: checked arguments in, text out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from tunesmith.prompts.render import render_text
from tunesmith.study.commands import mistakes_text
from tunesmith.study.errors import InputError, ProposalError, ToolRefused
from tunesmith.study.names import did_you_mean
from tunesmith.tools.llm_tools.context import ToolContext

LONGEST_ANSWER = 12_000
"""Characters of an answer; a tool pages long before."""


class Effect(IntEnum):
    """What a call may do; each includes the ones before it."""

    READ = 0
    """Looks things up."""
    STEER = 1
    """Changes what a running study does, but starts and spends nothing."""
    RUN = 2
    """Spends GPU time or money, or writes a file."""
    EDIT = 3
    """Runs edited code, or writes it where a person finds it."""


class Arguments(BaseModel):
    """The arguments of a tool; what is unknown is a mistake, so that a misspelled name cannot pass unseen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


A = TypeVar("A", bound=Arguments)


@dataclass(frozen=True, slots=True)
class StudyTool(Generic[A]):
    """One function that a model may call.

    Attributes:
        arguments: their names, types, units and bounds.
        run: does it and returns text for the model; raises ToolRefused with what can be asked instead.
        trial_cost: how many trials a call may cost, for limits that a person sets once.
        preview: what exactly a call would do, for the person who is asked to approve it; raises ToolRefused where it is
            plain beforehand that it cannot be done.
    """

    name: str
    arguments: type[A]
    run: Callable[[ToolContext, A], str]
    effect: Effect = Effect.READ
    trial_cost: Callable[[A], int] = lambda _: 0
    preview: Callable[[ToolContext, A], str] | None = None

    @property
    def description(self) -> str:
        """What it is for, in the words of prompts/templates."""
        from tunesmith.tools.heuristics.registry import HEURISTICS

        return render_text(f"tool_{self.name}.md", rules=HEURISTICS.values())

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of its arguments."""
        found = self.arguments.model_json_schema()
        found.pop("description", None)
        found.pop("title", None)
        return found

    def parse(self, args: Mapping[str, Any]) -> A:
        """Return the arguments.

        Raises:
            ToolRefused: they do not fit; every mistake is named.
        """
        try:
            return self.arguments.model_validate(dict(args))
        except ValidationError as error:
            known = ", ".join(self.arguments.model_fields) or "none"
            raise ToolRefused(f"{self.name}: {mistakes_text(error)}. Its arguments: {known}") from None

    def call(self, context: ToolContext, args: Mapping[str, Any]) -> str:
        """Check the arguments and run.

        Raises:
            ToolRefused: the arguments do not fit, or what they ask cannot be done.
        """
        try:
            return self.run(context, self.parse(args))[:LONGEST_ANSWER]
        except (InputError, ProposalError) as error:
            raise ToolRefused(str(error)) from None

    def preview_text(self, context: ToolContext, args: Mapping[str, Any]) -> str:
        """Return what a call would do, for a person; its arguments alone where there is nothing better.

        Raises:
            ToolRefused: the arguments do not fit, or it is plain that it cannot be done.
        """
        arguments = self.parse(args)
        try:
            return self.preview(context, arguments) if self.preview else arguments_text(args, limit=2000)
        except (InputError, ProposalError) as error:
            raise ToolRefused(str(error)) from None


AnyTool = StudyTool[Any]


def find_tool(tools: Sequence[AnyTool], name: str) -> AnyTool:
    """Return the tool of that name.

    Raises:
        ToolRefused: there is none; the nearest is named.
    """
    for tool in tools:
        if tool.name == name:
            return tool
    raise ToolRefused(f"there is no tool {name[:80]!r}{did_you_mean(name[:80], [t.name for t in tools])}")


def arguments_text(args: Mapping[str, Any], limit: int = 60) -> str:
    """Return a call's arguments as a person reads them: `19` for one alone, `which=best, limit=5` for several."""
    words = [_word(v) if len(args) == 1 else f"{k}={_word(v)}" for k, v in args.items()]
    text = " ".join(", ".join(words).split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
