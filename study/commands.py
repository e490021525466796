"""What a person, a chat or another agent may ask of a running study, as plain data.

agent/loop/commands/decisions.py decides on it.

Text that comes in from outside becomes one of these once, in `parse_order`; what does not fit is refused with every
mistake.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from tunesmith.study.errors import ToolRefused

LONGEST_ORDER = 64 * 1024
"""Characters of an order as JSON at most; a longer text is no order."""

Plain: TypeAlias = bool | int | float | str | None
LIMITS = ("trials", "hours", "until", "gpu_hours", "kwh", "llm_usd", "llm_tokens", "llm_calls")


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    why: Annotated[str, Field(max_length=500)] = ""


class Queue(_Order):
    """Run this configuration before anything that the sampler proposes."""

    kind: Literal["queue"] = "queue"
    params: Mapping[str, Plain]


class Confirm(_Order):
    """Run a finished trial again on fresh seeds."""

    kind: Literal["confirm"] = "confirm"
    number: Annotated[int, Field(ge=0)]
    seeds: Annotated[int, Field(ge=1, le=20)] = 3


class Withdraw(_Order):
    """Do not run a trial that still waits."""

    kind: Literal["withdraw"] = "withdraw"
    number: Annotated[int, Field(ge=0)]


class StopTrial(_Order):
    """End a running trial; its values so far stand."""

    kind: Literal["stop_trial"] = "stop_trial"
    number: Annotated[int, Field(ge=0)]


class Pause(_Order):
    """Start no more trials until `resume`."""

    kind: Literal["pause"] = "pause"


class Resume(_Order):
    """Start trials again."""

    kind: Literal["resume"] = "resume"


class End(_Order):
    """End the run: running trials finish, or (`now`) are ended and queued again for the next run."""

    kind: Literal["end"] = "end"
    now: bool = False


class Pin(_Order):
    """Hold a parameter at a value in every trial to come; `value` None sets it free."""

    kind: Literal["pin"] = "pin"
    name: str
    value: Plain = None


class Veto(_Order):
    """Run nothing for which this condition holds; `lift` takes a veto back."""

    kind: Literal["veto"] = "veto"
    condition: Annotated[str, Field(min_length=1, max_length=400)]
    lift: bool = False


class Limit(_Order):
    """Change a limit of [budget]; None takes it away."""

    kind: Literal["limit"] = "limit"
    name: Literal["trials", "hours", "until", "gpu_hours", "kwh", "llm_usd", "llm_tokens", "llm_calls"]
    value: float | str | None


class Parallel(_Order):
    """Change how many trials run at once."""

    kind: Literal["parallel"] = "parallel"
    count: Annotated[int, Field(ge=1, le=1024)]


class Bounds(_Order):
    """Change the range or the choices of a parameter; what is None stays."""

    kind: Literal["bounds"] = "bounds"
    name: str
    low: float | None = None
    high: float | None = None
    choices: list[Plain] | None = None


class Block(BaseModel):
    """A text that stands once in a file, and what takes its place."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Annotated[str, Field(min_length=1, max_length=400, description="The file, relative to the project.")]
    search: Annotated[str, Field(max_length=20_000, description="Lines that stand exactly once in it, as they are.")]
    replace: Annotated[str, Field(max_length=20_000, description="What takes their place.")]


class EditCode(_Order):
    """Run an edit of the code: `parent` names the version that it is made on, "" for the project as it stands."""

    kind: Literal["edit"] = "edit"
    blocks: Annotated[list[Block], Field(min_length=1, max_length=20)]
    parent: Annotated[str, Field(max_length=40)] = ""
    direction: str = "other"
    params: Mapping[str, Plain] = Field(default_factory=dict)


class Constrain(_Order):
    """Bound another metric, or (both None) take such a bound away."""

    kind: Literal["constrain"] = "constrain"
    metric: str
    min: float | None = None
    max: float | None = None


Order: TypeAlias = Annotated[
    Queue
    | Confirm
    | Withdraw
    | StopTrial
    | Pause
    | Resume
    | End
    | Pin
    | Veto
    | Limit
    | Parallel
    | Bounds
    | Constrain
    | EditCode,
    Field(discriminator="kind"),
]
_READER: TypeAdapter[Order] = TypeAdapter(Order)


def parse_order(text: str) -> Order:
    """Return the order that a JSON text holds.

    Raises:
        ToolRefused: it is none; the message names every mistake.
    """
    if len(text) > LONGEST_ORDER:
        raise ToolRefused(f"an order has at most {LONGEST_ORDER:,} characters; this one has {len(text):,}")
    try:
        return _READER.validate_json(text)
    except ValidationError as error:
        raise ToolRefused(f"this is no order: {mistakes_of(error)}") from None


def order_text(order: Order) -> str:
    """Return the order as JSON, from which `parse_order` reads an equal one."""
    return json.dumps(order.model_dump(mode="json"))


def mistakes_of(error: ValidationError) -> str:
    """Return every mistake of a failed validation: where it stands, what stands there, what may stand there."""
    return "; ".join(_mistake(item) for item in error.errors(include_url=False)[:8])


def _mistake(item: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in item["loc"]) or "the arguments"
    if item["type"] == "missing":
        return f"{where} is missing"
    if item["type"] == "extra_forbidden":
        return f"{where} is unknown here; leave it out"
    said = str(item["msg"])
    return f"{where}: {item['input']!r:.80}: {said[:1].lower()}{said[1:]}"
