"""A state of the project's code: the user's own, or one that an edit made of it. Plain data, knows no file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A state of the project's files.

    Attributes:
        id: the hash of the files.
        parent: the variant that it was made from; None for a snapshot of the user's own project.
        diff: what it changes in the user's project, as a unified diff (a/PATH, b/PATH, relative to the project).
        author: who made it: user, llm, ...
        rationale: why it should help, in its author's words.
        created_at: seconds since the epoch.
        direction: what kind of change it is: architecture, optimizer, schedule, data, ...; "" when not told.
        declared: what its author said of it besides.
    """

    id: str
    parent: str | None = None
    diff: str = ""
    author: str = "user"
    rationale: str = ""
    created_at: float = 0.0
    direction: str = ""
    declared: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_snapshot(self) -> bool:
        """Tell whether it is the user's own project rather than an edit of it."""
        return self.parent is None
