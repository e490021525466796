"""One language model behind LangChain: requests an answer in a given form, in whichever way the server supports.

Knows no study. Every failure leaves this module as ModelDown or AnswerUnusable. Retries happen here and nowhere else.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from tunesmith.agent.llm.client.answer_methods import AnswerMethods
from tunesmith.agent.llm.client.connection import ConnectionRefused, connect
from tunesmith.agent.llm.client.failures.diagnosis import Diagnosis, diagnose, error_text, status_of, unusable_kind
from tunesmith.agent.llm.client.failures.errors import AnswerUnusable, Down, ModelDown, Unusable
from tunesmith.agent.llm.client.messages import (
    arguments_json,
    bind_format,
    cut_answer,
    reply_text,
    to_langchain_messages,
    token_use,
    tool_results,
)
from tunesmith.agent.llm.client.model_names import has_provider, split_model_name
from tunesmith.agent.llm.client.options import RequestOptions
from tunesmith.agent.llm.client.prices import OwnPrices, Price, find_price, read_own_prices
from tunesmith.agent.llm.client.replies.bounded_reply import bounded_reply
from tunesmith.agent.llm.client.replies.parsing import NoJsonObject, is_thinking, read_last_object, require_valid
from tunesmith.agent.llm.client.replies.tool_calls import Call, calls_in_text, uniform_calls
from tunesmith.agent.llm.client.types import (
    ANSWER_TOO_LONG,
    BYTES_PER_TOKEN,
    MAX_RESPONSE_BYTES,
    AnswerFormat,
    CallRecord,
    LookupTool,
    ModelAnswer,
    TokenUse,
    ToolUse,
)
from tunesmith.prompts.message import Message
from tunesmith.study.formatting import valid_text
from tunesmith.study.optional_packages import require

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import AIMessage, BaseMessage

T = TypeVar("T")


@dataclass
class _Usage:
    """Running totals of one question."""

    model: str
    method: str = ""
    requests: int = 0
    tokens: TokenUse = TokenUse()
    tools: list[ToolUse] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    started_at: float = field(default_factory=time.monotonic)


class LangChainModel:
    """One model of one provider, or behind one address. The client is made at the first question, which takes 1 s.

    Args:
        name: "provider:model" as LangChain writes it, such as openai:gpt-5-mini; with base_url, the server's own name.
        base_url: address of a server with the OpenAI protocol; None for the provider's own.
        options: what is sent with each request.
        attempts: requests per question and tool round, when the failures are transient.
        max_output_chars: longer answers are rejected.
        own_prices: the user's price list; None to read it from its file.
        sleep: waits between attempts; takes seconds.

    Raises:
        ProjectError: LangChain is not installed.
        SpecError: the user's price list is not valid.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None = None,
        options: RequestOptions | None = None,
        attempts: int = 4,
        max_output_chars: int = 200_000,
        own_prices: OwnPrices | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        for package in ("langchain", "genai_prices"):
            require(package, purpose=f"the model {name}", extra="llm")
        self._model = split_model_name(name, base_url=base_url)
        self._name = str(self._model) if base_url else name
        self._base_url = base_url
        self._options = options or RequestOptions()
        self._attempts = attempts
        self._max_output_chars = max_output_chars
        self._own_prices = read_own_prices() if own_prices is None else own_prices
        self._sleep = sleep
        self._client: BaseChatModel | None = None
        # Most servers of one's own work on one question at a time, and queue or interrupt the others.
        self._turn = threading.Lock() if base_url else nullcontext()
        self._methods = AnswerMethods()

    @property
    def base_url(self) -> str | None:
        """Address of the server; None for the provider's own."""
        return self._base_url

    @property
    def name(self) -> str:
        """provider:model."""
        return self._name

    @cached_property
    def _price(self) -> Price | None:
        return find_price(self._name, self._own_prices, base_url=self._base_url)

    def client(self) -> BaseChatModel:
        """Return LangChain's own model, for an agent that streams and calls tools; it raises its own exceptions.

        Raises:
            ModelDown: a package, a key or the provider is missing.
        """
        # LangChain joins the stream of an agent itself.
        return self._connect(replace(self._options, streams=False), _Usage(self._name))

    def cost_usd(self, tokens: TokenUse, *, requests: int = 1) -> float | None:
        """Return the dollars for these tokens; None when the price is unknown."""
        return self._price.cost_usd(tokens, requests=requests) if self._price else None

    def check(self) -> ModelDown | None:
        """Return why this model cannot be asked, as far as that shows without a request; None when it can."""
        try:
            self._open(_Usage(self._name))
        except ModelDown as down:
            return down
        return None

    def ask(
        self,
        messages: Sequence[Message],
        answer_format: AnswerFormat[T],
        *,
        tools: Sequence[LookupTool] = (),
        max_tool_calls: int = 6,
    ) -> ModelAnswer[T]:
        """Return the answer in the requested form; see `LanguageModel`."""
        try:
            with self._turn:
                return self._ask(messages, answer_format, tools, max_tool_calls)
        except (AnswerUnusable, ModelDown) as error:
            # Futures and logs keep the error; its frames would keep the whole answer.
            error.__context__ = None
            raise error.with_traceback(None) from None

    def _ask(
        self,
        messages: Sequence[Message],
        answer_format: AnswerFormat[T],
        tools: Sequence[LookupTool],
        max_tool_calls: int,
    ) -> ModelAnswer[T]:
        usage = _Usage(self._name)
        first: ModelDown | None = None
        speaks_openai = self._open(usage).__class__.__name__.endswith("ChatOpenAI")
        for method in self._methods.in_order(speaks_openai=speaks_openai, with_tools=bool(tools)):
            usage.method = method
            try:
                answer = self._converse(messages, answer_format, list(tools), max_tool_calls, usage)
            except AnswerUnusable as unusable:
                if not self._methods.count_broken(method, unusable.kind):
                    raise
            except _FormatRejected as rejected:
                self._methods.reject(method)
                first = first or rejected.down
            except ModelDown:
                raise
            except Exception as error:  # noqa: BLE001  # no answer, however malformed, may end a study
                self._fail(Unusable.WRONG_SHAPE, f"the answer cannot be read: {type(error).__name__}", "", usage)
            else:
                self._methods.count_good(method)
                return answer
        raise first or ModelDown(
            Down.BAD_REQUEST, Diagnosis(Down.BAD_REQUEST).reason(self._name), call=self._record(usage)
        )

    # -- one conversation ---------------------------------------------------------------------------------------

    def _converse(
        self,
        messages: Sequence[Message],
        answer_format: AnswerFormat[T],
        tools: list[LookupTool],
        max_tool_calls: int,
        usage: _Usage,
    ) -> ModelAnswer[T]:
        if usage.method != "function_calling":
            tools = []
        conversation = to_langchain_messages(messages, answer_format, usage.method)
        must_answer = False
        while True:
            reply = self._request(conversation, answer_format, tools, usage, forced=must_answer)
            text = reply_text(reply)
            if len(text) > self._max_output_chars:
                self._fail(Unusable.TOO_LONG, f"the answer has {len(text):,} characters", text, usage)
            calls = _calls(reply, text, [answer_format.name, *(tool.name for tool in tools)])
            longest = max((len(arguments_json(call)) for call in calls), default=0)
            if longest > self._max_output_chars:
                self._fail(Unusable.TOO_LONG, f"the answer has {longest:,} characters", text, usage)
            answer = next((call for call in calls if call["name"] == answer_format.name), None)
            if answer is not None:
                return self._read(arguments_json(answer), answer_format, usage, is_cut=_is_cut(reply))
            if not calls:
                self._check_stop_reason(reply, text, usage)
                return self._read(text, answer_format, usage, is_cut=False)
            if must_answer:
                self._fail(Unusable.ENDLESS_TOOLS, "the model kept calling tools", text, usage)
            must_answer = len(usage.tools) + len(calls) > max_tool_calls
            conversation = [*conversation, *tool_results(reply, calls, tools, usage.tools, refuse=must_answer)]

    def _check_stop_reason(self, reply: AIMessage, text: str, usage: _Usage) -> None:
        if reply.additional_kwargs.get("refusal"):
            self._fail(Unusable.REFUSAL, _REASONS[Unusable.REFUSAL], str(reply.additional_kwargs["refusal"]), usage)
        if _stop_reason(reply) == "content_filter":
            self._fail(Unusable.CONTENT_FILTER, _REASONS[Unusable.CONTENT_FILTER], text, usage)
        if _is_cut(reply):
            self._let_think(text, token_use(reply))
            self._fail(Unusable.TRUNCATED, _REASONS[Unusable.TRUNCATED], text, usage)
        if not text.strip():
            self._fail(Unusable.EMPTY, "the answer is empty", text, usage)

    def _fail_cut(self, error: BaseException, usage: _Usage) -> NoReturn:
        """Fail with the text and the tokens of an answer that the client itself found cut off."""
        text, tokens = cut_answer(error)
        usage.tokens = usage.tokens.plus(tokens)
        self._let_think(text, tokens)
        self._fail(Unusable.TRUNCATED, _REASONS[Unusable.TRUNCATED], text, usage)

    def _let_think(self, text: str, tokens: TokenUse) -> None:
        """Ask without our limit from now on where it cut off a model that was still thinking."""
        if self._options.default_tokens is not None and (is_thinking(text) or tokens.reasoning):
            self._options, self._client = replace(self._options, default_tokens=None), None

    def _read(self, text: str, answer_format: AnswerFormat[T], usage: _Usage, *, is_cut: bool) -> ModelAnswer[T]:
        def read(value: dict[str, Any]) -> T:
            require_valid(value)
            return answer_format.read(value)

        try:
            return ModelAnswer(read_last_object(text, read), valid_text(text), self._record(usage))
        except NoJsonObject as error:
            if is_cut:
                self._fail(Unusable.TRUNCATED, _REASONS[Unusable.TRUNCATED], text, usage)
            self._fail(Unusable.NOT_JSON, str(error), text, usage)
        except ValueError as error:
            self._fail(Unusable.WRONG_SHAPE, str(error)[:1000], text, usage)
        except OverflowError:
            self._fail(Unusable.WRONG_SHAPE, "a number in the answer is too large", text, usage)

    def _fail(self, kind: Unusable, reason: str, text: str, usage: _Usage) -> NoReturn:
        raise AnswerUnusable(kind, reason, text, self._record(usage))

    # -- one request --------------------------------------------------------------------------------------------

    def _request(
        self,
        conversation: list[BaseMessage],
        answer_format: AnswerFormat[Any],
        tools: list[LookupTool],
        usage: _Usage,
        *,
        forced: bool,
    ) -> AIMessage:
        from tunesmith.agent.llm.client.failures.retrying import with_retries  # tenacity

        def request_once() -> AIMessage:
            client = bind_format(self._open(usage), answer_format, tools, usage.method, forced=forced)
            usage.requests += 1
            if self._model.provider != "openai":
                return bounded_reply(client, conversation)
            reply: AIMessage = client.invoke(conversation)  # its HTTP client counts what arrives
            return reply

        while True:
            try:
                reply = with_retries(request_once, attempts=self._attempts, sleep=self._sleep)
            except ModelDown:
                raise
            except BaseException as error:  # noqa: BLE001  # each provider raises its own classes, some of them not Exceptions
                if _is_from_outside(error):
                    raise
                note = self.adapt(error)
                if note is None:
                    self._raise_for(error, usage)
                usage.notes += [note] if note else []
            else:
                usage.tokens = usage.tokens.plus(token_use(reply))
                return reply

    def _raise_for(self, error: BaseException, usage: _Usage) -> NoReturn:
        kind = unusable_kind(error)
        if kind is Unusable.TOO_LONG:
            # What arrived is paid for, although the count of its tokens did not arrive.
            usage.tokens = usage.tokens.plus(TokenUse(output=MAX_RESPONSE_BYTES // BYTES_PER_TOKEN))
        if kind is Unusable.TRUNCATED:
            self._fail_cut(error, usage)
        if kind is not None:
            self._fail(kind, _REASONS[kind], "", usage)
        diagnosis = diagnose(error)
        reason, call = diagnosis.reason(self._name), self._record(usage)
        if diagnosis.kind is Down.NOT_FOUND and self._base_url and has_provider(self._model.model):
            prefix = self._model.model.partition(":")[0]
            reason += f"; with base_url the whole name goes to the server, so leave out {prefix}:"
        down = ModelDown(
            diagnosis.kind,
            reason,
            retry_after_s=diagnosis.retry_after_s,
            call=call,
            context_tokens=diagnosis.context_tokens,
        )
        # A 400 without details may be about the form; the next method shows whether it was.
        if usage.method != "plain" and (diagnosis.rejects_format or diagnosis.kind is Down.BAD_REQUEST):
            raise _FormatRejected(down) from None
        raise down from None

    def _open(self, usage: _Usage) -> BaseChatModel:
        if self._client is None:
            self._client = self._connect(self._options, usage)
        return self._client

    def _connect(self, options: RequestOptions, usage: _Usage) -> BaseChatModel:
        try:
            return connect(self._model, self._base_url, options)
        except ConnectionRefused as refused:
            raise ModelDown(refused.kind, refused.reason, call=self._record(usage)) from None

    def adapt(self, error: BaseException) -> str | None:
        """Leave out the option that a server's error refuses, or make it fit the model's context, from now on.

        Returns:
            A note for people, "" when it is not about what they set, None when the error refuses no option.
        """
        if status_of(error) not in (400, 422):
            return None
        text = error_text(error)
        diagnosis = diagnose(error)
        if diagnosis.kind is Down.CONTEXT_OVERFLOW and self._base_url:
            fitted = self._options.fitted_to(diagnosis.context_tokens)
            if fitted != self._options:
                self._options, self._client = fitted, None
                return ""
        refused = self._options.refused_by(text)
        if not refused:
            return None
        self._client = None
        is_renamed = refused == "max_tokens" and "max_completion_tokens" in text
        if is_renamed and self._base_url and not self._options.new_limit_name:
            self._options = replace(self._options, new_limit_name=True)
            return ""
        is_noted = self._options.is_from_person(refused)
        self._options = self._options.without(refused)
        if not is_noted:
            return ""
        return f"the model {self._name} does not accept {refused} as set; it is asked without it from now on"

    def _record(self, usage: _Usage) -> CallRecord:
        return CallRecord(
            model=usage.model,
            method=usage.method,
            requests=usage.requests,
            usage=usage.tokens,
            cost_usd=self.cost_usd(usage.tokens, requests=usage.requests) if usage.requests else None,
            wall_s=time.monotonic() - usage.started_at,
            tools=tuple(usage.tools),
            notes=tuple(usage.notes),
        )


def _is_from_outside(error: BaseException) -> bool:
    """Return whether an exception did not come from the client: Ctrl-C, or the end of a generator."""
    is_interrupt = isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()
    return is_interrupt or isinstance(error, GeneratorExit)


class _FormatRejected(Exception):
    """The server does not support this method of requesting a form."""

    def __init__(self, down: ModelDown) -> None:
        self.down = down
        super().__init__(down.reason)


def _stop_reason(reply: AIMessage) -> str:
    return str(reply.response_metadata.get("finish_reason") or reply.response_metadata.get("stop_reason") or "")


def _is_cut(reply: AIMessage) -> bool:
    """Return whether the server ended the reply at a limit."""
    return _stop_reason(reply) in ("length", "max_tokens")


def _calls(reply: AIMessage, text: str, names: Sequence[str]) -> list[Call]:
    """Return the tool calls of a reply, in whichever shape they came."""
    return uniform_calls([*reply.tool_calls, *reply.invalid_tool_calls], names) or calls_in_text(text, names)


_REASONS = {
    Unusable.TRUNCATED: "the answer was cut off at the server's limit",
    Unusable.CONTENT_FILTER: "a content filter stopped the answer",
    Unusable.REFUSAL: "the model refused to answer",
    Unusable.EMPTY: "the answer contains no choice",
    Unusable.TOO_LONG: ANSWER_TOO_LONG,
}
