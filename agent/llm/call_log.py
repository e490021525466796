"""One question to a model, put on record whatever comes of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tunesmith.agent.llm.client.errors import AnswerUnusable, ModelDown
from tunesmith.agent.llm.client.types import AnswerFormat, CallRecord, LanguageModel, LookupTool
from tunesmith.prompts.message import Message
from tunesmith.prompts.render import template_version

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedCall:
    """One call as it is kept: what was asked, what came, what it cost. Times are seconds since the epoch."""

    purpose: str
    prompt_version: str
    messages: tuple[Message, ...]
    answer: str
    error: str
    call: CallRecord
    started_at: float


def ask_and_log(
    model: LanguageModel,
    template: str,
    messages: Sequence[Message],
    form: AnswerFormat[T],
    calls: list[LoggedCall],
    *,
    tools: Sequence[LookupTool] = (),
    clock: Callable[[], float] = time.time,
) -> T:
    """Ask once, and put what was asked, answered and charged on the end of `calls`, whatever happens.

    Args:
        model: who is asked.
        template: the file whose words they are.
        messages: the question.
        form: what the answer must look like.
        calls: the record.
        tools: what the model may look up before.
        clock: seconds since the epoch.

    Raises:
        ModelDown: no answer was got.
        AnswerUnusable: it cannot be read.
    """
    at, answer, error = clock(), "", ""
    call = CallRecord(model=model.name)
    try:
        got = model.ask(messages, form, tools=tools)
        answer, call = got.text, got.call
        return got.value
    except (ModelDown, AnswerUnusable) as failure:
        answer = failure.text if isinstance(failure, AnswerUnusable) else ""
        error, call = f"{failure.kind.value}: {failure.reason}", failure.call
        raise
    finally:
        told = LoggedCall(
            purpose=template.removesuffix(".md"),
            prompt_version=template_version(template),
            messages=tuple(messages),
            answer=answer,
            error=error,
            call=call,
            started_at=at,
        )
        calls.append(told)
