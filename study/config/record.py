"""What the history knows of a study apart from its trials: spec, use of the budget, events, LLM calls, lessons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tunesmith.study.config.budget import Spent
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.trial import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRecord:
    """A study in the history. `created_at` is in seconds since the epoch.

    Attributes:
        project: the folder of study.toml at the last run; "" for a study from Python.
        ended_by: the limit that ended it, "exhausted", "no_gain", "interrupted", or "" if it is running or crashed.
    """

    id: int
    name: str
    spec: StudySpec
    project: str = ""
    created_at: float = 0.0
    spent: Spent = Spent()
    ended_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to one trial, or to the study as a whole; `at` is in seconds since the epoch."""

    at: float
    kind: str
    trial: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


def usage_detail(usage: Usage | None) -> dict[str, float]:
    """Return the GPU time and energy of a command that belongs to no trial, for its event; empty if not measured."""
    used = {"gpu_s": usage.gpu_s, "energy_j": usage.energy_j} if usage is not None else {}
    return {name: value for name, value in used.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmCall:
    """A call of an LLM. `started_at` is in seconds since the epoch.

    Attributes:
        messages: the prompt as (role, text) pairs.
        error: why there was no answer, or it could not be used; "" otherwise.
        input_tokens: None if the server did not report it; likewise output_tokens.
        cost_usd: None if the price is unknown.
        trial: number of the latest trial that the prompt shows; None before the first, and for calls about none.
    """

    purpose: str
    prompt_version: str
    model: str
    messages: tuple[tuple[str, str], ...]
    answer: str
    error: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    started_at: float = 0.0
    wall_s: float = 0.0
    trial: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """A lesson that an LLM drew from a study, and the numbers of the trials that support it.

    Attributes:
        study: the earlier study that the trials belong to; "" for the current study.
    """

    text: str
    trials: tuple[int, ...]
    study: str = ""
