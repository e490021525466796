"""LangChain's client for the OpenAI protocol, which also accepts replies that follow the protocol loosely.

Imports LangChain (1 s), so `connection` imports this module only when a model is opened.
"""

from __future__ import annotations

import json
from typing import Any

from langchain_core.outputs import ChatResult
from langchain_openai import ChatOpenAI
from openai import BaseModel

from tunesmith.agent.llm.client.replies.tool_calls import repaired_message


class LooseChatOpenAI(ChatOpenAI):
    """ChatOpenAI for servers whose tool calls lack an id, or have arguments as an object or as text of text."""

    def _create_chat_result(
        self, response: dict[str, Any] | BaseModel, generation_info: dict[str, Any] | None = None
    ) -> ChatResult:
        if not isinstance(response, dict | BaseModel):
            return super()._create_chat_result(response, generation_info)
        reply = response if isinstance(response, dict) else response.model_dump(warnings=False)
        choices = reply.get("choices")
        if not isinstance(choices, list):
            return super()._create_chat_result(response, generation_info)
        messages = [repaired_message(choice["message"]) for choice in choices]
        repaired = [{**choice, "message": message} for choice, message in zip(choices, messages, strict=True)]
        result = super()._create_chat_result({**reply, "choices": repaired}, generation_info)
        for generation, message in zip(result.generations, messages, strict=True):
            if message.get("refusal"):
                generation.message.additional_kwargs["refusal"] = message["refusal"]
        return result

    def _convert_chunk_to_generation_chunk(self, chunk: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        for choice in chunk.get("choices") or []:
            for call in (choice.get("delta") or {}).get("tool_calls") or []:
                function = call.get("function") or {}
                if isinstance(function.get("arguments"), dict):
                    function["arguments"] = json.dumps(function["arguments"])
        return super()._convert_chunk_to_generation_chunk(chunk, *args, **kwargs)
