"""Recognises a prompt that is too long for its model in the words of each server, since few send a code for it."""

from __future__ import annotations

import re

_CONTEXT = r"\bcontext[ -]?(?:length|window|size|limit)"
_WORDS = {
    "OpenAI, vLLM, Mistral, DeepSeek, OpenRouter, xAI": r"maximum (?:context|prompt|input|model|sequence) length",
    "OpenAI's codes": r"context_(?:length|window)_?exceeded|string_above_max_length|tokens_limit_reached",
    "LiteLLM": r"contextwindowexceeded",
    "vLLM": r"max(?:imum)?[_ ]?(?:model|seq(?:uence)?|context|prompt|input)[_ ]len",
    "llama.cpp": r"exceed_context_size|context shift is disabled|input is too large to process",
    "llama-cpp-python": r"requested tokens \(\d+\) exceed",
    "llama.cpp, Ollama, SGLang, Cohere": (
        r"(?:exceed|overflow|larger|longer|too long|too large|too many|not enough|greater|reached|beyond|fit)"
        rf"[^.]{{0,80}}{_CONTEXT}"
    ),
    "vLLM, LM Studio, MiniMax": rf"{_CONTEXT}[^.]{{0,80}}(?:exceed|overflow|too small|not enough|(?:is|of) only)",
    "LM Studio": r"context the overflows|number of tokens to keep from the initial prompt",
    "Anthropic, Bedrock, Ollama": r"(?:prompt|input|request|messages?|conversation)s? (?:is|are|was)? ?too long",
    "Bedrock": r"input tokens exceeded|too many input tokens|expected maxlength: \d+",
    "Anthropic": r"exceed context limit",
    "Cohere": r"too many tokens: ",
    "Gemini, Vertex": r"input token count[^.]{0,40}(?:exceeds|but (?:the )?model only supports)",
    "TGI, Together": r"inputs`? must have less than \d+ tokens|inputs`? tokens \+ `?max_new_tokens`? must be",
    "Groq, OpenAI": r"reduce the length of (?:the|your) (?:messages?|prompt|input)|input tokens exceed",
    "GitHub Models": r"request body too large for \S+ model.{0,20}max size: \d+ tokens",
    "Moonshot": r"exceed(?:s|ed)? model token limit",
    "Zhipu": r"exceeds? (?:the )?(?:model(?:'s)? )?max(?:imum)? length",
    "Qwen": r"range of input length should be",
}
_PATTERN = re.compile("|".join(f"(?:{words})" for words in _WORDS.values()), re.IGNORECASE | re.DOTALL)
_LIMIT = re.compile(
    r"""(?:
        maximum\ (?:context|prompt|input|model|sequence)\ length\ (?:is|of)
        | context\ (?:length|window|size)\ (?:is|of)?(?:\ only)?
        | less\ than | must\ be\ <= | > | tokens\ allowed | supports\ up\ to | large\ for\ model\ with | cannot\ exceed
        | max\ size: | token\ limit:? | max_?length: | "?\bn_ctx"?\ ?[:=] | should\ be\ \[1,
    )\ ?\(?(\d[\d,]*)""",
    re.IGNORECASE | re.VERBOSE,
)
"""The context in tokens, behind the words with which servers name it."""

_PLAUSIBLE = range(256, 100_000_000)

_OTHER_STATUSES = frozenset({401, 402, 403, 429})
"""Statuses with another meaning: a limit of tokens per minute does not limit the prompt."""


def is_context_overflow(status: int | None, code: str, text: str) -> bool:
    """Tell whether an error means that the prompt exceeds the model's context."""
    if "context_length" in code or "context_length_exceeded" in text:
        return True
    return status not in _OTHER_STATUSES and "tokens per m" not in text.lower() and bool(_PATTERN.search(text))


def context_tokens(text: str) -> int | None:
    """Return the length of a model's context that the text of such an error names; None where it names none."""
    found = _LIMIT.search(text)
    tokens = int(found[1].replace(",", "")[:12]) if found else 0
    return tokens if tokens in _PLAUSIBLE else None
