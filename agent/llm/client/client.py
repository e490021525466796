"""One language model behind LangChain: asks for a form in whichever way the server knows, with one layer of retries.

Knows no study. Whatever goes wrong ends as ModelDown or AnswerUnusable; nothing else leaves this module.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from tunesmith.agent.llm.client.diagnosis import Diagnosis, diagnose
from tunesmith.agent.llm.client.errors import TRANSIENT, AnswerUnusable, Down, ModelDown, Unusable
from tunesmith.agent.llm.client.messages import (
    arguments_json,
    bind_format,
    reply_text,
    to_langchain_messages,
    token_use,
    tool_results,
)
from tunesmith.agent.llm.client.parsing import NoJsonObject, find_json_object
from tunesmith.agent.llm.client.prices import Prices, price_of, read_prices
from tunesmith.agent.llm.client.types import AnswerFormat, CallRecord, LookupTool, ModelAnswer, TokenUse, ToolUse
from tunesmith.prompts.message import Message

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import AIMessage, BaseMessage

T = TypeVar("T")

_MISSES = 2
LONGEST_WAIT_S = 60.0
"""A server that asks for a longer pause is not waited for: training goes on without it."""


@dataclass
class _Spending:
    """What one question costs while it goes on."""

    model: str
    method: str = ""
    requests: int = 0
    usage: TokenUse = TokenUse()
    tools: list[ToolUse] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)


class LangChainModel:
    """One model of one provider, or behind one address. Its client is made at the first question: that takes a second.

    Args:
        name: "provider:model" as LangChain knows it, such as openai:gpt-5-mini, or a bare name together with base_url.
        base_url: the address of a server that speaks the OpenAI protocol; None for the provider's own.
        timeout_s: how long one request may take.
        attempts: requests at most per question and round, when failures are such that another try may help.
        max_output_chars: longer answers are refused.
        prices: what tokens cost; None for the bundled list with the user's over it.
        sleep: waits between attempts; takes seconds.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None = None,
        timeout_s: float = 60.0,
        attempts: int = 4,
        max_output_chars: int = 200_000,
        prices: Prices | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._name = name if ":" in name or not base_url else f"openai:{name}"
        self._base_url = base_url
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._max_output_chars = max_output_chars
        self._price = price_of(self._name, read_prices() if prices is None else prices, own_server=base_url is not None)
        self._sleep = sleep
        self._client: BaseChatModel | None = None
        self._refused: set[str] = set()
        self._misses: dict[str, int] = {}

    @property
    def name(self) -> str:
        """provider:model."""
        return self._name

    def client(self) -> BaseChatModel:
        """Return LangChain's own model, for an agent that streams and calls tools; its errors are its own.

        Raises:
            ModelDown: a package, a key or the provider is missing.
        """
        return self._opened(_Spending(self._name))

    def cost_usd(self, usage: TokenUse) -> float | None:
        """Return what so many tokens cost; None where the price is unknown."""
        return self._price.of(usage) if self._price else None

    def ready(self) -> ModelDown | None:
        """Return why this model could not be asked, as far as that is known without a request; None when it could."""
        try:
            self._opened(_Spending(self._name))
        except ModelDown as down:
            return down
        return None

    def ask(
        self,
        messages: Sequence[Message],
        form: AnswerFormat[T],
        *,
        tools: Sequence[LookupTool] = (),
        max_tool_calls: int = 6,
    ) -> ModelAnswer[T]:
        """Return the answer in the form asked for; see `AsksModels`."""
        spending = _Spending(self._name)
        first: ModelDown | None = None
        for method in self._methods(spending, with_tools=bool(tools)):
            spending.method = method
            try:
                answer = self._converse(messages, form, list(tools), max_tool_calls, spending)
            except AnswerUnusable as unusable:
                self._count_miss(method, unusable)
                raise
            except _FormRefused as refused:
                self._refused.add(method)
                first = first or refused.down
            else:
                self._misses.pop(method, None)
                return answer
        raise first or ModelDown(
            Down.BAD_REQUEST, Diagnosis(Down.BAD_REQUEST).reason(self._name), call=self._record(spending)
        )

    def _count_miss(self, method: str, unusable: AnswerUnusable) -> None:
        """Leave a way of asking after two answers in a row without any JSON: the server took the form and forgot it."""
        if unusable.kind in (Unusable.NOT_JSON, Unusable.EMPTY) and method != "plain":
            self._misses[method] = self._misses.get(method, 0) + 1
            if self._misses[method] >= _MISSES:
                self._refused.add(method)

    def _methods(self, spending: _Spending, *, with_tools: bool) -> Iterator[str]:
        """Yield the ways to ask for a form that the server has not refused; plain text is always one.

        Tools that are to be called first go together with an answer that is a call, too.
        """
        native = self._opened(spending).__class__.__name__.endswith("ChatOpenAI")
        order = ("function_calling", "json_schema") if with_tools else ("json_schema", "function_calling")
        for method in order:
            if method not in self._refused and (native or method != "json_schema"):
                yield method
        # llama-cpp-python knows no json_schema, but holds a model to the schema that stands beside json_object.
        if native and "json_object" not in self._refused:
            yield "json_object"
        yield "plain"

    # -- one conversation ---------------------------------------------------------------------------------------

    def _converse(
        self,
        messages: Sequence[Message],
        form: AnswerFormat[T],
        tools: list[LookupTool],
        allowed: int,
        spending: _Spending,
    ) -> ModelAnswer[T]:
        if spending.method != "function_calling":
            tools = []
        talk = to_langchain_messages(messages, form, spending.method)
        last_word = False
        while True:
            reply = self._request(talk, form, tools, spending, forced=last_word)
            text = reply_text(reply)
            if len(text) > self._max_output_chars:
                self._unusable(Unusable.TOO_LONG, f"the answer has {len(text):,} characters", text, spending)
            calls = [*reply.tool_calls, *reply.invalid_tool_calls]
            answer = next((call for call in calls if call["name"] == form.name), None)
            if answer is not None:
                return self._read(arguments_json(answer), form, spending)
            if not calls:
                self._check_stop(reply, text, spending)
                return self._read(text, form, spending)
            if last_word:
                self._unusable(Unusable.ENDLESS_TOOLS, "it went on calling tools", text, spending)
            last_word = len(spending.tools) + len(calls) > allowed
            talk = [*talk, *tool_results(reply, calls, tools, spending.tools, refuse=last_word)]

    def _check_stop(self, reply: AIMessage, text: str, spending: _Spending) -> None:
        stop = str(reply.response_metadata.get("finish_reason") or reply.response_metadata.get("stop_reason") or "")
        if reply.additional_kwargs.get("refusal"):
            self._unusable(Unusable.REFUSAL, "the model refused", str(reply.additional_kwargs["refusal"]), spending)
        if stop == "content_filter":
            self._unusable(Unusable.CONTENT_FILTER, "a content filter stopped the answer", text, spending)
        if stop in ("length", "max_tokens"):
            self._unusable(Unusable.TRUNCATED, "the answer was cut off at the server's limit", text, spending)
        if not text.strip():
            self._unusable(Unusable.EMPTY, "the answer is empty", text, spending)

    def _read(self, text: str, form: AnswerFormat[T], spending: _Spending) -> ModelAnswer[T]:
        try:
            found = find_json_object(text)
        except NoJsonObject as error:
            self._unusable(Unusable.NOT_JSON, str(error), text, spending)
        try:
            return ModelAnswer(form.read(found), text, self._record(spending))
        except ValueError as error:
            self._unusable(Unusable.WRONG_SHAPE, str(error)[:1000], text, spending)

    def _unusable(self, kind: Unusable, reason: str, text: str, spending: _Spending) -> NoReturn:
        raise AnswerUnusable(kind, reason, text, self._record(spending))

    # -- one request --------------------------------------------------------------------------------------------

    def _request(
        self,
        talk: list[BaseMessage],
        form: AnswerFormat[Any],
        tools: list[LookupTool],
        spending: _Spending,
        *,
        forced: bool,
    ) -> AIMessage:
        asked = bind_format(self._opened(spending), form, tools, spending.method, forced=forced)

        def once() -> AIMessage:
            spending.requests += 1
            reply: AIMessage = asked.invoke(talk)
            return reply

        retrying = Retrying(
            retry=retry_if_exception(_may_help),
            stop=stop_after_attempt(self._attempts),
            wait=_pause,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            reply = retrying(once)
        except Exception as error:  # noqa: BLE001  # every provider raises classes of its own
            self._give_up(error, spending)
        spending.usage = spending.usage.plus(token_use(reply))
        return reply

    def _give_up(self, error: BaseException, spending: _Spending) -> NoReturn:
        kind = _answer_after_all(error)
        if kind is not None:
            self._unusable(kind, _UNUSABLE_WORDS[kind], "", spending)
        found = diagnose(error)
        call = self._record(spending)
        down = ModelDown(found.kind, found.reason(self._name), retry_after_s=found.retry_after_s, call=call)
        # A bare 400 says nothing; the next way of asking tells whether it was the form.
        if spending.method != "plain" and (found.about_form or found.kind is Down.BAD_REQUEST):
            raise _FormRefused(down) from None
        raise down from None

    def _opened(self, spending: _Spending) -> BaseChatModel:
        if self._client is None:
            try:
                self._client = self._connected()
            except Exception as error:  # noqa: BLE001  # a missing package, key or provider, each with its own class
                found = diagnose(error)
                kind, reason = Down.AUTH, _no_key(self._name)
                if found.kind is Down.MISSING_PACKAGE:
                    kind, reason = found.kind, found.reason(self._name)
                elif isinstance(error, ValueError) and "provider" in str(error).lower():
                    kind, reason = Down.NOT_FOUND, _no_provider(self._name)
                raise ModelDown(kind, reason, call=self._record(spending)) from None
        return self._client

    def _connected(self) -> BaseChatModel:
        from langchain.chat_models import init_chat_model  # 1 s

        provider, _, model = self._name.rpartition(":")
        options: dict[str, Any] = {"max_retries": 0, "timeout": self._timeout_s}
        if provider:
            options["model_provider"] = provider
        if self._base_url:
            # A server of one's own mostly wants no key, but the client insists on one.
            options |= {"base_url": self._base_url, "api_key": os.environ.get("OPENAI_API_KEY") or "none"}
        opened: BaseChatModel = init_chat_model(model, **options)
        return opened

    def _record(self, spending: _Spending) -> CallRecord:
        return CallRecord(
            model=spending.model,
            method=spending.method,
            requests=spending.requests,
            usage=spending.usage,
            cost_usd=self._price.of(spending.usage) if self._price and spending.requests else None,
            wall_s=time.monotonic() - spending.began,
            tools=tuple(spending.tools),
        )


class _FormRefused(Exception):
    """The server does not know this way to ask for a form."""

    def __init__(self, down: ModelDown) -> None:
        self.down = down
        super().__init__(down.reason)


_UNUSABLE_WORDS = {
    Unusable.TRUNCATED: "the answer was cut off at the server's limit",
    Unusable.CONTENT_FILTER: "a content filter stopped the answer",
    Unusable.REFUSAL: "the model refused",
    Unusable.EMPTY: "the answer holds no choice",
}


def _answer_after_all(error: BaseException) -> Unusable | None:
    """Return what an exception means that a client raises about an answer which it got."""
    name = type(error).__name__
    if "LengthFinishReason" in name:
        return Unusable.TRUNCATED
    if "ContentFilter" in name:
        return Unusable.CONTENT_FILTER
    if "Refusal" in name:
        return Unusable.REFUSAL
    return Unusable.EMPTY if isinstance(error, IndexError) else None


def _may_help(error: BaseException) -> bool:
    found = diagnose(error)
    patient = found.retry_after_s is None or found.retry_after_s <= LONGEST_WAIT_S
    return _answer_after_all(error) is None and found.kind in TRANSIENT and not found.about_form and patient


_backoff = wait_random_exponential(multiplier=1.0, max=30.0)


def _pause(state: RetryCallState) -> float:
    """Return the seconds to wait: what the server asks for, else longer each time and by chance."""
    error = state.outcome.exception() if state.outcome else None
    asked = diagnose(error).retry_after_s if error else None
    return _backoff(state) if asked is None else asked


def _no_key(name: str) -> str:
    provider = name.partition(":")[0].upper().replace("-", "_") if ":" in name else ""
    key = f"{provider}_API_KEY" if provider else "the provider's key"
    return (
        f"the model {name} cannot be reached: set {key} in the environment, or give base_url for a server of your own"
    )


def _no_provider(name: str) -> str:
    provider = name.partition(":")[0] if ":" in name else ""
    what = f"LangChain knows no provider {provider!r}" if provider else f"the provider of {name!r} is not clear"
    return f"{what}; write provider:model, such as openai:gpt-5-mini, or give base_url for a server of your own"
