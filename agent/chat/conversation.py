"""One conversation about a study: a LangGraph agent with tools, stored in a file, with approvals.

Knows no terminal; it yields `ChatEvent`s. Messages and open approvals survive the process. When the model is down, the
turn ends with a notice and the conversation continues.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from tunesmith.agent.chat.costs import NO_ACCOUNT, Account, CostFile, add_usage, charged
from tunesmith.agent.chat.decisions import approve_all, to_langchain
from tunesmith.agent.chat.events import (
    Approval,
    AutoApproved,
    ChatEvent,
    Decision,
    Notice,
    ProposedAction,
    TextChunk,
    ToolFinished,
    ToolStarted,
)
from tunesmith.agent.chat.reply_meter import ReplyMeter, is_of_reply
from tunesmith.agent.llm.client.client import LangChainModel
from tunesmith.agent.llm.client.failures.diagnosis import diagnose, unusable_kind
from tunesmith.agent.llm.client.failures.errors import TRANSIENT, Unusable
from tunesmith.agent.llm.client.types import ANSWER_TOO_LONG
from tunesmith.history.redact import redact
from tunesmith.prompts.render import render_text
from tunesmith.study.errors import ProjectError, ToolRefused
from tunesmith.study.formatting import valid_text
from tunesmith.study.optional_packages import require
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.tool import AnyTool, Effect, find_tool

SUMMARY_TOKENS = 24_000
"""Length of the conversation above which older messages are replaced by a summary, in tokens."""

KEPT_TOKENS = 8_000
"""Length of the latest messages that are kept next to a summary, in tokens."""

MAX_CALLS = 30
"""Model calls per turn, so that a model in a loop is stopped."""

ATTEMPTS = 3
PAUSE_S = 1.0
_MAX_PAUSE_S = 30.0
_MAX_GRAPH_STEPS = 200
_DECISIONS = ["approve", "edit", "reject"]


def load_packages() -> None:
    """Import what conversations need from LangChain, which takes seconds the first time.

    Raises:
        ProjectError: the extra "chat" is not installed.
    """
    require("langgraph.checkpoint.sqlite", purpose="tunesmith chat", extra="chat")
    import langgraph.checkpoint.sqlite.aio  # noqa: F401

    import tunesmith.agent.chat.middleware  # noqa: F401


class Conversation:
    """One conversation. Use it as an async context manager, one turn at a time.

    Args:
        model: the model that answers.
        tools: what it may call; tools that do more than read need approval.
        context: returns what the tools work on, at each call.
        store: the SQLite file of the messages; created when missing.
        thread: name of the conversation in that file.
        fallbacks: models that answer in this order when the one before is down.
        account: where the cost of each turn is charged, and what limits it.

    Attributes:
        allowance: number of trials that are approved without asking.
        cost: cost of this conversation so far, earlier sessions included.

    Raises:
        ModelDown: the model cannot be opened: a key or a package is missing.
        ProjectError: the file cannot be opened, or the extra "chat" is not installed.
    """

    def __init__(
        self,
        model: LangChainModel,
        tools: Sequence[AnyTool],
        context: Callable[[], ToolContext],
        *,
        store: Path,
        thread: str,
        fallbacks: Sequence[LangChainModel] = (),
        account: Account = NO_ACCOUNT,
    ) -> None:
        self._model = model
        self._fallbacks = list(fallbacks)
        self._account = account
        self._tools = tools
        self._context = context
        self._store = store
        self._thread = thread
        self._stack = AsyncExitStack()
        self._saver: Any = None
        self._asked: tuple[str, Approval] | None = None
        self._agent: Any = None
        self._costs = CostFile(store.with_suffix(".costs.json"))
        self.allowance = 0
        self.cost = self._costs.read(thread)

    @property
    def model(self) -> str:
        """Name of the model."""
        return self._model.name

    async def __aenter__(self) -> Conversation:
        require("langgraph.checkpoint.sqlite", purpose="tunesmith chat", extra="chat")
        from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

        from tunesmith.agent.chat.stored_messages import RedactingSerializer

        self._model.client()  # a missing key is named before a file is made
        try:
            self._store.parent.mkdir(parents=True, exist_ok=True)
            self._saver = await self._stack.enter_async_context(AsyncSqliteSaver.from_conn_string(str(self._store)))
            self._saver.serde = RedactingSerializer()
            await self._saver.setup()
        except Exception as error:  # noqa: BLE001  # sqlite3's errors, which this package must not import
            await self._stack.aclose()
            raise ProjectError(
                f"the conversation cannot be stored in {self._store}: {error}; remove that file or name another folder"
            ) from None
        self._agent = self._make_agent()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def send(self, text: str, *, news: str = "") -> AsyncIterator[ChatEvent]:
        """Answer a message. To stop the answer, cancel the task that iterates.

        The last event may be an Approval; `decide` then continues the answer.

        Args:
            text: the message.
            news: what happened to the study since the last message.
        """
        await self._close_open_calls()
        content = valid_text(redact(f"{text}\n\n(News of the study: {news})" if news else text))
        async for event in self._run({"messages": [{"role": "user", "content": content}]}):
            yield event

    async def forget(self) -> None:
        """Remove every message, also those of earlier sessions; the cost so far stays."""
        await self._saver.adelete_thread(self._thread)
        self._asked, self.allowance = None, 0

    async def pending(self) -> Approval | None:
        """Return the approval that waits for a person, also one of an earlier session; None without one."""
        state = await self._agent.aget_state(self._config)
        if not state.interrupts:
            return None
        interrupt = state.interrupts[0]
        # What a person was shown is what runs: the study may change while they think.
        if self._asked is None or self._asked[0] != interrupt.id:
            self._asked = (interrupt.id, self._approval(interrupt.value))
        return self._asked[1]

    async def decide(self, decisions: Sequence[Decision]) -> AsyncIterator[ChatEvent]:
        """Continue after an Approval, with one decision for each of its actions."""
        from langgraph.types import Command

        approval = await self.pending()
        if approval is None or len(approval.actions) != len(decisions):
            return
        resume = [to_langchain(d, action) for d, action in zip(decisions, approval.actions, strict=True)]
        async for event in self._run(Command(resume={"decisions": resume})):
            yield event

    # -- one turn -----------------------------------------------------------------------------------------------

    @property
    def _config(self) -> dict[str, Any]:
        return {"configurable": {"thread_id": self._thread}, "recursion_limit": _MAX_GRAPH_STEPS}

    async def _run(self, graph_input: Any) -> AsyncIterator[ChatEvent]:
        """Run until the answer ends, an approval is needed, or the model stays down."""
        attempt = 1
        while True:
            has_text = False
            try:
                async for event in self._events(graph_input):
                    has_text = has_text or isinstance(event, TextChunk)
                    yield event
            except Exception as error:  # noqa: BLE001  # each provider raises its own classes
                diagnosis = diagnose(error)
                is_too_long = unusable_kind(error) is Unusable.TOO_LONG
                reason = ANSWER_TOO_LONG if is_too_long else diagnosis.reason(self.model)
                note = self._model.adapt(error)
                if note is not None:
                    if note:
                        yield Notice(note)
                    self._agent, graph_input = self._make_agent(), None
                    continue
                if diagnosis.kind not in TRANSIENT or diagnosis.may_be_billed or attempt == ATTEMPTS:
                    if self._next_model():
                        yield Notice(f"{reason}; {self.model} answers instead")
                        attempt, graph_input = 1, None
                        continue
                    yield Notice(f"{reason}; nothing is lost, ask again")
                    return
                yield Notice(f"{reason}; asking again{' from the start of the answer' if has_text else ''}")
                await asyncio.sleep(min(diagnosis.retry_after_s or PAUSE_S * attempt, _MAX_PAUSE_S))
                # The messages are stored already: with no input the agent resumes where it failed.
                attempt, graph_input = attempt + 1, None
                continue
            approval = await self.pending()
            if approval is None:
                return
            if not self._is_within_allowance(approval):
                yield approval
                return
            yield self._approve(approval)
            graph_input = approve_all(approval)

    def _next_model(self) -> bool:
        """Let the next model of the fallbacks answer from now on; return whether one could be opened."""
        while self._fallbacks:
            self._model = self._fallbacks.pop(0)
            if self._model.check() is None:
                self._agent = self._make_agent()
                return True
        return False

    def _is_within_allowance(self, approval: Approval) -> bool:
        """Tell whether the allowance covers all actions; edits, and actions without trials, always need a person."""
        trials = [action.trials for action in approval.actions]
        return 0 < sum(trials) <= self.allowance and all(trials)

    def _approve(self, approval: Approval) -> AutoApproved:
        self.allowance -= sum(action.trials for action in approval.actions)
        return AutoApproved(approval.actions, self.allowance)

    async def _events(self, graph_input: Any) -> AsyncIterator[ChatEvent]:
        """Run the agent once and add the cost, also when it fails or is cancelled."""
        if reason := self._account.limit():
            yield Notice(reason)
            return
        from langchain_core.callbacks import UsageMetadataCallbackHandler

        usage, meter = UsageMetadataCallbackHandler(), ReplyMeter()
        config = {**self._config, "callbacks": [usage]}
        modes = ["messages", "custom", "updates"]
        try:
            async for mode, chunk in self._agent.astream(graph_input, config, stream_mode=modes):
                meter.count(mode, chunk)
                if event := _to_event(mode, chunk):
                    yield event
        except Exception as error:
            meter.count_failure(error)
            raise
        finally:
            used = {**usage.usage_metadata, **meter.unread}
            before, self.cost = self.cost, add_usage(self.cost, self._model, used, meter.calls)
            self._costs.write(self._thread, self.cost)
            if meter.calls:
                self._account.charge(charged(before, self.cost, self.model))

    async def _close_open_calls(self) -> None:
        """Answer the tool calls of a stopped answer; providers reject a conversation with unanswered calls."""
        from langchain_core.messages import AIMessage, ToolMessage

        state = await self._agent.aget_state(self._config)
        messages = state.values.get("messages", [])
        answered = {m.tool_call_id for m in messages if isinstance(m, ToolMessage)}
        calls = [c for m in messages if isinstance(m, AIMessage) for c in m.tool_calls if c["id"] not in answered]
        if not calls:
            return
        text = "the person stopped the answer here; whether this was done is unknown, so look before you call it again"
        results = [ToolMessage(content=text, tool_call_id=str(c["id"]), name=c["name"], status="error") for c in calls]
        await self._agent.aupdate_state(self._config, {"messages": results}, as_node="tools")

    # -- approvals ----------------------------------------------------------------------------------------------

    def _approval(self, interrupt: Any) -> Approval:
        return Approval(tuple(self._action(str(a["name"]), a["args"]) for a in interrupt["action_requests"]))

    def _action(self, name: str, arguments: Mapping[str, Any]) -> ProposedAction:
        """Return a call as it would run if it were approved now, with a preview of what it would do."""
        try:
            tool, context = find_tool(self._tools, name), self._context()
            frozen = tool.frozen(context, arguments)
            trials = tool.trial_cost(tool.parse(frozen)) if tool.effect < Effect.EDIT else 0
            return ProposedAction(name, frozen, tool.preview_text(context, frozen), trials, requested=arguments)
        except ToolRefused as error:
            return ProposedAction(name, arguments, f"this will be refused: {error}")

    # -- the agent ----------------------------------------------------------------------------------------------

    def _make_agent(self) -> Any:
        from langchain.agents import create_agent  # 0.8 s
        from langchain.agents.middleware import HumanInTheLoopMiddleware, ModelCallLimitMiddleware

        from tunesmith.agent.chat.middleware import ToolMiddleware, to_langchain_tool
        from tunesmith.agent.chat.summary import SummaryMiddleware

        client: Any = self._model.client()
        if hasattr(client, "stream_usage"):
            # With a base_url, LangChain does not request the usage of a stream by default.
            client.stream_usage = True
        needs_approval = [tool for tool in self._tools if tool.effect > Effect.READ]
        interrupts: dict[str, Any] = {tool.name: {"allowed_decisions": _DECISIONS} for tool in needs_approval}
        middleware: list[Any] = [
            SummaryMiddleware(client, above=SUMMARY_TOKENS, kept=KEPT_TOKENS),
            ModelCallLimitMiddleware(run_limit=MAX_CALLS, exit_behavior="end"),
            HumanInTheLoopMiddleware(interrupt_on=interrupts),
            # The last middleware sees the model's reply first: calls that cannot work are never shown for approval.
            ToolMiddleware(self._tools, self._context),
        ]
        return create_agent(
            client,
            [to_langchain_tool(tool, self._context) for tool in self._tools],
            system_prompt=render_text("chat.md", model=self.model, base_url=self._model.base_url),
            middleware=middleware,
            checkpointer=self._saver,
        )


def _to_event(mode: str, chunk: Any) -> ChatEvent | None:
    """Return what a piece of LangGraph's stream means for the person; None for nothing."""
    if mode == "custom" and isinstance(chunk, ToolStarted | ToolFinished):
        return chunk
    text = _chunk_text(chunk[0]) if is_of_reply(mode, chunk) else ""
    return TextChunk(text) if text else None


def _chunk_text(chunk: Any) -> str:
    text = chunk.text
    return text if isinstance(text, str) else str(text())  # a method until langchain-core 1.0
