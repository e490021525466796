"""What is known of a study as a whole, beside its trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tunesmith.study.budget import Spent
from tunesmith.study.spec import StudySpec


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
