"""A version of the project's code: a parent and edits on it, and the exact replacing of text that makes one.

Plain data and text; reads no file and starts nothing. Source of the search/replace form: the block format by which
coding assistants edit files without line numbers, as in aider's.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tunesmith.study.errors import TunesmithError
from tunesmith.study.trials.trial import EDITED

DIRECTIONS = (
    "architecture", "optimizer", "schedule", "data", "regularisation", "efficiency", "bugfix", "simplify", "other",
)  # fmt: skip
"""What an edit is about, one word each."""
COMBINE = "combine"
"""The direction of a variant that was made by laying one variant's edits over another's."""

PERSON = "chat"
"""The author of an edit that a person asked for, by chat or another agent."""

NEAREST_LINES = 12
"""So many lines around the nearest match are shown to who wrote a search text that is nowhere."""


class EditRefused(TunesmithError):
    """Edits cannot be made; the message says which, why, and what stands there instead."""


class VariantState(StrEnum):
    """What became of a variant; only sound ones get trials."""

    SOUND = "sound"
    REFUSED = "refused"
    DUPLICATE = "duplicate"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Edit:
    """One block: the text `search`, which stands exactly once in the file, gives way to `replace`.

    An empty `search` makes a new file.
    """

    path: str
    search: str
    replace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One version of the code. `created_at` is in seconds since the epoch.

    Attributes:
        id: a hash of all files; of a snapshot of the user's project, the hash of that.
        parent: the variant that was edited; None for the user's project.
        files: the whole text of each file that may be edited, by path.
        diff: what changed against the parent, as a unified diff; kept for those that are refused, too.
        author: "user", "llm", "chat" or "crossover".
        direction: what the edit is about: one of DIRECTIONS, or COMBINE; "" for the user's project.
        declared: further parameters that the edit reads, as tables like those of [space].
        state: whether it may run.
        reason: why it may not.
        warnings: what it does that an edit rarely needs, a sentence each.
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
    created_at: float = 0.0

    @property
    def is_edited(self) -> bool:
        """Tell whether it is more than a snapshot of the user's project."""
        return self.parent is not None


def apply_edits(files: Mapping[str, str], edits: Sequence[Edit], allowed: Sequence[str] = ()) -> dict[str, str]:
    """Return the files with all edits made, in their order; none is made when one cannot be.

    Args:
        files: the text of each file that may be edited, by path.
        edits: the blocks.
        allowed: paths of files that may be made anew.

    Raises:
        EditRefused: a file may not be edited, a block matches nowhere or twice, or changes nothing.
    """
    if not edits:
        raise EditRefused("there is no edit; give at least one search/replace block")
    after = dict(files)
    for number, edit in enumerate(edits, start=1):
        try:
            after[edit.path] = _replaced(after, edit, allowed)
        except EditRefused as refused:
            raise EditRefused(f"edit {number} ({edit.path}): {refused}") from None
    if after == dict(files):
        raise EditRefused("the edits undo each other: nothing is changed")
    return after


def unified_diff(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Return the difference of two sets of files as a unified diff that `git apply` and `patch -p1` take."""
    parts = []
    for path in sorted({*before, *after}):
        if before.get(path) == after.get(path):
            continue
        old, new = before.get(path), after.get(path)
        source, target = f"a/{path}" if old is not None else "/dev/null", f"b/{path}"
        for line in difflib.unified_diff(_lines(old or ""), _lines(new or ""), source, target):
            parts.append(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n")
    return "".join(parts)


def variant_id(root: str, files: Mapping[str, str]) -> str:
    """Return the hash that names a variant: of the snapshot it stands on and the text of its files."""
    digest = hashlib.blake2b(root.encode(), digest_size=8)
    for path, text in sorted(files.items()):
        digest.update(f"\0{path}\0".encode())
        digest.update(text.encode("utf-8", errors="surrogateescape"))
    return EDITED + digest.hexdigest()


def short_id(name: str) -> str:
    """Return the name of a version of the code as people are shown it."""
    return name[: len(EDITED) + 6] if name.startswith(EDITED) else name[:8]


def root_variant(variant: Variant, variants: Mapping[str, Variant]) -> Variant:
    """Return the user's project that a variant stands on, itself when it is that."""
    while variant.parent is not None and variant.parent in variants:
        variant = variants[variant.parent]
    return variant


def _replaced(files: Mapping[str, str], edit: Edit, allowed: Sequence[str]) -> str:
    text = files.get(edit.path)
    if text is None:
        if edit.path in allowed and not edit.search:
            return edit.replace
        known = ", ".join(files) or "none"
        raise EditRefused(f"this file may not be edited; those that may: {known}")
    if not edit.search:
        raise EditRefused("the search text is empty, but the file exists; copy the lines that are to be replaced")
    if edit.search == edit.replace:
        raise EditRefused("search and replace are the same text: nothing would change")
    count = text.count(edit.search)
    if count > 1:
        raise EditRefused(f"the search text stands {count} times in the file; copy more lines around the one you mean")
    if count == 0:
        if edit.replace and edit.replace in text:
            raise EditRefused("the replacement stands in the file already, and the search text does not")
        raise EditRefused(f"the search text is nowhere in the file. {_nearest(text, edit.search)}")
    return text.replace(edit.search, edit.replace)


def _nearest(text: str, search: str) -> str:
    """Return the lines of the file that are most like what was searched for."""
    lines, wanted = text.splitlines(), search.strip("\n").splitlines() or [""]
    height = min(len(wanted), NEAREST_LINES)
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2("\n".join(wanted[:height]))
    best, start = 0.0, 0
    for index in range(max(len(lines) - height + 1, 1)):
        matcher.set_seq1("\n".join(lines[index : index + height]))
        if matcher.real_quick_ratio() > best and matcher.quick_ratio() > best and (ratio := matcher.ratio()) > best:
            best, start = ratio, index
    shown = "\n".join(lines[start : start + height])
    return f"Nearest are lines {start + 1} to {start + height}; copy them exactly:\n{shown}"


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)
