"""Finds the study and the history that a command line means. Reads names only; a broken study.toml does not matter."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from tunesmith.history.read import History
from tunesmith.study.config.record import StudyRecord
from tunesmith.study.errors import HistoryError

FOLDER = ".tunesmith"


@dataclass(frozen=True, slots=True)
class Located:
    """An open history and the study in it; close the history when done."""

    history: History
    record: StudyRecord
    folder: Path


def study_file(study: Path) -> Path:
    """Return the file that a STUDY argument names: itself, or study.toml in the folder."""
    return study / "study.toml" if study.is_dir() else study


def history_file(study: Path, history: Path | None) -> Path:
    """Return the history: the one that was named, else `.tunesmith/history.db` beside the study file."""
    if history is not None:
        return history
    base = study if study.is_dir() else study.parent
    return base.absolute() / FOLDER / "history.db"


def open_study(study: Path, history: Path | None) -> Located:
    """Open the history for reading and find the study: by study.toml's name, by STUDY as a name, else the latest.

    Raises:
        HistoryError: there is no history, or no such study in it.
    """
    path = history_file(study if study.exists() else Path(), history)
    opened = History.open(path)
    try:
        name = _name(study, opened.names())
        record = opened.study(name)
    except BaseException:
        opened.close()
        raise
    return Located(opened, record, path.parent / record.name)


def _name(study: Path, names: list[str]) -> str:
    if not study.exists():
        return str(study)
    try:
        name = tomllib.loads(study_file(study).read_text(encoding="utf-8"))["study"]["name"]
    except (OSError, ValueError, KeyError, TypeError):
        name = None
    if isinstance(name, str):
        return name
    if not names:
        raise HistoryError("no study has run in this history yet; `tunesmith run` starts one")
    return names[0]
