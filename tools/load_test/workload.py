"""The requests of a load test: prompts from a file or made up, and when each is sent. The same seed, the same load."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.study.errors import ProjectError

WORDS = [
    "time",
    "year",
    "people",
    "way",
    "day",
    "man",
    "thing",
    "woman",
    "life",
    "child",
    "world",
    "school",
    "state",
    "family",
    "student",
    "group",
    "country",
    "problem",
    "hand",
    "part",
    "place",
    "case",
    "week",
    "company",
    "system",
    "program",
    "question",
    "work",
    "number",
    "night",
    "point",
    "home",
    "water",
    "room",
    "mother",
    "area",
    "money",
    "story",
    "fact",
    "month",
    "lot",
    "right",
    "study",
    "book",
    "eye",
    "job",
    "word",
    "business",
    "issue",
    "side",
    "kind",
    "head",
    "house",
    "service",
    "friend",
    "father",
    "power",
    "hour",
    "game",
    "line",
    "end",
    "member",
    "law",
    "car",
    "city",
    "name",
    "team",
    "minute",
    "idea",
    "kid",
    "body",
    "information",
    "back",
    "parent",
    "face",
    "others",
    "level",
    "office",
    "door",
    "health",
    "person",
    "art",
    "war",
    "history",
    "party",
    "result",
    "change",
    "morning",
    "reason",
    "research",
    "girl",
    "guy",
    "moment",
    "air",
    "teacher",
]
"""Common English words: most tokenizers have one token for each, with the space before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSpec:
    """What is sent.

    Attributes:
        requests: number of measured requests.
        concurrency: most requests at once.
        rate: mean requests per second, which arrive as a Poisson process; None sends one as soon as another ends.
        input_tokens: approximate length of made-up prompts.
        output_tokens: most tokens of an answer.
        prompts: a text file with a prompt per line, or JSON lines with `prompt`, `text`, `question` or `messages`.
        seed: of prompts, order and arrival times.
        warmup: number of requests before, which are not measured.
        timeout_s: longest time for one request.
        is_chat: whether /v1/chat/completions is asked; else /v1/completions.
        model: name in the requests; "" for the first that the server lists.
        body: further keys of every request.
        stops_early: whether an answer may be shorter; else the server is asked to ignore its end token.
    """

    requests: int = 64
    concurrency: int = 8
    rate: float | None = None
    input_tokens: int = 256
    output_tokens: int = 64
    prompts: Path | None = None
    seed: int = 0
    warmup: int = 2
    timeout_s: float = 120.0
    is_chat: bool = True
    model: str = ""
    body: Mapping[str, Any] | None = None
    stops_early: bool = False


def prompts_of(spec: LoadSpec) -> list[Any]:
    """Return a prompt for each request, those of the warm-up first: a text, or the messages of a chat.

    Raises:
        ProjectError: the file of prompts cannot be read, or holds none.
    """
    count = spec.warmup + spec.requests
    draw = np.random.default_rng([spec.seed, 1])
    if spec.prompts is None:
        return [" ".join(draw.choice(WORDS, size=max(spec.input_tokens, 1))) for _ in range(count)]
    found = _read_prompts(spec.prompts)
    order = draw.permutation(len(found))
    return list(islice(cycle(found[index] for index in order), count))


def arrival_times(spec: LoadSpec) -> Sequence[float]:
    """(requests,) seconds after the start at which each request is due; all 0 without a rate."""
    if spec.rate is None:
        return [0.0] * spec.requests
    gaps = np.random.default_rng([spec.seed, 2]).exponential(1.0 / spec.rate, size=spec.requests)
    return [float(at) for at in np.cumsum(gaps) - gaps[0]]


def _read_prompts(path: Path) -> list[Any]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except OSError as error:
        raise ProjectError(f"the prompts in {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ProjectError(f"the prompts in {path} are not UTF-8; save the file as UTF-8") from None
    found = [_prompt(line, number, path) for number, line in enumerate(lines, start=1) if line]
    if not found:
        raise ProjectError(f"{path} has no prompts; write one per line, or JSON lines with a key prompt")
    return found


def _prompt(line: str, number: int, path: Path) -> Any:
    if path.suffix not in (".jsonl", ".json", ".ndjson"):
        return line
    try:
        entry = json.loads(line)
    except ValueError as error:
        raise ProjectError(f"{path}, line {number}: is not JSON: {error}") from None
    if isinstance(entry, str):
        return entry
    keys = ("messages", "prompt", "text", "question")
    found = next((entry[key] for key in keys if entry.get(key)), None) if isinstance(entry, dict) else None
    if found is None:
        raise ProjectError(f"{path}, line {number}: has no key {', '.join(keys[:-1])} or {keys[-1]}")
    return found
