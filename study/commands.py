"""Commands that a person, a chat or another agent may send to a running study, as plain data.

`parse_command` turns text from outside into one of them, once; invalid text is refused with every mistake.
agent/loop/commands/decisions.py decides what a command does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from tunesmith.study.errors import ToolRefused

MAX_COMMAND_CHARS = 64 * 1024
"""Maximum length of a command as JSON, in characters."""

JsonScalar: TypeAlias = bool | int | float | str | None
"""A value of a parameter as JSON has it."""


class _Command(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    why: Annotated[str, Field(max_length=500)] = ""


class Queue(_Command):
    """Run this configuration before the next proposal."""

    kind: Literal["queue"] = "queue"
    params: Mapping[str, JsonScalar]


class Confirm(_Command):
    """Run a finished trial again on fresh seeds."""

    kind: Literal["confirm"] = "confirm"
    number: Annotated[int, Field(ge=0)]
    seeds: Annotated[int, Field(ge=1, le=20)] = 3


class Withdraw(_Command):
    """Remove a trial that waits from the queue."""

    kind: Literal["withdraw"] = "withdraw"
    number: Annotated[int, Field(ge=0)]


class StopTrial(_Command):
    """Stop a running trial; the values that it reported so far are kept."""

    kind: Literal["stop_trial"] = "stop_trial"
    number: Annotated[int, Field(ge=0)]


TrialNumbers = Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(max_length=10_000)]
"""Numbers of trials."""


class Forget(_Command):
    """Let trials teach nothing and count nowhere; `again` takes them up again."""

    kind: Literal["forget"] = "forget"
    numbers: Annotated[TrialNumbers, Field(min_length=1)]
    again: bool = False


class Retry(_Command):
    """Run failed trials again under new numbers and forget the failures; no numbers mean every failed trial."""

    kind: Literal["retry"] = "retry"
    numbers: TrialNumbers = ()


class Pause(_Command):
    """Start no more trials until `resume`."""

    kind: Literal["pause"] = "pause"


class Resume(_Command):
    """Start trials again."""

    kind: Literal["resume"] = "resume"


class End(_Command):
    """End the run. Running trials finish; with `now` they are stopped and queued again for the next run."""

    kind: Literal["end"] = "end"
    now: bool = False


class Pin(_Command):
    """Fix a parameter at a value in all later trials; None as `value` removes the pin."""

    kind: Literal["pin"] = "pin"
    name: str
    value: JsonScalar = None


class Veto(_Command):
    """Propose no configuration for which the condition holds; `lift` removes an earlier veto."""

    kind: Literal["veto"] = "veto"
    condition: Annotated[str, Field(min_length=1, max_length=400)]
    lift: bool = False


class Forbid(_Command):
    """Add a rule to the list `forbid` of the study; `lift` removes one."""

    kind: Literal["forbid"] = "forbid"
    rule: Annotated[str, Field(min_length=1, max_length=500)]
    lift: bool = False


class Limit(_Command):
    """Change a limit of [budget]; None removes it."""

    kind: Literal["limit"] = "limit"
    name: Literal["trials", "runs", "hours", "until", "gpu_hours", "kwh", "llm_usd", "llm_tokens", "llm_calls"]
    value: float | str | None


class Setting(_Command):
    """Change another key of the study file that a running study takes over; None removes it."""

    kind: Literal["setting"] = "setting"
    key: Annotated[str, Field(min_length=1, max_length=120)]
    value: JsonScalar | list[JsonScalar] = None


class Charge(_Command):
    """Count calls of a language model that were made about the study elsewhere, such as in a chat."""

    kind: Literal["charge"] = "charge"
    purpose: Annotated[str, Field(min_length=1, max_length=40)]
    model: Annotated[str, Field(max_length=200)]
    calls: Annotated[int, Field(ge=1, le=1_000_000)]
    input_tokens: Annotated[int, Field(ge=0)] = 0
    output_tokens: Annotated[int, Field(ge=0)] = 0
    cost_usd: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class Parallel(_Command):
    """Change how many trials run at once."""

    kind: Literal["parallel"] = "parallel"
    count: Annotated[int, Field(ge=1, le=1024)]


class Bounds(_Command):
    """Change the range or the choices of a parameter; None leaves a part unchanged."""

    kind: Literal["bounds"] = "bounds"
    name: str
    low: int | float | None = None
    high: int | float | None = None
    choices: list[JsonScalar] | None = None


class Block(BaseModel):
    """One replacement in a file: a text that occurs exactly once, and the text to put there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Annotated[str, Field(min_length=1, max_length=400, description="Such as train.py.")]
    search: Annotated[str, Field(max_length=20_000, description="Lines that occur once, verbatim.")]
    replace: Annotated[str, Field(max_length=20_000)]


class EditCode(_Command):
    """Run an edit of the code; `parent` names the version to edit, "" for the project's current files."""

    kind: Literal["edit"] = "edit"
    blocks: Annotated[list[Block], Field(min_length=1, max_length=20)]
    parent: Annotated[str, Field(max_length=40)] = ""
    direction: str = "other"
    params: Mapping[str, JsonScalar] = Field(default_factory=dict)


class FitConstants(_Command):
    """Make numbers that an edit brought into the code parameters of its version; all that it has for no names."""

    kind: Literal["fit"] = "fit"
    version: Annotated[str, Field(min_length=1, max_length=40)]
    names: Annotated[list[str], Field(max_length=8)] = Field(default_factory=list)


class Constrain(_Command):
    """Set a constraint on another metric; both bounds None removes it."""

    kind: Literal["constrain"] = "constrain"
    metric: str
    min: float | None = None
    max: float | None = None


Command: TypeAlias = Annotated[
    Queue
    | Confirm
    | Withdraw
    | StopTrial
    | Forget
    | Retry
    | Pause
    | Resume
    | End
    | Pin
    | Veto
    | Forbid
    | Limit
    | Setting
    | Charge
    | Parallel
    | Bounds
    | Constrain
    | EditCode
    | FitConstants,
    Field(discriminator="kind"),
]
_READER: TypeAdapter[Command] = TypeAdapter(Command)


def parse_command(text: str) -> Command:
    """Return the command in a JSON text.

    Raises:
        ToolRefused: the text is not a valid command; the message names every mistake.
    """
    if len(text) > MAX_COMMAND_CHARS:
        raise ToolRefused(f"a command has at most {MAX_COMMAND_CHARS:,} characters; this one has {len(text):,}")
    try:
        return _READER.validate_json(text)
    except ValidationError as error:
        raise ToolRefused(f"this is not a valid command: {mistakes_text(error)}") from None


def command_json(command: Command) -> str:
    """Return the command as JSON, which `parse_command` reads back."""
    return json.dumps(command.model_dump(mode="json"))


def mistakes_text(error: ValidationError) -> str:
    """Return the first 8 mistakes of a failed validation: the key, the value found, and what is valid there."""
    return "; ".join(_mistake(item) for item in error.errors(include_url=False)[:8])


def _mistake(item: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in item["loc"]) or "the arguments"
    if item["type"] == "missing":
        return f"{where} is missing"
    if item["type"] == "extra_forbidden":
        return f"{where} is not a known key here; remove it"
    message = str(item["msg"])
    return f"{where}: {item['input']!r:.80}: {message[:1].lower()}{message[1:]}"
