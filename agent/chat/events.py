"""What a conversation tells whoever shows it, one frozen value each. Knows no terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class TextChunk:
    """More of the answer, as it comes."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A tool runs."""

    call: str
    name: str
    given: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """A tool ended after `wall_s` seconds; `refused` holds what it said when it would not."""

    call: str
    name: str
    given: Mapping[str, Any]
    wall_s: float
    refused: str = ""


@dataclass(frozen=True, slots=True)
class ProposedAction:
    """One call that a person decides on. `preview` is what exactly it would do; `trials` what it may cost."""

    name: str
    given: Mapping[str, Any]
    preview: str
    trials: int = 0


@dataclass(frozen=True, slots=True)
class Approval:
    """The conversation waits until `decide` is called with a decision for each action."""

    actions: tuple[ProposedAction, ...]


@dataclass(frozen=True, slots=True)
class AutoApproved:
    """Actions went through without asking, on a limit that was set before; `left` trials are left of it."""

    actions: tuple[ProposedAction, ...]
    left: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a person should know, in a line: the model is asked again, the answer broke off."""

    text: str


ChatEvent: TypeAlias = TextChunk | ToolStarted | ToolFinished | Approval | AutoApproved | Notice


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person says to an action: `kind` is approve, edit (with new arguments) or reject (with a reason)."""

    kind: str
    given: Mapping[str, Any] | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatCost:
    """What a conversation has cost. `unpriced` calls are not in `usd`."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0
    unpriced: int = 0
