"""Where the time of a trial went: has it sampled while it runs, and reads the result."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.study.config.spec import StudySpec

STARTUP = Path(__file__).parent / "startup"
"""Folder whose only module Python imports at its start."""

_MAX_BYTES = 200_000
_MAX_LINES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileLine:
    """A line of the project, and the share of the time that was spent there and in what it calls."""

    place: str
    function: str
    code: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Where the main thread of a trial was.

    Attributes:
        seconds: length of the run.
        loading_share: share of the time in modules that hand out training data.
        lines: the lines that took longest, the longest first.
    """

    seconds: float
    loading_share: float
    lines: tuple[ProfileLine, ...]


def is_profiled(spec: StudySpec) -> bool:
    """Return whether the trainings of a study are sampled: a model will ask where their time goes.

    What is timed is not: sampling takes time.
    """
    is_timed = spec.evaluate is not None and spec.evaluate.is_time
    return spec.edits is not None and bool(spec.planner.model) and not is_timed


def with_profiler(environment: Mapping[str, str], path: Path) -> dict[str, str]:
    """Return an environment in which Python samples itself and writes to `path`.

    The folder is the last one on PYTHONPATH, so that a module of this name of the user's own comes first.
    """
    before = environment.get("PYTHONPATH", "")
    folders = [*([before] if before else []), str(STARTUP)]
    return {**environment, "PYTHONPATH": os.pathsep.join(folders), "TUNESMITH_PROFILE": str(path)}


def read_profile(path: Path) -> Profile | None:
    """Return the profile of the process of a trial that ran longest; None without one.

    The trial could write anything into the file, so that what is not a profile is left out.
    """
    try:
        with path.open("rb") as file:
            lines = file.read(_MAX_BYTES).decode("utf-8", errors="replace").split("\n")
    except OSError:
        return None
    found = [profile for line in lines if (profile := _parse(line)) is not None]
    return max(found, key=lambda profile: profile.seconds, default=None)


def _parse(line: str) -> Profile | None:
    try:
        document: dict[str, Any] = json.loads(line)
        seconds = float(document["seconds"])
        if not 0.0 < seconds < float("inf"):
            return None
        return Profile(
            seconds=seconds,
            loading_share=float(document["loading"]) / seconds,
            lines=tuple(
                ProfileLine(
                    place=str(entry["place"])[:200],
                    function=str(entry["function"])[:100],
                    code=str(entry["code"])[:100],
                    share=float(entry["seconds"]) / seconds,
                )
                for entry in document["lines"][:_MAX_LINES]
            ),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
