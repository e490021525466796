"""Finds the study and the history that a command line means. Of study.toml it needs only the name."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from tunesmith.cli.session.upwards import study_above
from tunesmith.history.project import require_project
from tunesmith.history.read import History
from tunesmith.study.config.record import StudyRecord
from tunesmith.study.errors import HistoryError
from tunesmith.study.trials.trial import Trial

FOLDER = ".tunesmith"


@dataclass(frozen=True, slots=True)
class OpenStudy:
    """A study in an open history, and its folder. The caller closes the history."""

    history: History
    record: StudyRecord
    folder: Path


def study_file(study: Path) -> Path:
    """Return the file that a STUDY argument names: itself, or study.toml in the folder."""
    return study / "study.toml" if study.is_dir() else study


def history_file(study: Path, history: Path | None) -> Path:
    """Return `history` if it is given, else `.tunesmith/history.db` next to the study file.

    Raises:
        HistoryError: the folder of `history` does not exist; a mistyped path must not start another history.
    """
    base = study if study.is_dir() else study.parent
    usual = base.absolute() / FOLDER / "history.db"
    if history is not None and history.absolute() != usual:
        folder = history.absolute().parent
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
        if nearest.is_dir() and nearest != folder:
            raise HistoryError(f"the folder of --history {history} does not exist; create it, or correct the path")
    return usual if history is None else history


def open_study(study: Path, history: Path | None) -> OpenStudy:
    """Open the history for reading and find the study: by the name in study.toml, by STUDY as a name, else the latest.

    Raises:
        HistoryError: the history or the study does not exist, or the study belongs to another project.
    """
    path = history_file(study if study.exists() else study_above(Path()), history)
    opened = History.open(path)
    try:
        record = opened.study(_name(study, opened.listed_names() or opened.names()))
        if record.project and _name_in_file(study) == record.name:
            require_project(record, str(study_file(study).absolute().parent), path)
    except BaseException:
        opened.close()
        raise
    return OpenStudy(opened, record, path.parent / record.name)


def find_trial(opened: OpenStudy, number: int) -> Trial:
    """Return a trial by its number.

    Raises:
        HistoryError: the study has no such trial.
    """
    trial = opened.history.trial(opened.record.id, number)
    if trial is None:
        last = opened.history.latest(opened.record.id, 1)
        known = f"its trials are 0 to {last[-1].number}" if last else "it has no trials yet"
        known = "its only trial is 0" if last and not last[-1].number else known
        raise HistoryError(f"study {opened.record.name} has no trial {number}; {known}")
    return trial


def _name(study: Path, names: list[str]) -> str:
    if not study.exists():
        return str(study)
    if name := _name_in_file(study):
        return name
    if not names:
        raise HistoryError("no study has run in this history yet; `tunesmith run` starts one")
    return names[0]


def _name_in_file(study: Path) -> str:
    """Return the name in study.toml; "" if the file does not give one."""
    try:
        name = tomllib.loads(study_file(study).read_text(encoding="utf-8"))["study"]["name"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return name if isinstance(name, str) else ""
