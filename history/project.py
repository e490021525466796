"""Which project and metrics a study belongs to, so that nobody's trials or values are taken for another's."""

from __future__ import annotations

import os
from pathlib import Path

from tunesmith.study.config.record import StudyRecord
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import HistoryError

_OWN_HISTORY = Path(".tunesmith", "history.db")
"""Where a project has its history unless --history names another file."""
_IMPORTED = "imported"
"""What ends an imported study; see bulk.py."""


def require_project(record: StudyRecord, project: str, history: Path | None, *, moved: bool = False) -> str:
    """Check that a study belongs to a project; return the folder that the project moved from, "" if it did not move.

    A project moved if its old folder is gone, or if the user says so. One that was copied together with its history
    continues with the copy.

    Args:
        record: the study in the history.
        project: the folder of study.toml; "" for a study from Python.
        history: the history file; None for one in memory.
        moved: whether the user says that the project moved.

    Raises:
        HistoryError: it belongs to another project.
    """
    if record.project == project or (record.project and project and _is_same(record.project, project)):
        return ""
    if moved or _is_gone(record.project) or _was_copied(record.project, project, history):
        return record.project
    owner = record.project or ("an import" if record.ended_by == _IMPORTED else "a Python script")
    belongs = f"study {record.name!r} in {history or 'this history'} belongs to {owner}"
    if not project:
        raise HistoryError(f"{belongs}; give the tuner another name or another history file")
    confirm = f"; if that project is now {project}, say so with `tunesmith run --moved`" if record.project else ""
    raise HistoryError(
        f"{belongs}, not to {project}; give [study].name another name, or name another file with --history{confirm}"
    )


def _is_same(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _is_gone(folder: str) -> bool:
    return bool(folder) and not Path(folder).is_dir()


def _was_copied(before: str, project: str, history: Path | None) -> bool:
    """Return whether the history is a project's own and the earlier project has one, too, of which it is a copy."""
    if not before or not project or history is None:
        return False
    own, theirs = (Path(os.path.realpath(folder)) / _OWN_HISTORY for folder in (project, before))
    return Path(os.path.realpath(history)) == own and theirs.is_file()


def require_same_metrics(earlier: StudyRecord, spec: StudySpec) -> None:
    """Check that a study still has the metrics of its trials.

    Raises:
        HistoryError: study.toml names others.
    """
    if earlier.spec.objectives == spec.objectives:
        return
    before = ", ".join(f"{o.direction} {o.metric}" for o in earlier.spec.objectives)
    now = ", ".join(f"{o.direction} {o.metric}" for o in spec.objectives)
    raise HistoryError(
        f"study {spec.study.name!r} has trials that {before}, but study.toml now says {now}; "
        "give [study].name a new name, so that old and new values are not mixed"
    )


def require_same_length(earlier: StudyRecord, spec: StudySpec) -> None:
    """Check that a study with branches still has the length of run that its trials were planned for.

    A run that has decayed is no part of a longer schedule, and nothing in its trials says that it has.

    Raises:
        HistoryError: study.toml gives another length.
    """
    lengths = [_branched_length(one) for one in (earlier.spec, spec)]
    if None in lengths or lengths[0] == lengths[1]:
        return
    before, now = (f"{length:g}" for length in lengths if length is not None)
    name = spec.fidelity.name if spec.fidelity is not None else ""
    raise HistoryError(
        f"study {spec.study.name!r} has branches of runs of {before} {name}, but study.toml now says {now}; "
        "give [study].name a new name, since a run that has decayed cannot become the plateau of a longer one"
    )


def _branched_length(spec: StudySpec) -> float | None:
    is_branched = spec.schedule is not None and spec.schedule.kind == "branches"
    return spec.fidelity.max if is_branched and spec.fidelity is not None else None
