"""Reads a study from another Tunesmith history."""

from __future__ import annotations

from pathlib import Path

from tunesmith.history.read import History
from tunesmith.study.errors import HistoryError, InputError
from tunesmith.study.trials.trial import FailureKind, Trial
from tunesmith.tools.interop.importing.choice import select_study
from tunesmith.tools.interop.importing.imported_table import VALUE, ImportedRow, ImportedTable, SkippedRow, make_table


def read_history(path: Path, named: str | None) -> ImportedTable:
    """Return the study's trials at full fidelity. Replicates and trials that were lost with their machine are left out.

    Raises:
        HistoryError: the file is damaged or from a newer version.
        ProjectError: it has several studies and none was named, or no trial.
    """
    with History.open(path) as history:
        name = select_study(history.names(), named, where=str(path))
        try:
            record = history.study(name)
            trials = history.trials(record.id)
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001  # another version may have other columns or other JSON
            reason = f"{type(error).__name__}: {error}"
            raise HistoryError(
                f"{path} cannot be read as a history: damaged, or of another version ({reason})"
            ) from None
    full = record.spec.fidelity.max if record.spec.fidelity else None
    rows = (_row(trial, full) for trial in trials)
    directions = {f"{VALUE}{o.metric}": o.direction for o in record.spec.objectives}
    return make_table(f"study {record.name} in {path}", record.name, rows, directions)


def _row(trial: Trial, full: float | None) -> ImportedRow | SkippedRow:
    if trial.is_replicate:
        return SkippedRow("it repeats another trial on a new seed")
    if trial.proposal.fidelity not in (None, full):
        return SkippedRow("it ran at a lower fidelity")
    if not trial.counts:
        return SkippedRow("it was forgotten, failed regardless of their parameters, or ran on earlier instances")
    if trial.failure is not None and trial.failure.kind is FailureKind.LOST:
        return SkippedRow("it was lost with its machine")
    values = {f"{VALUE}{name}": value for name, value in trial.values.items()}
    seconds = trial.outcome.usage.wall_s if trial.outcome else 0.0
    return ImportedRow({**trial.params, **values}, trial.state, seconds)
