"""Translates between our questions and LangChain's messages, and runs the tools that a reply calls."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tunesmith.agent.llm.client.replies.tool_calls import Call
from tunesmith.agent.llm.client.types import AnswerFormat, LookupTool, TokenUse, ToolUse
from tunesmith.history.redact import redact
from tunesmith.prompts.message import Message
from tunesmith.prompts.render import render_text
from tunesmith.study.errors import ToolRefused
from tunesmith.study.formatting import valid_text, valid_values

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import AIMessage, BaseMessage

MAX_TOOL_RESULT_CHARS = 4000


def to_langchain_messages(
    messages: Sequence[Message], answer_format: AnswerFormat[Any], method: str
) -> list[BaseMessage]:
    """Return the messages for LangChain, without secrets.

    With method json_object or plain, the last one describes the answer's form.
    """
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

    classes: Mapping[str, Any] = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
    if method in ("json_object", "plain"):
        form = answer_format.schema if answer_format.shown is None else answer_format.shown
        instruction = render_text("answer_as_json.md", schema=json.dumps(form))
        messages = [*messages[:-1], replace(messages[-1], text=f"{messages[-1].text}\n\n{instruction}")]
    return [classes[message.role](content=valid_text(redact(message.text))) for message in messages]


def bind_format(
    client: BaseChatModel, answer_format: AnswerFormat[Any], tools: list[LookupTool], method: str, *, forced: bool
) -> Any:
    """Return the client with the answer's form and the tools attached.

    Args:
        client: LangChain's model.
        answer_format: the form of the answer.
        tools: functions that the model may call first; only with method function_calling.
        method: json_schema, json_object, function_calling or plain.
        forced: the model must answer now instead of calling a tool.
    """
    definitions = [_definition(tool.name, tool.description, tool.arguments) for tool in tools]
    if method == "json_schema":
        schema = {"name": answer_format.name, "schema": dict(answer_format.schema), "strict": True}
        return client.bind(response_format={"type": "json_schema", "json_schema": schema})
    if method == "json_object":
        return client.bind(response_format={"type": "json_object", "schema": dict(answer_format.schema)})
    if method == "function_calling":
        answer = _definition(answer_format.name, render_text("answer_tool.md"), answer_format.schema)
        choice = answer_format.name if forced or not tools else None
        return client.bind_tools([*definitions, answer], **({"tool_choice": choice} if choice else {}))
    return client


def _definition(name: str, description: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": dict(arguments)},
    }


def tool_results(
    reply: AIMessage, calls: Sequence[Call], tools: list[LookupTool], used: list[ToolUse], *, refuse: bool
) -> list[BaseMessage]:
    """Run the tools that a reply calls; return the messages to append: the reply, and one result for each call.

    Args:
        reply: the model's reply.
        calls: its tool calls, including those whose arguments could not be parsed.
        tools: the functions that exist.
        used: receives one entry for each call.
        refuse: run nothing and tell the model that no further calls are allowed.
    """
    from langchain_core.messages import ToolMessage

    results: list[BaseMessage] = []
    calls = [Call(name=valid_text(c["name"]), args=valid_values(c["args"]), id=valid_text(c["id"])) for c in calls]
    for call in calls:
        result = render_text("no_more_tools.md") if refuse else valid_text(redact(_run(call, tools)))
        used.append(ToolUse(name=call["name"][:80], arguments=arguments_json(call)[:500], result=result[:500]))
        results.append(ToolMessage(content=result, tool_call_id=call["id"]))
    # LangChain drops invalid calls when a reply is sent back, and servers reject results without a call.
    valid = [{**call, "args": call["args"] if isinstance(call["args"], dict) else {}} for call in calls]
    sent_back = {"content": valid_values(reply.content), "tool_calls": valid, "invalid_tool_calls": []}
    return [reply.model_copy(update=sent_back), *results]


def _run(call: Call, tools: list[LookupTool]) -> str:
    tool = next((tool for tool in tools if tool.name == call["name"]), None)
    if tool is None:
        return f"there is no tool {str(call['name'])[:80]!r}; the tools are: {', '.join(t.name for t in tools)}"
    if not isinstance(call["args"], dict):
        return "the arguments are not a JSON object; write one"
    try:
        return tool.run(call["args"])[:MAX_TOOL_RESULT_CHARS]
    except ToolRefused as error:
        return str(error)[:MAX_TOOL_RESULT_CHARS]
    except Exception as error:  # noqa: BLE001  # a bug in a tool must not end a study; its text may contain secrets
        return f"the tool failed: {type(error).__name__}"


def arguments_json(call: Call) -> str:
    """Return a tool call's arguments as JSON, or unchanged when the model wrote something else."""
    args = call["args"]
    return args if isinstance(args, str) else json.dumps(args)


def reply_text(reply: AIMessage) -> str:
    """Return the text of a reply, without its tool calls."""
    text = reply.text
    return text if isinstance(text, str) else str(text())  # a method until langchain-core 1.0


def token_use(reply: AIMessage) -> TokenUse:
    """Return the token counts of one request, as far as the server reports them."""
    usage: Any = reply.usage_metadata
    if not usage:
        return TokenUse()
    return TokenUse(
        input=usage.get("input_tokens"),
        cached=(usage.get("input_token_details") or {}).get("cache_read"),
        output=usage.get("output_tokens"),
        reasoning=(usage.get("output_token_details") or {}).get("reasoning"),
    )


def cut_answer(error: BaseException) -> tuple[str, TokenUse]:
    """Return the text and the tokens of an answer that OpenAI's client refuses because the server cut it off."""
    completion: Any = getattr(error, "completion", None)
    choices = getattr(completion, "choices", None) or []
    text = getattr(choices[0].message, "content", None) if choices else None
    usage = getattr(completion, "usage", None)
    details = getattr(usage, "completion_tokens_details", None)
    tokens = TokenUse(
        input=getattr(usage, "prompt_tokens", None),
        output=getattr(usage, "completion_tokens", None),
        reasoning=getattr(details, "reasoning_tokens", None),
    )
    return text if isinstance(text, str) else "", tokens
