"""Tool calls in every shape that servers and models write: made uniform, and found in the text of a reply.

Servers pass on what the model wrote: arguments as an object, as text, or as text of text; names with a prefix; calls
without an id. Servers that do not know a model's template leave its calls in the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypedDict

from tunesmith.agent.llm.client.replies.lenient_json import InvalidJson, decode_object
from tunesmith.agent.llm.client.replies.parsing import FoundObject, find_objects

_PREFIX = re.compile(r"^(?:functions?|tools?|default_api)[.:/]", re.IGNORECASE)
_NAME_BEFORE = re.compile(
    r"""
    (?:\[TOOL_CALLS\]                            # Mistral: [TOOL_CALLS]name[ARGS]{...}
    | <function= | <function\sname="             # Llama 3.1
    | <\uff5ctool\u2581call\u2581begin\uff5c>(?:function<\uff5ctool\u2581sep\uff5c>)?   # DeepSeek
    | <\|tool_call_begin\|>                       # Kimi K2
    | <tool_call>                                # GLM, Qwen
    | \bto=)                                     # gpt-oss: to=functions.name ...<|message|>{...}
    \s*([\w.:/-]+)[^{}]*\Z
    """,
    re.VERBOSE,
)
_ARGUMENT_KEYS = ("arguments", "parameters", "args", "input")


class Call(TypedDict):
    """One call: the arguments are an object, or text that is none."""

    name: str
    args: Any
    id: str


def uniform_calls(calls: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[Call]:
    """Return LangChain's calls with names without prefix, arguments as objects, and an id for each.

    Args:
        calls: a reply's valid and invalid calls.
        names: the tools that exist.
    """
    return [
        Call(
            name=_name(call.get("name"), names),
            args=_arguments(call.get("args")),
            id=str(call.get("id") or f"call_{i}"),
        )
        for i, call in enumerate(calls)
    ]


def calls_in_text(text: str, names: Sequence[str]) -> list[Call]:
    """Return the calls of known tools that a model wrote into the text of its reply, thinking text excluded."""
    objects, _ = find_objects(text)
    calls: list[Call] = []
    end = 0
    for found in objects:
        name, arguments = _written_call(text[end : found.start], found)
        end = found.end
        if name is not None and _name(name, names) in names:
            calls.append(Call(name=_name(name, names), args=_arguments(arguments), id=f"call_{len(calls)}"))
    return calls


def repaired_message(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a reply whose tool calls have text for arguments and an id, as the OpenAI protocol demands."""
    calls = message.get("tool_calls")
    if not isinstance(calls, list):
        return {**message, "tool_calls": None}
    return {**message, "tool_calls": list(_repaired_calls(calls))}


def _repaired_calls(calls: Sequence[Any]) -> Iterator[dict[str, Any]]:
    for index, call in enumerate(calls):
        function = call.get("function") if isinstance(call, Mapping) else None
        if isinstance(function, Mapping) and function.get("name"):
            arguments = _arguments(function.get("arguments", function.get("parameters")))
            text = arguments if isinstance(arguments, str) else json.dumps(arguments)
            repaired = {**function, "name": str(function["name"]).strip(), "arguments": text}
            yield {**call, "id": call.get("id") or f"call_{index}", "type": "function", "function": repaired}


def _written_call(before: str, found: FoundObject) -> tuple[str | None, Any]:
    """Return the name and the arguments of a call that an object and the text before it make up; None for no call."""
    inner = found.value.get("function")
    value = inner if isinstance(inner, dict) else found.value
    name, key = value.get("name"), next((key for key in _ARGUMENT_KEYS if key in value), None)
    if isinstance(name, str) and key is not None:
        return name, value[key]
    named = _NAME_BEFORE.search(before)
    return (named[1], found.value) if named else (None, None)


def _name(name: Any, names: Sequence[str]) -> str:
    """Return the name of a tool without what models put around it: "functions.trials", "functions.trials:0"."""
    plain = _PREFIX.sub("", str(name or "").strip())
    if plain in names:
        return plain
    bare = re.sub(r":\d+$", "", plain)
    return bare if bare in names else plain


def _arguments(args: Any) -> Any:
    """Return arguments as an object; nothing at all means no arguments, and any other text is kept."""
    if args is None:
        return {}
    for _ in range(3):  # text of text of an object
        if not isinstance(args, str):
            break
        stripped = args.strip()
        if not stripped:
            return {}
        args = _decoded(stripped)
        if args is stripped:
            break
    return args


def _decoded(text: str) -> Any:
    try:
        if text.startswith("{"):
            return decode_object(text, 0)[0]
        return json.loads(text)
    except (InvalidJson, ValueError):
        return text
