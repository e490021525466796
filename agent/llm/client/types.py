"""Questions to a language model, its answers, and what they cost. Plain data, and the interface of every model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from tunesmith.prompts.message import Message

T = TypeVar("T")
JsonSchema = Mapping[str, Any]

MAX_RESPONSE_BYTES = 32 * 2**20
"""Longest response of a server: 50,000 tokens that are streamed one by one, each with its envelope, are half of it."""
BYTES_PER_TOKEN = 4
"""Bytes of a response for each token that is billed for one whose count did not arrive."""
ANSWER_TOO_LONG = f"the answer is longer than {MAX_RESPONSE_BYTES >> 20} MiB and was not read to its end"


@dataclass(frozen=True, slots=True)
class AnswerFormat(Generic[T]):
    """The form of an answer.

    Attributes:
        name: name of the schema; letters and underscores only.
        schema: JSON schema of an object; servers that can will enforce it.
        read: turns the decoded object into a value; raises ValueError with a message that the model can act on.
        shown: a shorter schema for a prompt that describes the form itself; None for the same one.
    """

    name: str
    schema: JsonSchema
    read: Callable[[Any], T]
    shown: JsonSchema | None = None


@dataclass(frozen=True, slots=True)
class LookupTool:
    """A read-only function that the model may call before it answers.

    Attributes:
        description: its purpose, for the model.
        arguments: JSON schema of an object.
        run: takes the decoded arguments; when it raises ToolRefused, the model receives the message.
    """

    name: str
    description: str
    arguments: JsonSchema
    run: Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUse:
    """Token counts; None where the server reports none. `cached` is part of `input`, `reasoning` of `output`."""

    input: int | None = None
    cached: int | None = None
    output: int | None = None
    reasoning: int | None = None

    def plus(self, other: TokenUse) -> TokenUse:
        """Return the sum; a count that is None in both stays None."""
        return TokenUse(
            input=_sum(self.input, other.input),
            cached=_sum(self.cached, other.cached),
            output=_sum(self.output, other.output),
            reasoning=_sum(self.reasoning, other.reasoning),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """One tool call: the arguments as the model wrote them, and the start of the result."""

    name: str
    arguments: str
    result: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """Usage of one question, including retries and tool rounds.

    Attributes:
        method: how the form was requested: json_schema, function_calling, json_object or plain.
        requests: number of HTTP requests.
        cost_usd: dollars; None when the price is unknown.
        wall_s: seconds from the question to the answer.
        notes: what people should know about the model's options, such as one that it does not take.
    """

    model: str
    method: str = ""
    requests: int = 0
    usage: TokenUse = TokenUse()
    cost_usd: float | None = None
    wall_s: float = 0.0
    tools: tuple[ToolUse, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelAnswer(Generic[T]):
    """A value in the requested form, the text that contained it, and the usage."""

    value: T
    text: str
    call: CallRecord


class LanguageModel(Protocol):
    """A language model, a recording of one, or a list of fallbacks."""

    @property
    def name(self) -> str:
        """Name of the model, for people."""

    def ask(
        self,
        messages: Sequence[Message],
        answer_format: AnswerFormat[T],
        *,
        tools: Sequence[LookupTool] = (),
        max_tool_calls: int = 6,
    ) -> ModelAnswer[T]:
        """Return the answer in the requested form.

        Raises:
            ModelDown: the model gave no answer.
            AnswerUnusable: the model answered, but the answer cannot be used.
        """


def _sum(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else a + b
