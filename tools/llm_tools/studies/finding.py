"""Finds the studies of a project by name: those with a study file at its top, and those that only the history has."""

from __future__ import annotations

import tomllib
from pathlib import Path

from tunesmith.history.read import History
from tunesmith.study.errors import HistoryError, ToolRefused
from tunesmith.study.names import did_you_mean

MAX_STUDIES = 100
"""Number of studies, of files and of the history each, beyond which further ones are left out."""


def study_files(project: Path) -> dict[str, Path]:
    """Return the study files at the top of a project by the names of their studies."""
    found: dict[str, Path] = {}
    for path in sorted(project.glob("*.toml"))[:MAX_STUDIES]:
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8")).get("study")
        except (OSError, ValueError):
            continue
        name = table.get("name") if isinstance(table, dict) else None
        if isinstance(name, str) and (name not in found or path.name == "study.toml"):
            found[name] = path
    return found


def study_names(project: Path, history: Path | None) -> list[str]:
    """Return the names of every study of a project, those with a file first; a history that cannot be read has none."""
    return list(dict.fromkeys([*study_files(project), *_recorded_names(history)]))


def listed_names(project: Path, history: Path | None) -> list[str]:
    """Return the same without the studies of comparisons, which nobody converses about."""
    return list(dict.fromkeys([*study_files(project), *_recorded_names(history, listed=True)]))


def find_study(project: Path, history: Path | None, name: str) -> tuple[str, Path | None]:
    """Return the name of a study and its file; None for one that only the history has.

    Args:
        project: the folder of the study files.
        history: the history file.
        name: the study's name, or that of its file.

    Raises:
        ToolRefused: there is no such study; the message names the nearest.
    """
    files = study_files(project)
    for known, path in files.items():
        if name in (known, path.name):
            return known, path
    recorded = _recorded_names(history)
    if name in recorded:
        return name, None
    known_names = list(dict.fromkeys([*files, *recorded]))
    listed = did_you_mean(name, known_names) if known_names else "; this folder has no study yet"
    raise ToolRefused(f"there is no study {name!r} here{listed}")


def _recorded_names(history: Path | None, *, listed: bool = False) -> list[str]:
    try:
        opened = History.open_if_any(history) if history is not None else None
    except HistoryError:
        return []
    if opened is None:
        return []
    with opened:
        return (opened.listed_names() if listed else opened.names())[:MAX_STUDIES]
