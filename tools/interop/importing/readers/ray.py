"""Reads the results of Ray Tune: a folder per trial with params.json and result.json, in a folder per experiment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tunesmith.study.errors import ProjectError
from tunesmith.study.trials.trial import TrialState
from tunesmith.tools.interop.importing.choice import select_study
from tunesmith.tools.interop.importing.imported_table import VALUE, ImportedRow, ImportedTable, SkippedRow, make_table
from tunesmith.tools.interop.importing.text import json_lines, parse_json, read_text

_STATUS = re.compile(r'\\?"trial_id\\?": \\?"(?P<id>\w+)\\?"|\\?"status\\?": \\?"(?P<status>[A-Z]+)\\?"')
"""The id and the status of a trial in experiment_state-*.json, where trials are JSON texts inside JSON."""
_OPEN = ("RUNNING", "PENDING", "PAUSED")


def read_ray(folder: Path, named: str | None) -> ImportedTable:
    """Return the trials, each with its last result.

    Raises:
        ProjectError: no trial can be read, or there are several experiments and none was named.
    """
    experiments = {path.parent.name: path.parent for path in sorted(folder.rglob("experiment_state-*.json"))}
    if named is not None and named not in experiments:
        experiments |= {path.name: path for path in folder.rglob("*") if path.is_dir() and path.name == named}
    name, root = folder.absolute().name, folder
    if named is not None or len(experiments) > 1:
        name = select_study(list(experiments), named, where=str(folder))
        root = experiments[name]
    return make_table(f"Ray Tune results in {root}", name, _trials(root))


def _trials(root: Path) -> Iterator[ImportedRow | SkippedRow]:
    open_ids = _open_trials(root)
    found = {path.parent for pattern in ("params.json", "result.json") for path in root.rglob(pattern)}
    for trial in sorted(found):
        row = _trial(trial)
        if isinstance(row, ImportedRow) and any(trial_id in trial.name for trial_id in open_ids):
            row = ImportedRow(row.cells, TrialState.RUNNING, row.seconds)
        yield row


def _trial(trial: Path) -> ImportedRow | SkippedRow:
    try:
        params = parse_json(read_text(trial / "params.json")) if (trial / "params.json").exists() else None
        results = read_text(trial / "result.json") if (trial / "result.json").exists() else ""
    except ProjectError:
        return SkippedRow("its files cannot be read")
    lines = [line for _, line in json_lines(results)]
    whole = [line for line in lines if isinstance(line, Mapping)]
    if params is None and whole:
        params = whole[-1].get("config")
    if not isinstance(params, Mapping):
        return SkippedRow("its params.json is missing or damaged")
    cells = dict(_flatten(params))
    if (trial / "error.txt").exists() or (trial / "error.pkl").exists():
        return ImportedRow(cells, TrialState.FAILED)
    if not lines:
        return ImportedRow(cells, TrialState.RUNNING)
    if not whole:
        return SkippedRow("its result.json is damaged")
    last = whole[-1]
    numbers = {f"{VALUE}{n}": v for n, v in _flatten(last) if isinstance(v, int | float)}
    seconds = last.get("time_total_s")
    return ImportedRow(
        {**cells, **numbers}, TrialState.COMPLETE, float(seconds) if isinstance(seconds, int | float) else 0.0
    )


def _open_trials(root: Path) -> set[str]:
    """Return the ids of trials that had not ended when Ray last saved the experiment."""
    found: set[str] = set()
    for folder in {path.parent for path in root.rglob("experiment_state-*.json")}:
        latest = max(folder.glob("experiment_state-*.json"))
        try:
            text = read_text(latest)
        except ProjectError:
            continue
        last_id = ""
        for match in _STATUS.finditer(text):
            last_id = match["id"] or last_id
            if match["status"] in _OPEN and last_id:
                found.add(last_id)
    return found


def _flatten(nested: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in nested.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", value
