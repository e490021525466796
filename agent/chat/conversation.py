"""One conversation about a study: an agent with tools over LangGraph, kept in a file, that asks before it spends.

Knows no terminal: whoever shows it gets `ChatEvent`s. What was said survives the process, also in the middle of an
approval. A model that is down ends the turn with one line, never the chat.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from tunesmith.agent.chat.events import (
    Approval,
    AutoApproved,
    ChatCost,
    ChatEvent,
    Decision,
    Notice,
    ProposedAction,
    TextChunk,
    ToolFinished,
    ToolStarted,
)
from tunesmith.agent.llm.client.client import LangChainModel
from tunesmith.agent.llm.client.diagnosis import diagnose
from tunesmith.agent.llm.client.errors import TRANSIENT
from tunesmith.agent.llm.client.types import TokenUse
from tunesmith.prompts.render import render_text
from tunesmith.study.errors import ProjectError, ToolRefused
from tunesmith.study.files import write_atomic
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.tool import AnyTool, Effect, find_tool

SUMMARY_TOKENS = 24_000
"""From so many tokens on, all but the latest messages give way to a summary."""

KEPT_TOKENS = 8_000
MOST_CALLS = 30
"""LangChainModel calls in one turn; a model that goes round in circles is stopped."""

ATTEMPTS = 3
PAUSE_S = 1.0
_DECISIONS = ["approve", "edit", "reject"]


class Conversation:
    """One conversation. Use as an async context manager; one turn at a time.

    Args:
        model: answers.
        tools: what it may call; those that do more than read wait for a person.
        context: what tools work on at the moment of a call.
        store: the file that keeps what was said; made when missing.
        thread: which conversation of that file.

    Raises:
        ModelDown: the model cannot be opened: a key or a package is missing.
        ProjectError: the file cannot be opened.
    """

    def __init__(
        self,
        model: LangChainModel,
        tools: Sequence[AnyTool],
        context: Callable[[], ToolContext],
        *,
        store: Path,
        thread: str,
    ) -> None:
        self._model = model
        self._tools = tools
        self._context = context
        self._store = store
        self._thread = thread
        self._stack = AsyncExitStack()
        self._agent: Any = None
        self._bills = store.with_suffix(".costs.json")
        self.allowance = 0
        self.bill = self._read_bill()

    @property
    def model(self) -> str:
        """The model's name."""
        return self._model.name

    async def __aenter__(self) -> Conversation:
        from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

        client = self._model.client()
        if hasattr(client, "stream_usage"):
            # Behind an address of one's own the client does not ask for the usage of a stream by itself.
            client.stream_usage = True
        try:
            self._store.parent.mkdir(parents=True, exist_ok=True)
            saver = await self._stack.enter_async_context(AsyncSqliteSaver.from_conn_string(str(self._store)))
            await saver.setup()
        except Exception as error:  # noqa: BLE001  # sqlite3 is no import of this room; its errors are told by name
            await self._stack.aclose()
            raise ProjectError(
                f"the conversation cannot be kept in {self._store}: {error}; remove that file or name another folder"
            ) from None
        self._agent = self._made(client, saver)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def say(self, text: str, *, news: str = "") -> AsyncIterator[ChatEvent]:
        """Answer a message; `news` is what happened to the study since the last one.

        May end with an Approval: then `decide` goes on. Cancel the task that iterates to stop the answer.
        """
        await self._tidy()
        whole = f"{text}\n\n(News of the study: {news})" if news else text
        async for event in self._go({"messages": [{"role": "user", "content": whole}]}):
            yield event

    async def pending(self) -> Approval | None:
        """Return what still waits for a person, also from before a restart."""
        state = await self._agent.aget_state(self._config)
        return self._approval(state.interrupts[0].value) if state.interrupts else None

    async def decide(self, decisions: Sequence[Decision]) -> AsyncIterator[ChatEvent]:
        """Go on after an Approval, with one decision for each of its actions."""
        from langgraph.types import Command

        waiting = await self.pending()
        if waiting is None or len(waiting.actions) != len(decisions):
            return
        told = [_told(d, action) for d, action in zip(decisions, waiting.actions, strict=True)]
        async for event in self._go(Command(resume={"decisions": told})):
            yield event

    # -- one turn -----------------------------------------------------------------------------------------------

    @property
    def _config(self) -> dict[str, Any]:
        return {"configurable": {"thread_id": self._thread}, "recursion_limit": 200}

    async def _go(self, given: Any) -> AsyncIterator[ChatEvent]:
        """Run until the answer ends, a person is needed, or the model is down for good."""
        attempt = 1
        while True:
            spoke = False
            try:
                async for event in self._events(given):
                    spoke = spoke or isinstance(event, TextChunk)
                    yield event
            except Exception as error:  # noqa: BLE001  # every provider raises classes of its own
                found = diagnose(error)
                reason = found.reason(self.model)
                if found.kind not in TRANSIENT or attempt == ATTEMPTS:
                    yield Notice(f"{reason}; nothing is lost, ask again")
                    return
                yield Notice(f"{reason}; asking again{' from the start of the answer' if spoke else ''}")
                await asyncio.sleep(min(found.retry_after_s or PAUSE_S * attempt, 30.0))
                # What was asked stands in the file already: the agent goes on where it broke off.
                attempt, given = attempt + 1, None
                continue
            waiting = await self.pending()
            if waiting is None:
                return
            price = sum(action.trials for action in waiting.actions)
            if not 0 < price <= self.allowance or any(action.trials == 0 for action in waiting.actions):
                yield waiting
                return
            self.allowance -= price
            yield AutoApproved(waiting.actions, self.allowance)
            given = _approved(len(waiting.actions))

    async def _events(self, given: Any) -> AsyncIterator[ChatEvent]:
        from langchain_core.callbacks import UsageMetadataCallbackHandler

        counted = UsageMetadataCallbackHandler()
        calls = _Calls()
        config = {**self._config, "callbacks": [counted]}
        try:
            async for mode, chunk in self._agent.astream(given, config, stream_mode=["messages", "custom", "updates"]):
                if mode == "messages" and chunk[1].get("langgraph_node") == "model":
                    text = _text_of(chunk[0])
                    if text:
                        yield TextChunk(text)
                elif mode == "custom" and isinstance(chunk, ToolStarted | ToolFinished):
                    yield chunk
                elif mode == "updates" and "model" in chunk:
                    calls.seen += 1
        finally:
            self._charge(counted.usage_metadata, calls.seen)

    async def _tidy(self) -> None:
        """Answer calls that nothing will answer any more, or every provider refuses the conversation from here on."""
        from langchain_core.messages import AIMessage, ToolMessage

        state = await self._agent.aget_state(self._config)
        messages = state.values.get("messages", [])
        answered = {m.tool_call_id for m in messages if isinstance(m, ToolMessage)}
        asked = [c for m in messages if isinstance(m, AIMessage) for c in m.tool_calls if c["id"] not in answered]
        if not asked:
            return
        text = "not done: the person stopped this"
        found = [ToolMessage(content=text, tool_call_id=str(c["id"]), name=c["name"], status="error") for c in asked]
        await self._agent.aupdate_state(self._config, {"messages": found}, as_node="tools")

    # -- approvals ----------------------------------------------------------------------------------------------

    def _approval(self, asked: Any) -> Approval:
        return Approval(tuple(self.action(str(a["name"]), a["args"]) for a in asked["action_requests"]))

    def action(self, name: str, given: dict[str, Any]) -> ProposedAction:
        """Return a call as a person is shown it."""
        try:
            tool = find_tool(self._tools, name)
            return ProposedAction(
                name, given, tool.preview_text(self._context(), given), tool.trial_cost(tool.parse(given))
            )
        except ToolRefused as error:
            return ProposedAction(name, given, f"this will be refused: {error}")

    # -- money --------------------------------------------------------------------------------------------------

    def _charge(self, usage: Any, calls: int) -> None:
        used = [
            TokenUse(
                input=u.get("input_tokens"),
                output=u.get("output_tokens"),
                cached=(u.get("input_token_details") or {}).get("cache_read"),
            )
            for u in usage.values()
        ]
        costs = [self._model.cost_usd(use) for use in used]
        unpriced = calls if not used or any(cost is None for cost in costs) else 0
        self.bill = replace(
            self.bill,
            calls=self.bill.calls + calls,
            input_tokens=self.bill.input_tokens + sum(use.input or 0 for use in used),
            output_tokens=self.bill.output_tokens + sum(use.output or 0 for use in used),
            usd=self.bill.usd + sum(cost or 0.0 for cost in costs),
            unpriced=self.bill.unpriced + unpriced,
        )
        kept = {**self._all_bills(), self._thread: asdict(self.bill)}
        write_atomic(self._bills, json.dumps(kept))

    def _read_bill(self) -> ChatCost:
        try:
            return ChatCost(**self._all_bills().get(self._thread, {}))
        except TypeError:
            return ChatCost()

    def _all_bills(self) -> dict[str, Any]:
        try:
            found = json.loads(self._bills.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    # -- the agent ----------------------------------------------------------------------------------------------

    def _made(self, client: Any, saver: Any) -> Any:
        from langchain.agents import create_agent  # 0.8 s
        from langchain.agents.middleware import (
            HumanInTheLoopMiddleware,
            ModelCallLimitMiddleware,
            SummarizationMiddleware,
        )

        from tunesmith.agent.chat.middleware import ToolMiddleware, to_langchain_tool

        spends = [tool for tool in self._tools if tool.effect > Effect.READ]
        asks: dict[str, Any] = {tool.name: {"allowed_decisions": _DECISIONS} for tool in spends}
        middleware: list[Any] = [
            SummarizationMiddleware(
                client,
                trigger=("tokens", SUMMARY_TOKENS),
                keep=("tokens", KEPT_TOKENS),
                trim_tokens_to_summarize=SUMMARY_TOKENS,
            ),
            ModelCallLimitMiddleware(run_limit=MOST_CALLS, exit_behavior="end"),
            HumanInTheLoopMiddleware(interrupt_on=asks),
            # The last one is the first to see what the model said: what cannot be done is not asked about.
            ToolMiddleware(self._tools, self._context),
        ]
        return create_agent(
            client,
            [to_langchain_tool(tool, self._context) for tool in self._tools],
            system_prompt=render_text("chat.md"),
            middleware=middleware,
            checkpointer=saver,
        )


class _Calls:
    """Counts a turn's calls of the model."""

    seen = 0


def _approved(count: int) -> Any:
    from langgraph.types import Command

    return Command(resume={"decisions": [{"type": "approve"}] * count})


def _told(decision: Decision, action: ProposedAction) -> dict[str, Any]:
    if decision.kind == "edit":
        return {"type": "edit", "edited_action": {"name": action.name, "args": dict(decision.given or action.given)}}
    if decision.kind == "reject":
        reason = f": {decision.reason}" if decision.reason else ""
        return {"type": "reject", "message": f"The person said no{reason}. Do not try it again unless asked."}
    return {"type": "approve"}


def _text_of(chunk: Any) -> str:
    if type(chunk).__name__ != "AIMessageChunk":
        return ""
    text = chunk.text
    return text if isinstance(text, str) else str(text())
