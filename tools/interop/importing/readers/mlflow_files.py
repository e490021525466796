"""Reads MLflow's file store: a folder per experiment, a folder per run, a file per parameter and metric."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tunesmith.study.errors import ProjectError
from tunesmith.study.trials.trial import TrialState
from tunesmith.tools.interop.importing.choice import select_study
from tunesmith.tools.interop.importing.imported_table import VALUE, ImportedRow, ImportedTable, SkippedRow, make_table
from tunesmith.tools.interop.importing.text import read_text

_STATES = {"1": TrialState.RUNNING, "2": TrialState.WAITING, "3": TrialState.COMPLETE,
           "4": TrialState.FAILED, "5": TrialState.STOPPED}  # fmt: skip
_METRIC_FIELDS = 2
"""Minimum number of fields in a line of a metric: time in ms, value, and often the step."""


def read_mlflow_files(folder: Path, named: str | None) -> ImportedTable:
    """Return the runs of an experiment. Deleted runs are left out.

    Raises:
        ProjectError: no run can be read, or there are several experiments and none was named.
    """
    runs: dict[str, list[Path]] = {}
    for meta in sorted(folder.rglob("meta.yaml")):
        if _is_run(meta.parent):
            runs.setdefault(_experiment_name(meta.parent.parent), []).append(meta.parent)
    name = select_study(list(runs), named, where=f"the MLflow folder {folder}")
    source = f"MLflow experiment {name} in {folder}"
    return make_table(source, name if len(runs) > 1 else folder.absolute().name, map(_run, runs[name]))


def _is_run(folder: Path) -> bool:
    return any((folder / part).is_dir() for part in ("params", "metrics"))


def _experiment_name(folder: Path) -> str:
    return _field(folder, "name") or folder.absolute().name


def _run(run: Path) -> ImportedRow | SkippedRow:
    try:
        if (
            "deleted" in (_field(run, "lifecycle_stage"), _field(run.parent, "lifecycle_stage"))
            or ".trash" in run.parts
        ):
            return SkippedRow("it was deleted")
        params = {name: read_text(path).strip() for name, path in _named_files(run / "params")}
        metrics = {f"{VALUE}{name}": value for name, path in _named_files(run / "metrics") if (value := _last(path))}
        started, ended = (_field(run, f"{name}_time") for name in ("start", "end"))
        status = _field(run, "status")
    except ProjectError:
        return SkippedRow("its files are damaged")
    if not params:
        return SkippedRow("it has no parameters")
    seconds = (int(ended) - int(started)) / 1000 if started.isdecimal() and ended.isdecimal() else 0.0
    return ImportedRow({**params, **metrics}, _STATES.get(status), seconds)


def _named_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files below a folder by name; a name with slashes is a path below it."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path


def _last(metric: Path) -> str:
    """Return the value of the largest step; of its latest line if several lines have it. A cut line does not count."""
    fields = [line.split() for line in read_text(metric).split("\n")]
    whole = [(_number(f[2:3]), _number(f[:1]), number, f[1]) for number, f in enumerate(fields) if _is_whole(f)]
    return max(whole)[-1] if whole else ""


def _is_whole(fields: list[str]) -> bool:
    return len(fields) >= _METRIC_FIELDS and re.fullmatch(r"[-+\w.]+", fields[1]) is not None


def _number(texts: list[str]) -> int:
    return int(texts[0]) if texts and re.fullmatch(r"-?\d{1,18}", texts[0]) else 0


def _field(folder: Path, name: str) -> str:
    """Return a field of the folder's meta.yaml as text; "" if there is none."""
    path = folder / "meta.yaml"
    match = re.search(rf"^{name}:[ \t]*(.*)$", read_text(path), re.MULTILINE) if path.is_file() else None
    return match[1].strip().strip("'\"") if match else ""
