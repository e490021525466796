"""Which files of the project are not as an earlier run copied them. Knows only the copies of runs, and when trials ran.

What trials themselves write into the project does not count: a log that grows, or results next to the code. A file
counts as theirs only by evidence: it was modified while the study ran, and either it is a log, or it was only appended
to while a trial ran, or the first trials worked without it: the study's first copy lacks it, and the study ran each
time when it was modified. Code and settings always count.
"""

from __future__ import annotations

import filecmp
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith.evaluator.files.snapshot import Snapshot

SHOWN = 5
"""Number of changed files that are named."""
_STUDY_TABLE = re.compile(r"^\s*\[study\]", re.MULTILINE)
_CLOCK_S = 0.05
"""Seconds by which a file system's times may lag behind the clock."""
_CODE = frozenset(
    {".py", ".pyx", ".ipynb", ".sh", ".bash", ".r", ".jl", ".js", ".ts", ".c", ".cc", ".cpp", ".cu", ".cuh", ".h",
     ".hpp", ".rs", ".go", ".java", ".lua", ".pl", ".rb", ".toml", ".yaml", ".yml", ".ini", ".cfg", ".conf", ".env"}
)  # fmt: skip
_LOG = re.compile(
    r"(^|/)(logs?|wandb|mlruns|lightning_logs|tb_logs|tensorboard)/|\.(log|out|err)(\.\d+)?$|(^|[/._-])logs?([._-][^/]*)?$"
    r"|events\.out\.tfevents",
    re.IGNORECASE,
)
"""Paths of files that programs write about themselves."""
_BLOCK = 2**20


Span = tuple[float, float]
"""Start and end in seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class RunTimes:
    """When trials ran, and when whole runs of the study did, including those that were killed."""

    trials: Sequence[Span]
    runs: Sequence[Span]

    def has_trial(self, moment: float) -> bool:
        """Return whether a trial that ended ran then."""
        return _is_in(moment, self.trials)

    def has_run(self, moment: float) -> bool:
        """Return whether the study ran then."""
        return _is_in(moment, self.runs)


def _is_in(moment: float, spans: Sequence[Span]) -> bool:
    return any(start - _CLOCK_S <= moment <= end for start, end in spans)


def snapshot_changes(now: Snapshot, earlier: str, *, first: str, times: RunTimes) -> str | None:
    """Return the changed and removed files of the project in words; None where no change can matter.

    New files do not count: the earlier run worked without them. Study files do not count either: what changed in one
    is compared key by key. Nor does what trials wrote. What is linked is not copied, so only its time shows a change.

    Args:
        now: the copy of this run.
        earlier: the variant of the earlier run's copy, in the same folder of copies.
        first: the variant of the copy that the study's first trial ran from.
        times: when the trials of the study ran.
    """
    before = now.folder.with_name(earlier)
    if not before.is_dir():
        return "which ones is not known, since the earlier copy is gone"
    start = now.folder.with_name(first)
    names = []
    for path in sorted(before.rglob("*")):
        name = str(path.relative_to(before))
        if path.is_symlink():
            changed = not os.path.lexists(now.folder / name) or _is_linked_anew(now.folder / name, before, times)
        else:
            changed = path.is_file() and not _is_study_file(path) and _differs(path, now.folder / name)
            changed = changed and not _is_written_by_trials(name, path, now.folder / name, start, times)
        names += [name] if changed else []
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}" if names else None


def _is_study_file(path: Path) -> bool:
    if path.suffix != ".toml":
        return False
    return _STUDY_TABLE.search(path.read_text(encoding="utf-8", errors="replace")) is not None


def _differs(path: Path, now: Path) -> bool:
    return not now.is_file() or not filecmp.cmp(path, now, shallow=False)


def _is_written_by_trials(name: str, before: Path, now: Path, start: Path, times: RunTimes) -> bool:
    """Return whether a file that differs is one that trials wrote; copies keep the time of a file."""
    if Path(name).suffix.lower() in _CODE or not now.is_file():
        return False
    moment = now.stat().st_mtime
    if _LOG.search(name):
        return times.has_run(moment)
    if start.is_dir() and not os.path.lexists(start / name):
        return times.has_run(moment) and times.has_run(before.stat().st_mtime)
    return times.has_trial(moment) and _is_beginning(before, now)


def _is_beginning(before: Path, now: Path) -> bool:
    """Return whether a file only grew; it may be linked by now."""
    with before.open("rb") as old, now.open("rb") as new:
        while block := old.read(_BLOCK):
            if new.read(len(block)) != block:
                return False
        return before.stat().st_size > 0


def _is_linked_anew(link: Path, before: Path, times: RunTimes) -> bool:
    """Return whether what is linked was changed since the earlier copy was made, and not by a trial that logs there."""
    try:
        status = link.stat()
    except OSError:
        return True
    if max(status.st_mtime, status.st_ctime) <= before.stat().st_mtime:
        return False
    return not (times.has_run(status.st_mtime) and _LOG.search(f"{link.name}/" if link.is_dir() else link.name))
