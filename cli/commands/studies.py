"""`tunesmith list`, `rm` and `reset`: the studies of a history, and their removal."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from tunesmith.cli.display.format import show
from tunesmith.cli.session.locate import OpenStudy, history_file, open_study
from tunesmith.cli.session.upwards import study_above
from tunesmith.history.read import History
from tunesmith.history.remove import remove_study
from tunesmith.study.config.record import StudyRecord
from tunesmith.study.errors import HistoryError, ProjectError
from tunesmith.study.formatting import count, json_number
from tunesmith.study.trials.trial import TrialState
from tunesmith.study.units import short_number
from tunesmith.tools.analysis.run_state import state_text
from tunesmith.tools.control.inbox import Inbox

_OWN_ENTRIES = (
    "trials", "snapshots", "reporting", "inbox", "soup", "slurm", "report.html", "report.md", "errors.log",
    "slow_turns.log", "run.jsonl", "run.err",
)  # fmt: skip
"""What Tunesmith keeps in a study's folder; nothing else in it is removed."""


def list_studies(study: Path, *, history: Path | None, as_json: bool, every: bool = False) -> None:
    """Print the studies of a history, the latest first; with `every` also those of comparisons.

    Raises:
        HistoryError: there is no history, or it is damaged.
    """
    path = history_file(study, history)
    with History.open(path) as opened:
        names = opened.names() if every else opened.listed_names()
        hidden = len(opened.names()) - len(names)
        studies = [OpenStudy(opened, opened.study(name), path.parent / name) for name in names]
        lines = [json.dumps([_to_json(one) for one in studies], indent=2)] if as_json else _table(studies, hidden)
    show("\n".join(lines))


def study_names(history: Path | None = None) -> list[str]:
    """Return the names of the studies here, for a shell that completes a word; [] without a history."""
    try:
        opened = History.open_if_any(history_file(study_above(Path()), history))
    except HistoryError:
        return []
    if opened is None:
        return []
    with opened:
        return opened.names()


def remove_studies(names: Sequence[str], *, history: Path | None, yes: bool) -> None:
    """Remove studies with their trials and files, after the person agreed.

    Raises:
        HistoryError: a study runs, or there is no such study.
        ProjectError: nobody agreed.
    """
    path = history_file(study_above(Path()), history)
    with History.open(path) as opened:
        records = [opened.study(name) for name in dict.fromkeys(names)]
    for record in records:
        _remove(record, path, yes=yes, then="")


def reset_study(study: Path, *, history: Path | None, yes: bool) -> None:
    """Remove the trials and files of the study that study.toml names; the next run starts with trial 0.

    Raises:
        HistoryError: the study runs, or has not run yet.
        ProjectError: nobody agreed.
    """
    opened = open_study(study, history)
    with opened.history:
        record, path = opened.record, opened.folder.parent
    file = history if history is not None else path / "history.db"
    _remove(record, file, yes=yes, then="; study.toml stays, and `tunesmith run` starts with trial 0")


def _remove(record: StudyRecord, path: Path, *, yes: bool, then: str) -> None:
    folder = path.parent / record.name
    if Inbox(folder).has_running_loop():
        raise HistoryError(f"{record.name} is running; end that run first. Nothing was removed.")
    trials = count(record.spent.trials, "trial")
    if not yes and not _agrees(f"Remove {record.name} with {trials} ({record.spent.hours:.2g} hours of work)?"):
        raise ProjectError("nothing was removed")
    remove_study(path, record.name, now=time.time())
    kept = _remove_files(folder)
    show(f"removed {record.name}: {trials}{then}{kept}")


def _agrees(question: str) -> bool:
    if not sys.stdin.isatty():
        raise ProjectError("say --yes to remove without a question; nothing was removed")
    show(f"{question} This cannot be undone. [y/N] ", end="")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _remove_files(folder: Path) -> str:
    """Remove what Tunesmith keeps in a study's folder; return what stays, in words."""
    for name in _OWN_ENTRIES:
        entry = folder / name
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
    try:
        folder.rmdir()
    except FileNotFoundError:
        return ""
    except OSError:
        return f"; other files in {folder} stay"
    return ""


def _table(studies: Sequence[OpenStudy], hidden: int) -> list[str]:
    of = "1 study of a comparison is" if hidden == 1 else f"{hidden} studies of comparisons are"
    more = [f"{of} not shown; `tunesmith list --all` shows them"] if hidden else []
    if not studies:
        return more or ["no study has run yet; `tunesmith run` starts one"]
    rows = [("study", "trials", "best", "started", "state"), *map(_row, studies)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return [*("  ".join([*map(str.ljust, row[:4], widths), row[4]]) for row in rows), *more]


def _row(one: OpenStudy) -> tuple[str, str, str, str, str]:
    record = one.record
    started = datetime.fromtimestamp(record.created_at).astimezone().strftime("%Y-%m-%d %H:%M")
    return record.name, str(record.spent.trials), _best_text(one), started, _state(one)


def _best_text(one: OpenStudy) -> str:
    objectives = one.record.spec.objectives
    front = one.history.front(one.record)
    if front:
        return f"front of {len(front)}"
    best = one.history.best(one.record)
    metric = objectives[0].metric
    return f"{metric} {short_number(best.values[metric])}" if best is not None else "-"


def _state(one: OpenStudy) -> str:
    running = sum(t.state is TrialState.RUNNING for t in one.history.unfinished(one.record.id))
    return state_text(one.record, has_process=Inbox(one.folder).has_running_loop(), running=running)


def _to_json(one: OpenStudy) -> dict[str, Any]:
    record, best = one.record, one.history.best(one.record)
    return {
        "study": record.name,
        "project": record.project,
        "trials": record.spent.trials,
        "best": {name: json_number(value) for name, value in best.values.items()} if best is not None else None,
        "started": record.created_at,
        "ended_by": record.ended_by,
        "running": Inbox(one.folder).has_running_loop(),
    }
