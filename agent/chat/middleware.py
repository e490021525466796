"""Middleware between agent and tools: checks calls before approval, measures them, turns failures into messages.

Imports LangChain (1 s), so `conversation` imports this module only when a conversation is opened.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from langchain.agents.middleware import AgentMiddleware, ModelRequest, hook_config
from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.messages.tool import tool_call
from langchain_core.tools import BaseTool, StructuredTool
from langgraph.config import get_stream_writer

from tunesmith.agent.chat.events import ToolFinished, ToolStarted
from tunesmith.agent.llm.client.messages import reply_text
from tunesmith.agent.llm.client.replies.tool_calls import calls_in_text, uniform_calls
from tunesmith.study.errors import ToolRefused, TunesmithError
from tunesmith.study.formatting import one_line
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.offered import MORE_TOOLS, offered
from tunesmith.tools.llm_tools.tool import AnyTool, Effect, find_tool


class ToolMiddleware(AgentMiddleware[Any, Any, Any]):
    """Runs tools, emits an event when each starts and ends, and turns errors into messages for the model.

    Args:
        tools: the tools of the conversation.
        context: returns what they work on, at each call.
    """

    def __init__(self, tools: Sequence[AnyTool], context: Callable[[], ToolContext]) -> None:
        super().__init__()
        self._tools = tools
        self._context = context
        self._in_order = asyncio.Lock()

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[Any]]
    ) -> Any:
        """Show the model those tools that the study's state allows at this moment."""
        asked_for = _asked_for(request.messages)
        found = await asyncio.to_thread(lambda: offered(self._context(), self._tools, asked_for=asked_for))
        names = {tool.name for tool in found}
        shown = [tool for tool in request.tools if isinstance(tool, dict) or tool.name in names]
        return await handler(request.override(tools=shown))

    @hook_config(can_jump_to=["model"])
    def after_model(self, state: Any, runtime: Any) -> dict[str, Any] | None:  # noqa: ARG002
        """Return calls to the model whose arguments cannot be parsed, or that would be refused after approval.

        When one call of a reply is wrong, none of them runs.
        """
        last = state["messages"][-1] if state["messages"] else None
        if not isinstance(last, AIMessage):
            return None
        given, last = last, self._with_uniform_calls(last)
        if not (last.tool_calls or last.invalid_tool_calls):
            return None
        problems = {str(call["id"]): _UNREADABLE for call in last.invalid_tool_calls}
        problems |= {str(call["id"]): problem for call in last.tool_calls if (problem := self._problem(call))}
        if not problems:
            return None if last is given else {"messages": [last]}
        unparsed = [tool_call(name=str(c["name"]), args={}, id=c["id"]) for c in last.invalid_tool_calls]
        reply = last.model_copy(update={"tool_calls": [*last.tool_calls, *unparsed], "invalid_tool_calls": []})
        answers = [
            ToolMessage(
                content=problems.get(str(call["id"]), _NOT_RUN),
                name=str(call["name"]),
                tool_call_id=str(call["id"]),
                status="error",
            )
            for call in reply.tool_calls
        ]
        writer = get_stream_writer()
        for call in reply.tool_calls:
            if str(call["id"]) in problems:
                name, problem = str(call["name"]), problems[str(call["id"])]
                writer(ToolFinished(str(call["id"]), name, call["args"], 0.0, one_line(problem)))
        return {"messages": [reply, *answers], "jump_to": "model"}

    def _with_uniform_calls(self, reply: AIMessage) -> AIMessage:
        """Return a reply with plain names of tools, and with the calls that a model wrote into its text."""
        names = [tool.name for tool in self._tools]
        written = [] if reply.tool_calls or reply.invalid_tool_calls else calls_in_text(reply_text(reply), names)
        calls = written or uniform_calls(reply.tool_calls, names)
        uniform = [tool_call(name=c["name"], args=c["args"], id=c["id"]) for c in calls if isinstance(c["args"], dict)]
        if not uniform or uniform == reply.tool_calls:
            return reply
        return reply.model_copy(update={"tool_calls": uniform})

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Any]]
    ) -> Any:
        """Run one call, after those before it in the reply; emit its start, its end and its duration.

        LangChain starts the calls of a reply at the same time, but a later one may need what an earlier one does.
        """
        async with self._in_order:
            return await self._run(request, handler)

    async def _run(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Any]]) -> Any:
        call = request.tool_call
        call_id, name, arguments = str(call["id"]), str(call["name"]), call["args"]
        writer = get_stream_writer()
        writer(ToolStarted(call_id, name, arguments))
        started, refused, shown = time.monotonic(), "", ""
        try:
            tool = find_tool(self._tools, name)
            answer = await handler(request)
            shown = str(answer.content) if tool.is_shown and isinstance(answer, ToolMessage) else ""
            return answer
        except TunesmithError as error:
            refused = str(error)
        except Exception as error:  # noqa: BLE001  # a bug in a tool must not end a conversation
            refused = f"the tool failed: {type(error).__name__}"
        finally:
            writer(ToolFinished(call_id, name, arguments, time.monotonic() - started, one_line(refused), shown))
        return ToolMessage(content=refused, name=name, tool_call_id=call_id, status="error")

    def _problem(self, call: Any) -> str:
        """Return why a call that needs approval would be refused; "" for all others."""
        try:
            tool = find_tool(self._tools, str(call["name"]))
            if tool.effect > Effect.READ:
                tool.preview_text(self._context(), call["args"])
        except ToolRefused as error:
            return str(error)
        return ""


def _asked_for(messages: Sequence[Any]) -> set[str]:
    """Return the names of the seldom needed tools that the model has asked for in a conversation."""
    calls = [call for message in messages if isinstance(message, AIMessage) for call in message.tool_calls]
    named = [call["args"].get("names") for call in calls if call["name"] == MORE_TOOLS.name]
    return {str(name) for names in named if isinstance(names, list) for name in names}


_NOT_RUN = "not run, because another call of the same reply was wrong; call it again"
_UNREADABLE = "the arguments are not a JSON object; write them again"


def to_langchain_tool(tool: AnyTool, context: Callable[[], ToolContext]) -> BaseTool:
    """Return a tool for LangChain. Our tool checks the arguments itself, with messages made for models."""

    def run(**arguments: Any) -> str:
        return tool.call(context(), arguments)

    return StructuredTool(name=tool.name, description=tool.description, args_schema=tool.short_schema, func=run)
