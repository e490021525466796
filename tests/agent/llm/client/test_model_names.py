"""Names of models: which part is the provider, and which name the server is asked for."""

from __future__ import annotations

import pytest
from fakes.llm.server import error, message, serving

from tunesmith.agent.llm.client.client import LangChainModel
from tunesmith.agent.llm.client.failures.errors import Down, ModelDown
from tunesmith.agent.llm.client.model_names import PROVIDERS, split_model_name
from tunesmith.agent.llm.client.types import AnswerFormat
from tunesmith.prompts.message import Message

ANY = AnswerFormat("rate", {"type": "object", "properties": {}}, lambda found: found)
QUESTION = [Message("user", "hi")]

SERVED = {
    "qwen3": "qwen3",
    "qwen3:8b": "qwen3:8b",
    "openai:qwen3:8b": "qwen3:8b",
    "OpenAI:qwen3:8b": "qwen3:8b",
    "meta-llama/llama-3.1-70b-instruct:free": "meta-llama/llama-3.1-70b-instruct:free",
    "ft:gpt-4o-mini:org::id": "ft:gpt-4o-mini:org::id",
    "openai:ft:gpt-4o-mini-2024-07-18:org::id": "ft:gpt-4o-mini-2024-07-18:org::id",
    "hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M": "hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M",
    "lmstudio-community/Qwen2.5-7B/model-Q4.gguf": "lmstudio-community/Qwen2.5-7B/model-Q4.gguf",
    "C:/models/qwen.gguf": "C:/models/qwen.gguf",
    "ollama:qwen3:8b": "ollama:qwen3:8b",
    "gpt-5-pro": "gpt-5-pro",
    "openai:": "openai:",
}


@pytest.mark.parametrize("name", SERVED)
def test_with_base_url_the_whole_name_goes_to_the_server(name: str) -> None:
    with serving(lambda request, before: message('{"lr": 0.1}')) as server:  # noqa: ARG005
        LangChainModel(name, base_url=server.base_url, own_prices={}).ask(QUESTION, ANY)
    assert [request["model"] for request in server.requests] == [SERVED[name]]


SPLIT = {
    "openai:gpt-5-mini": ("openai", "gpt-5-mini"),
    "ollama:qwen3:8b": ("ollama", "qwen3:8b"),
    "azure_openai:my-deployment": ("azure_openai", "my-deployment"),
    "azure-openai:my-deployment": ("azure_openai", "my-deployment"),
    "openrouter:meta-llama/llama-3.1-70b-instruct:free": ("openrouter", "meta-llama/llama-3.1-70b-instruct:free"),
    "bedrock_converse:anthropic.claude-3-5-sonnet-20240620-v1:0": (
        "bedrock_converse",
        "anthropic.claude-3-5-sonnet-20240620-v1:0",
    ),
    "anthropic.claude-3-5-sonnet-20240620-v1:0": ("", "anthropic.claude-3-5-sonnet-20240620-v1:0"),
    "us.anthropic.claude-3-7-sonnet-20250219-v1:0": ("bedrock", "us.anthropic.claude-3-7-sonnet-20250219-v1:0"),
    "ft:gpt-4o-mini:org::id": ("openai", "ft:gpt-4o-mini:org::id"),
    "qwen3:8b": ("", "qwen3:8b"),
    "gpt-4o": ("openai", "gpt-4o"),
}


@pytest.mark.parametrize("name", SPLIT)
def test_the_part_before_the_first_colon_is_a_provider_where_langchain_knows_it(name: str) -> None:
    assert split_model_name(name) == SPLIT[name]


def test_the_providers_are_those_of_langchain() -> None:
    from langchain.chat_models import base

    assert set(base._BUILTIN_PROVIDERS) == PROVIDERS


def test_a_name_without_a_clear_provider_says_what_to_write() -> None:
    with pytest.raises(ModelDown, match="not clear which provider serves 'qwen3:8b'.*ollama:qwen3:8b.*base_url"):
        LangChainModel("qwen3:8b", own_prices={}).ask(QUESTION, ANY)


def test_a_provider_before_a_name_of_base_url_is_named_when_the_server_has_no_such_model() -> None:
    missing = error(404, "model not found", code="model_not_found")
    with serving(lambda request, before: missing) as server, pytest.raises(ModelDown) as caught:  # noqa: ARG005
        LangChainModel("ollama:qwen3:8b", base_url=server.base_url, own_prices={}).ask(QUESTION, ANY)
    assert caught.value.kind is Down.NOT_FOUND
    assert "leave out ollama:" in caught.value.reason
