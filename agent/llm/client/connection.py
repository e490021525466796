"""Opens LangChain's client of a model: the provider, the address, the key and the options of every request."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tunesmith.agent.llm.client.failures.diagnosis import diagnose
from tunesmith.agent.llm.client.failures.errors import Down
from tunesmith.agent.llm.client.model_names import ModelName
from tunesmith.agent.llm.client.options import RequestOptions

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel


class ConnectionRefused(Exception):
    """A model cannot be opened.

    Attributes:
        kind: why.
        reason: one line for people, with what to do.
    """

    def __init__(self, kind: Down, reason: str) -> None:
        self.kind = kind
        self.reason = reason
        super().__init__(reason)


def connect(name: ModelName, base_url: str | None, options: RequestOptions) -> BaseChatModel:
    """Return the client; it retries nothing by itself.

    Raises:
        ConnectionRefused: a package, a key or the provider is missing, or the client takes no headers or body.
    """
    headers = _expanded(options.headers, str(name))
    try:
        if name.provider == "openai":
            return _openai_client(name, base_url, options, headers)
        return _provider_client(name, options, headers)
    except ConnectionRefused:
        raise
    except Exception as error:  # noqa: BLE001  # a missing package, key or provider, each with its own class
        raise _refusal(error, name) from None


def _openai_client(
    name: ModelName, base_url: str | None, options: RequestOptions, headers: Mapping[str, str]
) -> BaseChatModel:
    from tunesmith.agent.llm.client.openai_client import LooseChatOpenAI  # 1 s
    from tunesmith.agent.llm.client.replies.response_limit import limited_clients

    streams = bool(base_url) and options.streams and options.body.get("stream", True) is True
    clients = limited_clients(timeout_s=options.timeout_s, joins_streams=streams)
    known, body = {**_common(options), **clients}, dict(options.body)
    if base_url:
        # Local servers rarely check the key, but the client requires one. Few know the Responses API.
        known |= {
            "base_url": base_url,
            "api_key": os.environ.get("OPENAI_API_KEY") or "none",
            "use_responses_api": False,
        }
        known.pop("max_tokens", None)
        body = options.own_server_body()
    if headers:
        known["default_headers"] = dict(headers)
    if body:
        known["extra_body"] = body
    return LooseChatOpenAI(model=name.model, **known)


def _provider_client(name: ModelName, options: RequestOptions, headers: Mapping[str, str]) -> BaseChatModel:
    from langchain.chat_models import init_chat_model  # 1 s

    def opened(**further: Any) -> BaseChatModel:
        client: BaseChatModel = init_chat_model(
            name.model, model_provider=name.provider or None, **_common(options), **further
        )
        return client

    client = opened()
    further = {"default_headers": dict(headers), "extra_body": dict(options.body)}
    fields = {key: value for key, value in further.items() if value}
    missing = [key for key in fields if key not in type(client).model_fields]
    if missing:
        keys = " and ".join({"default_headers": "headers", "extra_body": "body"}[key] for key in missing)
        raise ConnectionRefused(
            Down.BAD_REQUEST, f"[planner].{keys} cannot be sent to {name}: its client takes none; leave it out"
        )
    return opened(**fields) if fields else client


def _common(options: RequestOptions) -> dict[str, Any]:
    given = {
        "max_retries": 0,
        "timeout": options.timeout_s,
        "max_tokens": options.max_tokens,
        "temperature": options.temperature,
        "reasoning_effort": options.reasoning_effort,
    }
    return {key: value for key, value in given.items() if value is not None}


def _expanded(headers: Mapping[str, str], name: str) -> dict[str, str]:
    """Return the headers with environment variables in place of "$NAME"."""

    def value_of(variable: re.Match[str]) -> str:
        found = os.environ.get(variable[1] or variable[2])
        if found is None:
            missing = variable[1] or variable[2]
            raise ConnectionRefused(
                Down.AUTH, f"the model {name} cannot be used: [planner].headers needs {missing} in the environment"
            )
        return found

    return {key: re.sub(r"\$(?:\{(\w+)\}|(\w+))", value_of, value) for key, value in headers.items()}


def _refusal(error: Exception, name: ModelName) -> ConnectionRefused:
    diagnosis = diagnose(error)
    if diagnosis.kind is Down.MISSING_PACKAGE:
        return ConnectionRefused(diagnosis.kind, diagnosis.reason(str(name)))
    text = str(error).lower()
    if isinstance(error, ValueError) and "provider" in text and "key" not in text:
        return ConnectionRefused(Down.NOT_FOUND, _unknown_provider_text(name))
    if not re.search(r"key|token|credential|auth|environment", text):
        return ConnectionRefused(Down.UNKNOWN, f"the model {name} cannot be opened: {type(error).__name__}")
    return ConnectionRefused(Down.AUTH, _missing_key_text(name))


def _missing_key_text(name: ModelName) -> str:
    key = f"{name.provider.upper()}_API_KEY" if name.provider else "the provider's key"
    return f"the model {name} cannot be used: set {key} in the environment, or give base_url for your own server"


def _unknown_provider_text(name: ModelName) -> str:
    return (
        f"it is not clear which provider serves {name.model!r}; write provider:model, such as openai:gpt-5-mini or "
        f"ollama:{name.model.rpartition('/')[2]}, or give base_url for your own server"
    )
