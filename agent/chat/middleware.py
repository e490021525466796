"""Stands between agent and tools: checks calls before a person is asked, clocks them, puts failures in words."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from langchain.agents.middleware import AgentMiddleware, hook_config
from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.messages.tool import tool_call
from langchain_core.tools import BaseTool, StructuredTool
from langgraph.config import get_stream_writer

from tunesmith.agent.chat.events import ToolFinished, ToolStarted
from tunesmith.study.errors import ToolRefused, TunesmithError
from tunesmith.study.formatting import one_line
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.tool import AnyTool, Effect, find_tool


class ToolMiddleware(AgentMiddleware[Any, Any, Any]):
    """Runs tools: tells when each begins and ends, and turns what goes wrong into words for the model.

    Args:
        tools: those of the conversation.
        context: what they work on at the moment of a call.
    """

    def __init__(self, tools: Sequence[AnyTool], context: Callable[[], ToolContext]) -> None:
        super().__init__()
        self._tools = tools
        self._context = context

    @hook_config(can_jump_to=["model"])
    def after_model(self, state: Any, runtime: Any) -> dict[str, Any] | None:  # noqa: ARG002
        """Send calls back that cannot be read, or that a person would be asked about in vain."""
        last = state["messages"][-1] if state["messages"] else None
        if not isinstance(last, AIMessage) or not (last.tool_calls or last.invalid_tool_calls):
            return None
        faults = {str(call["id"]): _UNREADABLE for call in last.invalid_tool_calls}
        faults |= {str(call["id"]): fault for call in last.tool_calls if (fault := self._fault(call))}
        if not faults:
            return None
        unread = [tool_call(name=str(c["name"]), args={}, id=c["id"]) for c in last.invalid_tool_calls]
        whole = last.model_copy(update={"tool_calls": [*last.tool_calls, *unread], "invalid_tool_calls": []})
        answers = [
            ToolMessage(
                content=faults.get(str(call["id"]), "not run, since another call beside it was wrong; call it again"),
                name=str(call["name"]),
                tool_call_id=str(call["id"]),
                status="error",
            )
            for call in whole.tool_calls
        ]
        writer = get_stream_writer()
        for call in whole.tool_calls:
            if str(call["id"]) in faults:
                name, fault = str(call["name"]), faults[str(call["id"])]
                writer(ToolFinished(str(call["id"]), name, call["args"], 0.0, one_line(fault)))
        return {"messages": [whole, *answers], "jump_to": "model"}

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Any]]
    ) -> Any:
        """Run one call with a clock beside it."""
        call = request.tool_call
        identity, name, given = str(call["id"]), str(call["name"]), call["args"]
        writer = get_stream_writer()
        writer(ToolStarted(identity, name, given))
        began, refused = time.monotonic(), ""
        try:
            find_tool(self._tools, name)
            return await handler(request)
        except TunesmithError as error:
            refused = str(error)
        except Exception as error:  # noqa: BLE001  # a tool's bug must not end a conversation; the model reads its name
            refused = f"the tool failed: {type(error).__name__}"
        finally:
            writer(ToolFinished(identity, name, given, time.monotonic() - began, one_line(refused)))
        return ToolMessage(content=refused, name=name, tool_call_id=identity, status="error")

    def _fault(self, call: Any) -> str:
        """Return why a call that a person would have to approve cannot be done; "" for all others."""
        try:
            tool = find_tool(self._tools, str(call["name"]))
            if tool.effect > Effect.READ:
                tool.preview_text(self._context(), call["args"])
        except ToolRefused as error:
            return str(error)
        return ""


_UNREADABLE = "the arguments are no JSON object; write them again"


def to_langchain_tool(tool: AnyTool, context: Callable[[], ToolContext]) -> BaseTool:
    """Return a tool as LangChain knows it; its arguments are checked by ours, whose words are for models."""

    def run(**given: Any) -> str:
        return tool.call(context(), given)

    return StructuredTool(name=tool.name, description=tool.description, args_schema=tool.schema, func=run)
