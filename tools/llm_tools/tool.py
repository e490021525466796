"""A tool of the planner, the chat and the MCP server: arguments are validated, the answer is text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from tunesmith.history.redact import redact
from tunesmith.prompts.render import render_text
from tunesmith.study.commands import mistakes_text
from tunesmith.study.errors import InputError, ProposalError, ToolRefused
from tunesmith.study.formatting import valid_values
from tunesmith.study.names import did_you_mean
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.schema import short_schema

LONGEST_ARGUMENT = 80
"""Length above which an argument is left out of the line about a call."""
MAX_ANSWER_CHARS = 12_000
"""Maximum length of an answer. Tools with long results return them in pages."""


class Effect(IntEnum):
    """What a call may do; each level includes the ones before it."""

    READ = 0
    """Only reads."""
    STEER = 1
    """Changes what a running study does; starts no trial and spends nothing."""
    RUN = 2
    """Spends GPU time or money, or writes a file."""
    EDIT = 3
    """Runs edited code, or writes it to a branch or a file."""


class Arguments(BaseModel):
    """The arguments of a tool. Unknown names are errors, so that a misspelled argument is never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


A = TypeVar("A", bound=Arguments)
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class StudyTool(Generic[A]):
    """One function that a model may call.

    Attributes:
        arguments: the model of its arguments: names, types, units and bounds.
        run: runs the tool and returns text for the model; raises ToolRefused with what to ask instead.
        effect: what a call may do.
        trial_cost: the number of trials that a call may start, for limits that a person sets once.
        preview: describes exactly what a call would do, for the person who approves it; raises ToolRefused where the
            call would be refused.
        previewed: arguments that `preview` shows whole in other words, such as blocks as a diff.
        freeze: returns the arguments with everything that may change while a person decides replaced by what it means
            now, such as the values of the best trial in place of "best"; None where nothing changes.
        is_shown: whether a chat shows its answer to the person too, such as a drawing.
        leaves_files: whether a reading call may leave a file in the study's folder, where the context allows it.
        loses: whether a call may lose something that no other call brings back, such as the rest of a running trial.
        runs_code: whether a call makes the user's or edited code run, which may reach anything that it wants to.
        is_idempotent: whether the same call again changes nothing more.
    """

    name: str
    arguments: type[A]
    run: Callable[[ToolContext, A], str]
    effect: Effect = Effect.READ
    trial_cost: Callable[[A], int] = lambda _: 0
    preview: Callable[[ToolContext, A], str] | None = None
    previewed: frozenset[str] = frozenset()
    freeze: Callable[[ToolContext, A], A] | None = None
    is_shown: bool = False
    leaves_files: bool = False
    loses: bool = False
    runs_code: bool = False
    is_idempotent: bool = False

    @property
    def description(self) -> str:
        """What the tool is for, from prompts/templates."""
        return render_text(f"tool_{self.name}.md")

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of its arguments."""
        found = self.arguments.model_json_schema()
        found.pop("description", None)
        found.pop("title", None)
        return found

    @property
    def short_schema(self) -> dict[str, Any]:
        """The schema without what a model can do without: it is sent with every call."""
        return short_schema(self.arguments.model_json_schema())

    def parse(self, args: Mapping[str, Any]) -> A:
        """Return the validated arguments.

        Raises:
            ToolRefused: they are not valid; the message names every mistake.
        """
        try:
            return self.arguments.model_validate(valid_values(args))
        except ValidationError as error:
            known = ", ".join(self.arguments.model_fields) or "none"
            raise ToolRefused(f"{self.name}: {mistakes_text(error)}. Its arguments: {known}") from None

    def call(self, context: ToolContext, args: Mapping[str, Any]) -> str:
        """Validate the arguments and run the tool; the answer goes to a model, so it contains no secrets.

        Raises:
            ToolRefused: the arguments are not valid, or the request cannot be carried out.
        """
        return redact(self.checked(context, args, self.run))[:MAX_ANSWER_CHARS]

    def checked(self, context: ToolContext, args: Mapping[str, Any], run: Callable[[ToolContext, A], R]) -> R:
        """Validate the arguments and return what a function makes of them; a refusal contains no secrets.

        Raises:
            ToolRefused: the arguments are not valid, or the request cannot be carried out.
        """
        try:
            return run(context, self.parse(args))
        except (ToolRefused, InputError, ProposalError) as error:
            raise ToolRefused(redact(str(error))) from None

    def frozen(self, context: ToolContext, args: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments that a person is asked about and that run when they are approved.

        Raises:
            ToolRefused: the arguments are not valid, or the call would be refused.
        """
        if self.freeze is None:
            return dict(args)
        try:
            return self.freeze(context, self.parse(args)).model_dump(mode="json", exclude_defaults=True)
        except (InputError, ProposalError) as error:
            raise ToolRefused(str(error)) from None

    def preview_text(self, context: ToolContext, args: Mapping[str, Any]) -> str:
        """Return what a call would do, for a person: what the tool says, and every argument that this leaves out.

        Raises:
            ToolRefused: the arguments are not valid, or the call would be refused.
        """
        arguments = self.parse(args)
        try:
            shown = self.preview(context, arguments) if self.preview else ""
        except (InputError, ProposalError) as error:
            raise ToolRefused(str(error)) from None
        texts = {name: _argument_line(value) for name, value in args.items() if name not in self.previewed}
        rest = [f"{name}: {text}" for name, text in texts.items() if text not in ("", '""') and text not in shown]
        return "\n".join([*([shown] if shown else []), *rest])


AnyTool = StudyTool[Any]


def find_tool(tools: Sequence[AnyTool], name: str) -> AnyTool:
    """Return the tool of that name.

    Raises:
        ToolRefused: there is no such tool; the message names the nearest.
    """
    for tool in tools:
        if tool.name == name:
            return tool
    raise ToolRefused(f"there is no tool {name[:80]!r}{did_you_mean(name[:80], [t.name for t in tools])}")


def arguments_text(args: Mapping[str, Any], limit: int = 60) -> str:
    """Return a call's arguments for people: `19` for a single one, `which=best, limit=5` for several."""
    words = [_argument_text(v) if len(args) == 1 else f"{k}={_argument_text(v)}" for k, v in args.items()]
    text = " ".join(", ".join(words).split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _argument_line(value: Any) -> str:
    """Return an argument whole on one line; a text that would look like more than one line is quoted."""
    if isinstance(value, str) and value.isprintable():
        return value
    return json.dumps(value, ensure_ascii=False)


def _argument_text(value: Any) -> str:
    """Return an argument shortly; a whole file, and blocks of code, are left out: a person has seen them already."""
    text = value if isinstance(value, str) else json.dumps(value)
    return "…" if "\n" in text or "\\n" in text or len(text) > LONGEST_ARGUMENT else text
