"""Reads a study from an Optuna storage: a URL, a .db file or a journal."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunesmith.study.errors import ProjectError
from tunesmith.study.optional_packages import require
from tunesmith.study.trials.trial import TrialState
from tunesmith.study.trials.view import Direction
from tunesmith.tools.interop.importing.choice import select_study
from tunesmith.tools.interop.importing.imported_table import VALUE, ImportedRow, ImportedTable, make_table
from tunesmith.tools.interop.importing.readers.optuna_journal import repair_journal


def read_optuna(address: str, named: str | None) -> ImportedTable:
    """Return the study's trials; a pruned trial has its last intermediate value.

    Raises:
        ProjectError: the storage is damaged, of another version, or has several studies and none was named.
    """
    require("optuna", purpose=f"reading the Optuna storage {address}", extra="optuna")
    from tunesmith.tools.interop.optuna.storage import open_storage, quiet_storage

    with quiet_storage(), _readable(address) as (readable, bad_lines):
        try:
            table = _read(open_storage(readable), named, address)
        except ProjectError as error:
            raise ProjectError(str(error).replace(readable, address)) from None
        except Exception as error:  # noqa: BLE001  # a damaged storage may raise anything from SQLAlchemy to KeyError
            raise ProjectError(
                f"{address} cannot be read as an Optuna storage: {type(error).__name__}: {error}"
            ) from None
    return (
        replace(table, skipped={**table.skipped, "a line of the journal is damaged": bad_lines}) if bad_lines else table
    )


@contextmanager
def _readable(address: str) -> Iterator[tuple[str, int]]:
    """Yield an address that Optuna can read, a repaired copy for a damaged journal, and the number of damaged lines."""
    from tunesmith.tools.interop.optuna.storage import is_journal

    if not is_journal(address):
        yield address, 0
        return
    repaired = repair_journal(Path(address))
    if not repaired.bad_lines:
        yield address, 0
        return
    with tempfile.TemporaryDirectory(prefix="tunesmith-") as folder:
        copy = Path(folder) / "repaired.journal"
        copy.write_text(repaired.text, encoding="utf-8")
        yield str(copy), repaired.bad_lines


def _read(storage: Any, named: str | None, address: str) -> ImportedTable:
    import optuna

    name = select_study(optuna.get_all_study_names(storage), named, where=address)
    study = optuna.load_study(study_name=name, storage=storage)
    metrics = study.metric_names or (
        ["value"] if len(study.directions) == 1 else map(str, range(len(study.directions)))
    )
    columns = [f"{VALUE}{metric}" for metric, _ in zip(metrics, study.directions, strict=False)]
    rows = [_row(trial, columns) for trial in study.get_trials(deepcopy=False)]
    directions = [Direction(d.name.lower()) for d in study.directions if d.name != "NOT_SET"]
    source = f"Optuna study {name} in {address}"
    return make_table(source, name, rows, dict(zip(columns, directions, strict=False)))


def _row(trial: Any, columns: list[str]) -> ImportedRow:
    import optuna

    states = {
        optuna.trial.TrialState.COMPLETE: TrialState.COMPLETE,
        optuna.trial.TrialState.PRUNED: TrialState.STOPPED,
        optuna.trial.TrialState.FAIL: TrialState.FAILED,
    }
    cells: dict[str, Any] = dict(trial.params)
    if trial.state == optuna.trial.TrialState.COMPLETE:
        cells |= dict(zip(columns, trial.values, strict=True))
    elif trial.intermediate_values:
        cells[columns[0]] = trial.intermediate_values[max(trial.intermediate_values)]
    cells |= {f"{VALUE}{name}": value for name, value in trial.constraints.items()}
    seconds = trial.duration.total_seconds() if trial.duration else 0.0
    return ImportedRow(cells, states.get(trial.state, TrialState.WAITING), seconds)
