"""Renders the prompts for edits of the code. Facts come in as data and sentences come from the templates."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

from tunesmith.prompts.history_summary import CHARS_PER_TOKEN, estimate_tokens
from tunesmith.prompts.message import Message
from tunesmith.prompts.planner_prompts import StudyBrief, opening_messages
from tunesmith.prompts.render import render_text

MAX_TOKENS = 20_000
"""Limit for one prompt, by the estimate of `estimate_tokens`; code needs more than a table of trials."""

_MAX_EARLIER_EDITS = 24

_FIXED_TOKENS = 4500
"""Tokens reserved for everything but the opening messages and the code."""

_REPAIR_TOKENS = 3500
"""Tokens reserved for a failed edit."""

_LINE_PREFIX_CHARS = 2
"""Characters that the fence puts before each line of code."""

_MIN_FILE_CHARS = 200
_MIN_CODE_TOKENS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeFacts:
    """The version of the code to edit, and its results.

    Attributes:
        name: name of the version.
        files: text of each file that may be edited, by path.
        protected: patterns of files that may not be edited.
        results: best values of this version, the user's code and the default, in one line.
        params: its best configuration, in one line.
        curve: the metric during its best trial, a few numbers.
        earlier_edits: one line for each earlier edit, the latest last.
        overused_direction: a direction that must not be proposed next; "" for none.
    """

    name: str
    files: Mapping[str, str]
    metric: str
    protected: Sequence[str] = ()
    results: str = ""
    params: str = ""
    curve: str = ""
    earlier_edits: Sequence[str] = ()
    overused_direction: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedEdit:
    """An edit whose first trial failed.

    Attributes:
        kind: kind of the failure, such as "crash".
        tail: end of the trial's log.
    """

    name: str
    rationale: str
    diff: str
    kind: str
    reason: str
    tail: str = ""


def editing_messages(
    brief: StudyBrief, facts: CodeFacts, *, count: int = 1, broken: FailedEdit | None = None
) -> list[Message]:
    """Return the question for at most `count` edits, or for the repair of one."""
    # The code is shown once, as the version to edit; the script in the project may be another version.
    opening = opening_messages(replace(brief, script=""))
    code_tokens = MAX_TOKENS - sum(estimate_tokens(message.text) for message in opening) - _FIXED_TOKENS
    code_tokens -= _REPAIR_TOKENS if broken is not None else 0
    question = render_text(
        "edit.md",
        name=facts.name,
        files=[
            {"path": path, "text": text, "limit": limit}
            for (path, text), limit in zip(facts.files.items(), _shown_chars(facts.files, code_tokens), strict=True)
        ],
        protected=", ".join(facts.protected),
        standing=facts.results,
        params=facts.params,
        curve=facts.curve,
        tree=facts.earlier_edits[-_MAX_EARLIER_EDITS:],
        tired=facts.overused_direction,
        directions=directions(),
        metric=facts.metric,
        count=count,
    )
    parts = [question]
    if broken is not None:
        parts.append(render_text("edit_repair.md", **asdict(broken)))
    return [*opening, Message("user", "\n\n".join(parts))]


def edit_retry_message(problem: str, *, last: bool) -> Message:
    """Return the question that follows an edit that cannot run."""
    return Message("user", render_text("edit_retry.md", problem=problem, last=last))


@cache
def directions() -> Mapping[str, str]:
    """Return the directions of edits, and the meaning of each."""
    return tomllib.loads(Path(__file__).with_name("directions.toml").read_text(encoding="utf-8"))


def _shown_chars(files: Mapping[str, str], tokens: int) -> list[int]:
    """Return the number of characters shown of each file: small files whole, large files share what is left."""
    chars_left = max(tokens, _MIN_CODE_TOKENS) * CHARS_PER_TOKEN
    shown: dict[str, int] = {}
    by_size = sorted(files.items(), key=lambda item: len(item[1]))
    for index, (path, text) in enumerate(by_size):
        with_prefixes = 1.0 + _LINE_PREFIX_CHARS * (text.count("\n") + 1) / max(len(text), 1)
        share = int(chars_left / (len(files) - index) / with_prefixes)
        shown[path] = max(min(len(text), share), _MIN_FILE_CHARS)
        chars_left -= shown[path] * with_prefixes
    return [shown[path] for path in files]
