"""The words of a conversation with a model as LangChain knows them, and what its replies hold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tunesmith.agent.llm.client.types import AnswerFormat, LookupTool, TokenUse, ToolUse
from tunesmith.prompts.message import Message
from tunesmith.prompts.render import render_text
from tunesmith.study.errors import ToolRefused

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import AIMessage, BaseMessage

TOOL_RESULT_CHARS = 4000


def to_langchain_messages(messages: Sequence[Message], form: AnswerFormat[Any], method: str) -> list[BaseMessage]:
    """Return the messages that open the conversation; unless the server is told the form, the last one describes it."""
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

    classes: Mapping[str, Any] = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
    if method in ("json_object", "plain"):
        asked = render_text("answer_as_json.md", schema=json.dumps(form.schema))
        messages = [*messages[:-1], replace(messages[-1], text=f"{messages[-1].text}\n\n{asked}")]
    return [classes[message.role](content=message.text) for message in messages]


def bind_format(
    client: BaseChatModel, form: AnswerFormat[Any], tools: list[LookupTool], method: str, *, forced: bool
) -> Any:
    """Return the client with the form and the tools attached in the given way."""
    definitions = [_definition(tool.name, tool.description, tool.arguments) for tool in tools]
    if method == "json_schema":
        schema = {"name": form.name, "schema": dict(form.schema), "strict": True}
        return client.bind(response_format={"type": "json_schema", "json_schema": schema})
    if method == "json_object":
        return client.bind(response_format={"type": "json_object", "schema": dict(form.schema)})
    if method == "function_calling":
        answer = _definition(form.name, render_text("answer_tool.md"), form.schema)
        choice = form.name if forced or not tools else None
        return client.bind_tools([*definitions, answer], **({"tool_choice": choice} if choice else {}))
    return client


def _definition(name: str, description: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": dict(arguments)},
    }


def tool_results(
    reply: AIMessage, calls: Sequence[Mapping[str, Any]], tools: list[LookupTool], used: list[ToolUse], *, refuse: bool
) -> list[BaseMessage]:
    """Return what goes on the end of the conversation: the model's calls, and a result for each."""
    from langchain_core.messages import ToolMessage

    results: list[BaseMessage] = []
    for call in calls:
        result = render_text("no_more_tools.md") if refuse else _run(call, tools)
        used.append(ToolUse(name=str(call["name"])[:80], arguments=arguments_json(call)[:500], result=result[:500]))
        results.append(ToolMessage(content=result, tool_call_id=str(call["id"] or "")))
    # Calls that could not be parsed are dropped when a reply is sent back; their results would then hang in the air.
    whole = [
        {"name": str(c["name"]), "args": c["args"] if isinstance(c["args"], dict) else {}, "id": c["id"]} for c in calls
    ]
    return [reply.model_copy(update={"tool_calls": whole, "invalid_tool_calls": []}), *results]


def _run(call: Mapping[str, Any], tools: list[LookupTool]) -> str:
    tool = next((tool for tool in tools if tool.name == call["name"]), None)
    if tool is None:
        return f"there is no tool {str(call['name'])[:80]!r}; there are: {', '.join(t.name for t in tools)}"
    if not isinstance(call["args"], dict):
        return "the arguments are no JSON object; write one"
    try:
        return tool.run(call["args"])[:TOOL_RESULT_CHARS]
    except ToolRefused as error:
        return str(error)[:TOOL_RESULT_CHARS]
    except Exception as error:  # noqa: BLE001  # a tool's bug must not end a study; the model reads its name alone
        return f"the tool failed: {type(error).__name__}"


def arguments_json(call: Mapping[str, Any]) -> str:
    """Return a tool call's arguments as JSON, or as the model wrote them where that is none."""
    args = call["args"]
    return args if isinstance(args, str) else json.dumps(args)


def reply_text(reply: AIMessage) -> str:
    """Return what a reply says, without its tool calls."""
    text = reply.text
    return text if isinstance(text, str) else str(text())  # a method until langchain-core 1.0


def token_use(reply: AIMessage) -> TokenUse:
    """Return the tokens of one request, as far as the server says."""
    usage: Any = reply.usage_metadata
    if not usage:
        return TokenUse()
    return TokenUse(
        input=usage.get("input_tokens"),
        cached=(usage.get("input_token_details") or {}).get("cache_read"),
        output=usage.get("output_tokens"),
        reasoning=(usage.get("output_token_details") or {}).get("reasoning"),
    )
