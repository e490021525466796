"""Follows the files of `[run].metrics_from` while a trial writes them.

A file counts from its first change: what lay in the project before the trial is not its result. Only ordinary files
below the trial's own folders are opened.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith.evaluator.readers.file_formats import Point, read_points

MAX_FILE_BYTES = 64 * 2**20
"""Size of a file beyond which it is not read."""
MAX_FILES = 200
"""Number of files that one pattern may match."""
LOOK_S = 1.0
"""Shortest interval at which the files are looked at."""


@dataclass(frozen=True, slots=True)
class _Start:
    """A file as it was before the trial: its stamp, and what it held."""

    stamp: tuple[int, int, int]
    content: bytes


class MetricFiles:
    """Reads new points from the files that match patterns.

    Args:
        patterns: as in study.toml; `{artifacts}` at the start is the folder for files to keep.
        folders: the trial's folders by the placeholder that a pattern begins with; "" is the working folder.
    """

    def __init__(self, patterns: Sequence[str], folders: Mapping[str, Path]) -> None:
        self._patterns = patterns
        self._folders = folders
        self._given: dict[str, int] = {}
        self._stamps: dict[str, tuple[int, int, int]] = {}
        self._next_look_at = 0.0
        self.too_large: set[str] = set()
        self._at_start = {str(path): _start(path) for pattern in patterns for path in self._matches(pattern)}

    @property
    def problem(self) -> str:
        """Which files could not be read, "" for none."""
        limit = f"larger than {MAX_FILE_BYTES >> 20} MiB and not read"
        if self.too_large:
            return f"{', '.join(sorted(self.too_large))} is {limit}"
        missing = [pattern for pattern in self._patterns if not any(True for _ in self._matches(pattern))]
        return f"no file {', '.join(missing)} was written ([run].metrics_from)" if missing else ""

    def new_points(self, *, is_over: bool) -> list[tuple[str, Point]]:
        """Return the points that were added since the last call, each with its pattern.

        Args:
            is_over: whether nothing will be added; otherwise looks at the files only now and then.
        """
        now = time.monotonic()
        if not self._patterns or (now < self._next_look_at and not is_over):
            return []
        found = [(p, point) for p in self._patterns for path in self._matches(p) for point in self._new(path, is_over)]
        # Reading takes at most a twentieth of the time.
        self._next_look_at = now + max(LOOK_S, 20 * (time.monotonic() - now))
        return found

    def _new(self, path: Path, is_over: bool) -> list[Point]:  # noqa: FBT001  # as in new_points
        name = str(path)
        start = self._at_start.get(name)
        stamp = _stamp(path)
        is_known = stamp == self._stamps.get(name)
        if stamp is None or (is_known and not is_over) or (start is not None and stamp == start.stamp):
            return []
        content = _content(path)
        if content is None:
            self.too_large.add(path.name)
            return []
        self._stamps[name] = stamp
        # A last line without its end counts once it cannot grow any more.
        points = read_points(path, content + b"\n" if is_over else content)
        if start is not None and start.content and content.startswith(start.content):
            points = points[len(read_points(path, start.content)) :]
        given = self._given.get(name, 0)
        self._given[name] = len(points)
        # A file that is written anew each time holds the newest values, even where it grew no longer.
        return points[given:] if len(points) > given or is_known else points[-1:]

    def _matches(self, pattern: str) -> Iterator[Path]:
        placeholder = next((p for p in self._folders if p and pattern.startswith(p)), "")
        folder = self._folders.get(placeholder)
        if folder is None:
            return
        relative = pattern.removeprefix(placeholder).lstrip("/")
        top = os.path.realpath(folder)
        found = sorted(folder.glob(relative)) if relative else []
        for path in found[:MAX_FILES]:
            if os.path.realpath(path).startswith(top + os.sep) and path.is_file():
                yield path


def _start(path: Path) -> _Start:
    return _Start(_stamp(path) or (0, 0, 0), _content(path) or b"")


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _content(path: Path) -> bytes | None:
    """Return what an ordinary file holds, b"" if it cannot be read, None if it is too large."""
    try:
        # A named pipe would block, and a link may lead out of the folder.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b""
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return b""
        if status.st_size > MAX_FILE_BYTES:
            return None
        return stream.read(MAX_FILE_BYTES)
