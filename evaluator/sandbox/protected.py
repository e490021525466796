"""Finds the project's protected files, and which of them a trial changed all the same.

The sandbox mounts them read-only; the check after the trial covers trials without a sandbox, and gaps in it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from tunesmith.evaluator.files.snapshot import Snapshot
from tunesmith.study.edit_paths import matches_pattern
from tunesmith.study.errors import ProjectError
from tunesmith.study.names import did_you_mean


def protected_files(snapshot: Snapshot, patterns: Sequence[str]) -> list[str]:
    """Return the project's files that [edits].protect names: by path, by folder or by a pattern such as eval/*.py.

    Raises:
        ProjectError: an entry matches no file.
    """
    paths = [entry.path for entry in snapshot.entries]
    found: set[str] = set()
    for pattern in patterns:
        name = os.path.normpath(pattern)
        matched = {path for path in paths if matches_pattern(path, name) or name.startswith(f"{path}/")}
        if not matched:
            hint = did_you_mean(pattern, paths)
            raise ProjectError(f"[edits].protect: {pattern!r} matches no file of the project{hint}")
        found |= matched
    return sorted(found)


def signatures(folder: Path, paths: Sequence[str]) -> dict[str, str]:
    """Return a signature of each of these files: the hash of its content, or the target of a link."""
    return {path: _signature(folder, path) for path in paths}


def changed_files(folder: Path, before: Mapping[str, str]) -> list[str]:
    """Return the paths whose files in `folder` no longer match their signatures. No process may still write there."""
    return [path for path, signature in before.items() if _signature(folder, path) != signature]


def _signature(folder: Path, path: str) -> str:
    file = folder / path
    if os.path.realpath(file.parent) != os.path.join(os.path.realpath(folder), os.path.dirname(path)).rstrip("/"):
        return "its folder is a link"
    try:
        mode = file.lstat().st_mode
        if stat.S_ISLNK(mode):
            status = file.stat()
            return f"{os.readlink(file)} {status.st_size} {status.st_mtime_ns}"
        if not stat.S_ISREG(mode):
            return "no file"
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "blake2b").hexdigest()
    except OSError:
        return "gone"
