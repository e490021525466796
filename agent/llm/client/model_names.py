"""Splits the name of a model into provider and model; names may contain colons and slashes themselves.

Ollama's tags (`qwen3:8b`), fine-tunes (`ft:gpt-4o-mini:org::id`), Bedrock's versions (`...-v1:0`) and OpenRouter's
variants (`...:free`) contain colons, so the part before the first one is a provider only where LangChain knows it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# fmt: off
PROVIDERS = frozenset({
    "anthropic", "anthropic_bedrock", "azure_ai", "azure_openai", "baseten", "bedrock", "bedrock_converse",
    "bedrock_mantle_anthropic", "bedrock_mantle_openai", "cohere", "deepseek", "fireworks",
    "google_anthropic_vertex", "google_genai", "google_vertexai", "groq", "huggingface", "ibm", "langsmith",
    "litellm", "meta", "mistralai", "nvidia", "ollama", "openai", "openrouter", "perplexity", "together",
    "upstage", "xai",
})
# fmt: on
"""The providers of LangChain's init_chat_model, which takes a second to import; a test compares the two."""

_BY_NAME = (
    (r"gpt-|chatgpt-|o\d(?:-|$)|ft:(?:gpt|o\d|babbage|davinci)", "openai"),
    (r"(?:us|eu|apac|global|us-gov)\.(?:anthropic|amazon|meta|mistral|deepseek)\.", "bedrock"),
    (r"arn:aws[\w-]*:bedrock:", "bedrock"),
)
"""Names whose provider is clear, most of which LangChain does not infer."""


class ModelName(NamedTuple):
    """The provider, "" when it is to be inferred from the name, and the model as the provider calls it."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}:{self.model}" if self.provider else self.model


def split_model_name(name: str, *, base_url: str | None = None) -> ModelName:
    """Return the parts of a model's name.

    Args:
        name: "provider:model" as LangChain writes it, or only a model's name.
        base_url: address of a server with the OpenAI protocol. It gets the whole name, less a leading "openai:".
    """
    prefix, colon, rest = name.partition(":")
    provider = prefix.strip().lower().replace("-", "_")
    if base_url:
        return ModelName("openai", rest if colon and provider == "openai" and rest else name)
    if colon and rest and provider in PROVIDERS:
        return ModelName(provider, rest)
    return ModelName(next((known for pattern, known in _BY_NAME if re.match(pattern, name)), ""), name)


def has_provider(name: str) -> bool:
    """Tell whether a name begins with one of LangChain's providers."""
    return split_model_name(name).provider != "" and ":" in name
