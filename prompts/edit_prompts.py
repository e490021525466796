"""Renders the prompts for edits of the code. Facts come in as data and sentences come from the templates."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from pathlib import Path

from tunesmith.prompts.code_outline import outline
from tunesmith.prompts.example_facts import ExampleFacts
from tunesmith.prompts.history_summary import CHARS_PER_TOKEN, estimate_tokens
from tunesmith.prompts.message import Message
from tunesmith.prompts.planner_prompts import StudyBrief, opening_messages
from tunesmith.prompts.render import render_text

MAX_TOKENS = 24_000
"""Limit for one prompt, by the estimate of `estimate_tokens`; code needs more than a table of trials."""

_MAX_EARLIER_EDITS = 24

_FIXED_TOKENS = 7500
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
        protected: patterns of files that must not change.
        readable: text of protected files, which the code may depend on, by path.
        environment: limits and variables of a run.
        results: best values of the version and of the user's code, in one line.
        params: the configuration of its best trial; what follows describes that trial.
        pace: how long it took, and what it used.
        series: one line for each metric that it reported during training.
        profile: the lines of the code that took longest, each with its share of the time.
        loading: share of the time in which it loaded data; "" while that is unknown.
        log: the end of its log.
        noise: standard deviation between seeds; "" while it is unknown.
        limit: how long an edit may train; "" where that is free.
        trials_left: number of trials that may still start; "" without a limit.
        earlier_edits: one line for each earlier edit, the latest last.
        constants: one line for each number of an earlier edit that could be a parameter.
        filled: numbers in the code that are parameters already, with their places.
        may_fit: whether the model may make such numbers parameters.
        overused_direction: a direction that must not be proposed next; "" for none.
        is_text: whether the files are text parameters, and no code.
        examples: how the version did on single examples; None where that is not known.
    """

    name: str
    files: Mapping[str, str]
    metric: str
    protected: Sequence[str] = ()
    readable: Mapping[str, str] = field(default_factory=dict)
    environment: str = ""
    results: str = ""
    params: str = ""
    pace: str = ""
    series: Sequence[str] = ()
    profile: str = ""
    loading: str = ""
    log: str = ""
    noise: str = ""
    limit: str = ""
    trials_left: str = ""
    earlier_edits: Sequence[str] = ()
    constants: Sequence[str] = ()
    filled: Sequence[str] = ()
    may_fit: bool = False
    overused_direction: str = ""
    is_text: bool = False
    examples: ExampleFacts | None = None

    @property
    def template(self) -> str:
        """Name of the template that asks for edits."""
        return "edit_text.md" if self.is_text else "edit.md"


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
    opening = [Message("system", render_text("edit_system.md")), *opening_messages(replace(brief, script=""))[1:]]
    code_tokens = MAX_TOKENS - sum(estimate_tokens(message.text) for message in opening) - _FIXED_TOKENS
    code_tokens -= _REPAIR_TOKENS if broken is not None else 0
    shown, mapped = _shown_files(facts.files, code_tokens)
    left = code_tokens - sum(estimate_tokens(facts.files[path][:limit]) for path, limit in shown.items())
    question = render_text(
        facts.template,
        **{field.name: getattr(facts, field.name) for field in fields(facts) if field.name not in ("files", "is_text")},
        files=[{"path": path, "text": facts.files[path], "limit": limit} for path, limit in shown.items()],
        mapped=mapped,
        references=_references(facts.readable, left),
        edits=facts.earlier_edits[-_MAX_EARLIER_EDITS:],
        directions=directions(),
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


def _shown_files(files: Mapping[str, str], tokens: int) -> tuple[dict[str, int], list[str]]:
    """Return how many characters are shown of each file, and a map of the files that are not shown.

    Small files come first, whole; the others appear in the map. At least one file is shown, cut if it must be.
    """
    chars_left = max(tokens, _MIN_CODE_TOKENS) * CHARS_PER_TOKEN
    shown: dict[str, int] = {}
    for path, text in sorted(files.items(), key=lambda item: len(item[1])):
        with_prefixes = 1.0 + _LINE_PREFIX_CHARS * (text.count("\n") + 1) / max(len(text), 1)
        if len(text) * with_prefixes <= chars_left or not shown:
            shown[path] = max(min(len(text), int(chars_left / with_prefixes)), _MIN_FILE_CHARS)
            chars_left -= shown[path] * with_prefixes
    return {path: shown[path] for path in files if path in shown}, [
        outline(path, text) for path, text in files.items() if path not in shown
    ]


def _references(readable: Mapping[str, str], tokens: int) -> list[dict[str, str]]:
    """Return the protected files that fit, the smallest first."""
    found = []
    for path, text in sorted(readable.items(), key=lambda item: len(item[1])):
        tokens -= estimate_tokens(text)
        if tokens > 0:
            found.append({"path": path, "text": text})
    return found
