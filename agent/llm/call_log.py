"""Asks a model one question and logs it: prompt, answer or error, tokens, cost and time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tunesmith.agent.llm.client.failures.errors import AnswerUnusable, ModelDown
from tunesmith.agent.llm.client.types import AnswerFormat, CallRecord, LanguageModel, LookupTool, TokenUse
from tunesmith.prompts.message import Message
from tunesmith.prompts.render import template_version
from tunesmith.study.commands import Charge
from tunesmith.study.config.record import LlmCall

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedCall:
    """One call of a model, as the history stores it.

    Attributes:
        purpose: name of the template without its suffix, such as "propose".
        prompt_version: hash of the template's text.
        answer: text of the answer; "" when there was none.
        error: why the call brought nothing, as "kind: reason"; "" on success.
        started_at: seconds since the epoch.
        trial: number of the latest trial that the prompt shows; None before the first.
    """

    purpose: str
    prompt_version: str
    messages: tuple[Message, ...]
    answer: str
    error: str
    call: CallRecord
    started_at: float
    trial: int | None = None


def ask_and_log(  # noqa: PLR0913  # what is asked, and what is logged with it
    model: LanguageModel,
    template: str,
    messages: Sequence[Message],
    answer_format: AnswerFormat[T],
    log: list[LoggedCall],
    *,
    tools: Sequence[LookupTool] = (),
    trial: int | None = None,
    clock: Callable[[], float] = time.time,
) -> T:
    """Ask once and append the call to `log`, also when it fails.

    Args:
        model: the model to ask.
        template: file name of the template that the last message was rendered from.
        messages: the prompt.
        answer_format: the form of the answer.
        log: receives one entry.
        tools: functions that the model may call before it answers.
        trial: number of the latest trial that the prompt shows.
        clock: returns seconds since the epoch.

    Raises:
        ModelDown: the model gave no answer.
        AnswerUnusable: the answer cannot be read.
    """
    started_at, text, error = clock(), "", ""
    call = CallRecord(model=model.name)
    try:
        answer = model.ask(messages, answer_format, tools=tools)
        text, call = answer.text, answer.call
        return answer.value
    except (ModelDown, AnswerUnusable) as failure:
        text = failure.text if isinstance(failure, AnswerUnusable) else ""
        error, call = f"{failure.kind.value}: {failure.reason}", failure.call
        raise
    finally:
        log.append(
            LoggedCall(
                purpose=template.removesuffix(".md"),
                prompt_version=template_version(template),
                messages=tuple(messages),
                answer=text,
                error=error,
                call=call,
                started_at=started_at,
                trial=trial,
            )
        )


def to_llm_call(logged: LoggedCall) -> LlmCall:
    """Return a call in the form that the history stores."""
    return LlmCall(
        purpose=logged.purpose,
        prompt_version=logged.prompt_version,
        model=logged.call.model,
        messages=tuple((m.role, m.text) for m in logged.messages),
        answer=logged.answer,
        error=logged.error,
        input_tokens=logged.call.usage.input,
        output_tokens=logged.call.usage.output,
        cost_usd=logged.call.cost_usd,
        started_at=logged.started_at,
        trial=logged.trial,
        wall_s=logged.call.wall_s,
    )


def charged_calls(charge: Charge, now: float) -> list[LoggedCall]:
    """Return calls made elsewhere, such as in a chat, as logged calls; the first carries their tokens and dollars."""
    usage = TokenUse(input=charge.input_tokens, output=charge.output_tokens)
    whole = CallRecord(model=charge.model, requests=1, usage=usage, cost_usd=charge.cost_usd)
    nothing = CallRecord(model=charge.model, requests=1, usage=TokenUse(input=0, output=0), cost_usd=0.0)
    records = [whole, *[nothing] * (charge.calls - 1)]
    return [
        LoggedCall(
            purpose=charge.purpose, prompt_version="", messages=(), answer="", error="", call=record, started_at=now
        )
        for record in records
    ]
