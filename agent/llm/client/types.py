"""What is asked of a language model, what it answers, and what a call cost. Plain data and the seam that all share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from tunesmith.prompts.message import Message

T = TypeVar("T")
JsonSchema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AnswerFormat(Generic[T]):
    """The form of an answer.

    Attributes:
        name: of the schema, letters and _ alone.
        schema: JSON schema of an object; what a server can hold the model to.
        read: turns the decoded object into a value; raises ValueError, whose text the model can act on.
    """

    name: str
    schema: JsonSchema
    read: Callable[[Any], T]


@dataclass(frozen=True, slots=True)
class LookupTool:
    """A read-only function that the model may call before it answers.

    Attributes:
        description: what it is for, for the model.
        arguments: JSON schema of an object.
        run: takes the decoded arguments; a ToolRefused goes back to the model as its text.
    """

    name: str
    description: str
    arguments: JsonSchema
    run: Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUse:
    """Tokens of a call; None where the server does not say. `cached` is part of `input`, `reasoning` of `output`."""

    input: int | None = None
    cached: int | None = None
    output: int | None = None
    reasoning: int | None = None

    def plus(self, other: TokenUse) -> TokenUse:
        """Return the sum; what neither knows stays unknown."""
        return TokenUse(
            input=_sum(self.input, other.input),
            cached=_sum(self.cached, other.cached),
            output=_sum(self.output, other.output),
            reasoning=_sum(self.reasoning, other.reasoning),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """One tool call: its arguments as the model wrote them, and the start of what came back."""

    name: str
    arguments: str
    result: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """What one question cost, retries and tool rounds included. `cost_usd` is None where the price is unknown.

    Attributes:
        requests: HTTP requests that were made.
        method: how the form was asked for: json_schema, function_calling, json_object or plain.
    """

    model: str
    method: str = ""
    requests: int = 0
    usage: TokenUse = TokenUse()
    cost_usd: float | None = None
    wall_s: float = 0.0
    tools: tuple[ToolUse, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelAnswer(Generic[T]):
    """A value in the form that was asked for, the text that it stood in, and what the call cost."""

    value: T
    text: str
    call: CallRecord


class LanguageModel(Protocol):
    """A language model, a recording of one, or a list of fallbacks."""

    @property
    def name(self) -> str:
        """The model's name, for people."""

    def ask(
        self,
        messages: Sequence[Message],
        form: AnswerFormat[T],
        *,
        tools: Sequence[LookupTool] = (),
        max_tool_calls: int = 6,
    ) -> ModelAnswer[T]:
        """Return the answer in the form asked for.

        Raises:
            ModelDown: no answer was got.
            AnswerUnusable: an answer came, but it cannot be used.
        """


def _sum(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else a + b
