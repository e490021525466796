"""Versions of the project's code (variants), and the search/replace edits that make one from another.

Plain data and text; reads no file and starts no process. The edit format is the search/replace block of coding
assistants such as aider, which needs no line numbers.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tunesmith.study.errors import TunesmithError
from tunesmith.study.formatting import render_literal
from tunesmith.study.search_replace import (
    find_matches,
    plain_text,
    replace_match,
    split_lines,
    split_lines_with_ends,
)
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.trial import EDITED

DIRECTIONS = (
    "architecture", "optimizer", "schedule", "data", "regularisation", "efficiency", "bugfix", "simplify", "other",
)  # fmt: skip
"""What an edit changes, in one word."""
COMBINE = "combine"
"""The direction of a variant that combines the edits of two others."""

PERSON = "chat"
"""The author of an edit that a person requested, in the chat or through another agent."""

NEAREST_LINES = 12
"""Longest excerpt of the file, in lines, in the message about a search text without a match."""


class EditRefused(TunesmithError):
    """Edits cannot be applied. The message says which one, why, and what the file contains."""


class VariantState(StrEnum):
    """The result of validating a variant; only sound ones get trials."""

    SOUND = "sound"
    REFUSED = "refused"
    DUPLICATE = "duplicate"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit: replace the text `search`, which occurs exactly once in the file, by `replace`.

    An empty `search` creates a new file.
    """

    path: str
    search: str
    replace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A version of the code. `created_at` is in seconds since the epoch.

    Attributes:
        id: a hash of all files; for a snapshot of the user's project, the hash of the snapshot.
        parent: the variant that was edited; None for the user's project.
        files: the text of each editable file, by path.
        diff: the unified diff from the parent; refused variants have one too.
        author: "user", "llm", "chat" or "crossover".
        direction: one of DIRECTIONS, or COMBINE; "" for the user's project.
        declared: new parameters that the edit reads, as tables like those of [space].
        state: whether it gets trials.
        reason: why it gets none; "" if it does.
        warnings: unusual things that it does, one sentence each.
        joined: the other variant whose changes it has on top of its parent's; None unless it joins two.
        params: the values that it was written for, where they differ from its parent's best configuration.
        predicted: its author's expected value of the first metric; None without one.
    """

    id: str
    parent: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    diff: str = ""
    author: str = "user"
    rationale: str = ""
    direction: str = ""
    declared: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    state: VariantState = VariantState.SOUND
    reason: str = ""
    warnings: tuple[str, ...] = ()
    joined: str | None = None
    params: Mapping[str, Value] = field(default_factory=dict)
    predicted: float | None = None
    created_at: float = 0.0

    @property
    def is_edited(self) -> bool:
        """Whether it has edits, and is not a snapshot of the user's project."""
        return self.parent is not None


def apply_edits(files: Mapping[str, str], edits: Sequence[Edit], allowed: Sequence[str] = ()) -> dict[str, str]:
    """Return the files with all edits applied in order.

    Args:
        files: the text of each editable file, by path.
        edits: the edits.
        allowed: paths of new files that edits may create.

    Raises:
        EditRefused: a file may not be edited, a search text has no match or several, or nothing would change.
    """
    if not edits:
        raise EditRefused("there are no edits; give at least one search/replace block")
    after = dict(files)
    for number, edit in enumerate(edits, start=1):
        try:
            after[edit.path] = _replaced(after, edit, allowed)
        except EditRefused as refused:
            path = edit.path if edit.path.isprintable() else render_literal(edit.path)
            raise EditRefused(f"edit {number} ({path}): {refused}") from None
    if after == dict(files):
        raise EditRefused("the edits cancel each other out: nothing would change")
    return after


def unified_diff(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Return the difference of two sets of files as a unified diff for `git apply` and `patch -p1`."""
    parts = []
    for path in sorted({*before, *after}):
        if before.get(path) == after.get(path):
            continue
        old, new = before.get(path), after.get(path)
        source, target = f"a/{path}" if old is not None else "/dev/null", f"b/{path}"
        for line in difflib.unified_diff(
            split_lines_with_ends(old or ""), split_lines_with_ends(new or ""), source, target
        ):
            parts.append(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n")
    return "".join(parts)


def variant_id(root: str, files: Mapping[str, str]) -> str:
    """Return the id of a variant: a hash of its root snapshot's id and the text of its files."""
    digest = hashlib.blake2b(root.encode(), digest_size=8)
    for path, text in sorted(files.items()):
        digest.update(f"\0{path}\0".encode())
        digest.update(text.encode("utf-8", errors="surrogateescape"))
    return EDITED + digest.hexdigest()


def has_same_files(root: Variant, other: Variant) -> bool:
    """Return whether two snapshots of the user's project have the same editable files, even if other files differ."""
    return not root.is_edited and not other.is_edited and dict(root.files) == dict(other.files)


def moved_ids(variants: Iterable[Variant]) -> set[str]:
    """Return the ids of edits that were made on another version than they were proposed for, under another id."""
    return {v.joined for v in variants if v.joined is not None and v.direction != COMBINE}


def short_id(name: str) -> str:
    """Return the id of a version of the code, shortened for people."""
    return name[: len(EDITED) + 6] if name.startswith(EDITED) else name[:8]


def root_variant(variant: Variant, variants: Mapping[str, Variant]) -> Variant:
    """Return the snapshot of the user's project that a variant descends from; itself if it is one."""
    while variant.parent is not None and variant.parent in variants:
        variant = variants[variant.parent]
    return variant


def _replaced(files: Mapping[str, str], edit: Edit, allowed: Sequence[str]) -> str:
    text = files.get(edit.path)
    if text is None:
        if edit.path in allowed and not edit.search.strip():
            return edit.replace
        if edit.path in allowed:
            raise EditRefused("this file does not exist; leave the search text empty to create it")
        known = ", ".join(files) or "none"
        raise EditRefused(f"this file may not be edited; editable files: {known}")
    if not edit.search:
        raise EditRefused("the search text is empty, but the file exists; copy the lines to replace")
    if plain_text(edit.search) == plain_text(edit.replace):
        raise EditRefused("search and replace are equal: nothing would change")
    found = find_matches(text, edit.search, edit.replace)
    if len(found) > 1:
        raise EditRefused(f"the search text occurs {len(found)} times in the file; include more of the lines around it")
    if not found:
        if edit.replace and plain_text(edit.replace) in plain_text(text):
            raise EditRefused("the file already contains the replacement, but not the search text")
        raise EditRefused(f"the search text is not in the file. {_nearest(text, edit.search)}")
    return replace_match(text, found[0])


def _nearest(text: str, search: str) -> str:
    """Return the lines of the file that are most similar to the search text."""
    lines, wanted = split_lines(text), split_lines(search.strip("\r\n")) or [""]
    height = min(len(wanted), NEAREST_LINES)
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2("\n".join(wanted[:height]))
    best, start = 0.0, 0
    for index in range(max(len(lines) - height + 1, 1)):
        matcher.set_seq1("\n".join(lines[index : index + height]))
        if matcher.real_quick_ratio() > best and matcher.quick_ratio() > best and (ratio := matcher.ratio()) > best:
            best, start = ratio, index
    shown = "\n".join(lines[start : start + height])
    return f"The most similar lines are {start + 1} to {start + height}; copy them exactly:\n{shown}"
