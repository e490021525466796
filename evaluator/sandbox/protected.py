"""Finds the project's protected files, and which of them a trial changed all the same.

The sandbox mounts them read-only; the check after the trial covers trials without a sandbox, and gaps in it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tunesmith.evaluator.tree_walk import walk
from tunesmith.evaluator.workspace import Snapshot, matches_pattern
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


def unsafe_artifacts(folder: Path) -> Iterator[str]:
    """Yield what an evaluation must not find in a folder of artifacts, one sentence each.

    A link out of the folder could lead to files that only the evaluation sees; a pipe would block its reader.
    """
    root = Path(os.path.realpath(folder))
    for entry in walk(folder):
        shown = os.path.relpath(entry.path, folder.parent)
        try:
            mode = os.lstat(entry.path).st_mode
        except OSError:
            yield f"{shown} is in a locked folder"
            continue
        if stat.S_ISLNK(mode) and not Path(os.path.realpath(entry.path)).is_relative_to(root):
            yield f"{shown} is a link that leads out of the folder"
        elif not (stat.S_ISLNK(mode) or stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            yield f"{shown} is neither a file nor a folder"


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
