"""Which files of the project are not as an earlier run copied them. Knows only the copies of two runs."""

from __future__ import annotations

import filecmp
import re
from pathlib import Path

from tunesmith.evaluator.files.snapshot import Snapshot

SHOWN = 5
"""Number of changed files that are named."""
_STUDY_TABLE = re.compile(r"^\s*\[study\]", re.MULTILINE)


def snapshot_changes(now: Snapshot, earlier: str) -> str | None:
    """Return the changed and removed files of the project in words; None where no change can matter.

    New files do not count: the earlier run worked without them. Study files do not count either: what changed in one
    is compared key by key. Linked folders and files are not copied, so a change there is named as such.

    Args:
        now: the copy of this run.
        earlier: the variant of the earlier run's copy, in the same folder of copies.
    """
    before = now.folder.with_name(earlier)
    if not before.is_dir():
        return "which ones is not known, since the earlier copy is gone"
    linked = {entry.path for entry in now.entries if entry.is_linked}
    copied = [p for p in sorted(before.rglob("*")) if p.is_file() and not p.is_symlink()]
    names = [str(p.relative_to(before)) for p in copied if not _is_study_file(p) and _differs(p, now.folder, before)]
    if not names and linked and not _has_new_files(now.folder, before):
        return "what is linked into each trial: large files or data"
    if not names:
        return None
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"


def _is_study_file(path: Path) -> bool:
    if path.suffix != ".toml":
        return False
    return _STUDY_TABLE.search(path.read_text(encoding="utf-8", errors="replace")) is not None


def _differs(path: Path, now: Path, before: Path) -> bool:
    other = now / path.relative_to(before)
    return not other.is_file() or not filecmp.cmp(path, other, shallow=False)


def _has_new_files(now: Path, before: Path) -> bool:
    return any(not (before / p.relative_to(now)).exists() for p in now.rglob("*"))
