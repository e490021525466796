"""What is known of a study as a whole, beside its trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tunesmith.study.config.budget import Spent
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.trial import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRecord:
    """A study as it stands in the history. `created_at` is in seconds since the epoch.

    Attributes:
        project: the folder of study.toml when the study last ran; "" for a study from Python.
        ended_by: the limit that ended it, "exhausted", "interrupted", or "" while it runs or after a crash.
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
    """Something that happened, at a time in seconds since the epoch, to one trial or to the study as a whole."""

    at: float
    kind: str
    trial: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


def usage_detail(usage: Usage | None) -> dict[str, float]:
    """Return what an event keeps of a command whose usage stands in no trial; nothing where none was measured."""
    used = {"gpu_s": usage.gpu_s, "energy_j": usage.energy_j} if usage is not None else {}
    return {name: value for name, value in used.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmCall:
    """One question to an LLM as it is kept. Times are seconds since the epoch.

    Attributes:
        messages: what was asked: (role, text) pairs.
        error: why no answer came or it could not be used; "" otherwise.
        input_tokens: None where the server did not say, as is output_tokens.
        cost_usd: None where the price is unknown.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What an LLM learned from a study, and the numbers of the trials that support it.

    Attributes:
        study: the name of an earlier study whose trials these are; "" for the study at hand.
    """

    text: str
    trials: tuple[int, ...]
    study: str = ""
