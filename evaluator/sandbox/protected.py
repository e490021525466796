"""Files of the project that a trial may not change: which they are, and whether one was changed after all.

The sandbox mounts them read-only; looking afterwards catches what happens without one, and whatever slipped through.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tunesmith.evaluator.tree_walk import walk
from tunesmith.evaluator.workspace import Snapshot, is_meant
from tunesmith.study.errors import ProjectError
from tunesmith.study.names import did_you_mean


def protected_files(snapshot: Snapshot, patterns: Sequence[str]) -> list[str]:
    """Return the project's files that [edits].protect names, each by name, by folder or by a pattern like eval/*.py.

    Raises:
        ProjectError: one of them names nothing that is there.
    """
    paths = [entry.path for entry in snapshot.entries]
    found: set[str] = set()
    for pattern in patterns:
        name = os.path.normpath(pattern)
        matched = {path for path in paths if is_meant(path, name) or name.startswith(f"{path}/")}
        if not matched:
            hint = did_you_mean(pattern, paths)
            raise ProjectError(f"[edits].protect: {pattern!r} names no file of the project{hint}")
        found |= matched
    return sorted(found)


def signatures(folder: Path, paths: Sequence[str]) -> dict[str, str]:
    """Return what tells each of these files from any other: its content's hash; of a link, where it leads."""
    return {path: _signature(folder, path) for path in paths}


def changed(folder: Path, before: Mapping[str, str]) -> list[str]:
    """Return the paths whose files in `folder` are not what they were. No process may still write there."""
    return [path for path, signature in before.items() if _signature(folder, path) != signature]


def oddities(folder: Path) -> Iterator[str]:
    """Yield what a judge must not be shown in a folder of artifacts, a sentence each.

    A link out of it is followed where the judge stands, which sees what the trial does not; a pipe hangs its reader.
    """
    root = Path(os.path.realpath(folder))
    for entry in walk(folder):
        shown = os.path.relpath(entry.path, folder.parent)
        try:
            mode = os.lstat(entry.path).st_mode
        except OSError:
            yield f"{shown} stands in a folder that was locked"
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
