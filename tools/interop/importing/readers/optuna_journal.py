"""Repairs an Optuna journal with damaged lines, so that the trials of the other lines can be read.

Optuna counts the lines that create trials, so a trial's id is its position among them. Where a damaged line created
a trial, all later ids would shift and values would end up in other trials. A line that refers to a trial that was not
created yet shows this; the damaged line is then replaced by one that creates a trial.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.study.errors import ProjectError
from tunesmith.tools.interop.importing.text import parse_json

_CREATE_TRIAL = 4
"""Value of `op_code` in Optuna's journal."""


@dataclass(frozen=True, slots=True)
class RepairedJournal:
    """The text of a journal without damaged lines, and their number."""

    text: str
    bad_lines: int


def repair_journal(path: Path) -> RepairedJournal:
    """Return the journal without its damaged lines.

    Raises:
        ProjectError: the file cannot be read, or no line of it is valid.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise ProjectError(f"{path} cannot be read: {error.strerror}") from None
    found = [_operation(line) for line in lines if line.strip()]
    bad_lines = sum(operation is None for operation in found)
    if found and bad_lines == len(found):
        raise ProjectError(f"{path} cannot be opened as an Optuna storage: none of its lines is valid JSON")
    kept = _with_lost_trials(found) if bad_lines else [operation for operation in found if operation is not None]
    return RepairedJournal("".join(f"{json.dumps(operation)}\n" for operation in kept), bad_lines)


def _operation(line: bytes) -> Mapping[str, Any] | None:
    operation = parse_json(line.decode("utf-8", errors="replace"))
    return operation if isinstance(operation, dict) and "op_code" in operation else None


def _with_lost_trials(found: list[Mapping[str, Any] | None]) -> list[Mapping[str, Any]]:
    kept: list[Mapping[str, Any]] = []
    gaps: list[int] = []
    created = study = 0
    for operation in found:
        if operation is None:
            gaps.append(len(kept))
            continue
        trial = operation.get("trial_id")
        while isinstance(trial, int) and trial >= created and gaps:
            kept.insert(
                gaps.pop(), {"op_code": _CREATE_TRIAL, "worker_id": "", "study_id": study, "datetime_start": None}
            )
            created += 1
        if operation["op_code"] == _CREATE_TRIAL:
            created += 1
            study = operation.get("study_id", study)
        kept.append(operation)
    return kept
