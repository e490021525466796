"""What a language model is shown when it is asked for an edit of the code. Every fact comes in as data."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from tunesmith.prompts.history_summary import CHARS_PER_TOKEN, estimate_tokens
from tunesmith.prompts.message import Message
from tunesmith.prompts.planner_prompts import StudyBrief, opening_messages
from tunesmith.prompts.render import render_text

MAX_TOKENS = 20_000
"""No question for an edit is longer: code takes more room than a table of trials."""

_TREE_LINES = 24
_FOR_THE_REST = 4500
_FOR_A_REPAIR = 3500
_BAR = 2
"""Characters that stand before each line of code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeFacts:
    """The code that is to be edited, and what is known of it.

    Attributes:
        name: of the version.
        files: the text of each file that may be edited, by path.
        protected: patterns of files that may not.
        standing: how well it does, in a line.
        params: its best configuration, in a line.
        curve: the metric while its best trial trained, a few numbers.
        tree: a line for each earlier edit, the latest last.
        tired: a direction of which there were enough.
    """

    name: str
    files: Mapping[str, str]
    metric: str
    protected: Sequence[str] = ()
    standing: str = ""
    params: str = ""
    curve: str = ""
    tree: Sequence[str] = ()
    tired: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedEdit:
    """An edit that failed when it ran."""

    name: str
    rationale: str
    diff: str
    kind: str
    reason: str
    tail: str = field(default="")


def editing_messages(subject: StudyBrief, facts: CodeFacts, *, broken: FailedEdit | None = None) -> list[Message]:
    """Return the question for an edit, or for the repair of one."""
    # The code is shown once, as the version that is edited, which need not be what stands in the project.
    opening = opening_messages(replace(subject, script=""))
    left = MAX_TOKENS - sum(estimate_tokens(message.text) for message in opening) - _FOR_THE_REST
    left -= _FOR_A_REPAIR if broken is not None else 0
    asked = render_text(
        "edit.md",
        name=facts.name,
        files=[
            {"path": path, "text": text, "limit": limit}
            for (path, text), limit in zip(facts.files.items(), _limits(facts.files, left), strict=True)
        ],
        protected=", ".join(facts.protected),
        standing=facts.standing,
        params=facts.params,
        curve=facts.curve,
        tree=facts.tree[-_TREE_LINES:],
        tired=facts.tired,
        directions=directions(),
        metric=facts.metric,
    )
    parts = [asked]
    if broken is not None:
        said = {name: getattr(broken, name) for name in ("name", "rationale", "diff", "kind", "reason", "tail")}
        parts.append(render_text("edit_repair.md", **said))
    return [*opening, Message("user", "\n\n".join(parts))]


def edit_retry_message(problem: str, *, last: bool) -> Message:
    """Return what is said of an edit that cannot run."""
    return Message("user", render_text("edit_retry.md", problem=problem, last=last))


@cache
def directions() -> Mapping[str, str]:
    """Return what an edit may be about, and what that means."""
    return tomllib.loads(Path(__file__).with_name("directions.toml").read_text(encoding="utf-8"))


def _limits(files: Mapping[str, str], tokens: int) -> list[int]:
    """Return how many characters of each file are shown: all of small ones, and of large ones what is left for them."""
    room = max(tokens, 1000) * CHARS_PER_TOKEN
    limits: dict[str, int] = {}
    for place, (path, text) in enumerate(sorted(files.items(), key=lambda item: len(item[1]))):
        with_bars = 1.0 + _BAR * (text.count("\n") + 1) / max(len(text), 1)
        limits[path] = max(min(len(text), int(room / (len(files) - place) / with_bars)), 200)
        room -= limits[path] * with_bars
    return [limits[path] for path in files]
