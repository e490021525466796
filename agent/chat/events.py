"""Events of a conversation, as frozen values for a display. Knows no terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class TextChunk:
    """The next piece of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A tool has started; `call` is the id of the call."""

    call: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """A tool has ended.

    Attributes:
        wall_s: its duration in seconds.
        refused: why it did nothing; "" when it succeeded.
        shown: its answer, if a person wants to see that too, such as a drawing.
    """

    call: str
    name: str
    arguments: Mapping[str, Any]
    wall_s: float
    refused: str = ""
    shown: str = ""


@dataclass(frozen=True, slots=True)
class ProposedAction:
    """One tool call that a person decides on.

    Attributes:
        arguments: what runs when the person approves; "best" and the like are replaced by what they mean.
        preview: exactly what the call would do.
        trials: number of trials that an allowance would cover; 0 for an edit of the code, which always asks.
        requested: the arguments as the model wrote them.
    """

    name: str
    arguments: Mapping[str, Any]
    preview: str
    trials: int = 0
    requested: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Approval:
    """The conversation waits until `decide` is called with one decision for each action."""

    actions: tuple[ProposedAction, ...]


@dataclass(frozen=True, slots=True)
class AutoApproved:
    """Actions were approved by the allowance; `left` trials of it remain."""

    actions: tuple[ProposedAction, ...]
    left: int


@dataclass(frozen=True, slots=True)
class Notice:
    """One line for the person, for example that the model is asked again."""

    text: str


ChatEvent: TypeAlias = TextChunk | ToolStarted | ToolFinished | Approval | AutoApproved | Notice


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's decision on an action.

    Attributes:
        kind: approve, edit or reject.
        arguments: the new arguments, for edit.
        reason: for reject, why, or what the person wants instead.
    """

    kind: str
    arguments: Mapping[str, Any] | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatCost:
    """Cost of a conversation so far; `usd` excludes the `unpriced` calls. The fields are keys of a JSON file."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0
    unpriced: int = 0
