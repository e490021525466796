"""Reads a study from another Tunesmith history."""

from __future__ import annotations

from pathlib import Path

from tunesmith.history.read import History
from tunesmith.study.errors import HistoryError, InputError
from tunesmith.study.trials.trial import FailureKind, Trial
from tunesmith.tools.interop.importing.choice import the_one
from tunesmith.tools.interop.importing.imported_table import VALUE, Found, FoundRow


def read_history(path: Path, named: str | None) -> Found:
    """Return the study's trials at full fidelity, without replicates and without those lost with their machine.

    Raises:
        HistoryError: the file is damaged or from a newer version.
        ProjectError: it holds several studies and none was named.
    """
    with History.open(path) as history:
        name = the_one(history.names(), named, where=str(path))
        try:
            record = history.study(name)
            trials = history.trials(record.id)
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001  # other columns, other JSON: whatever another version left there
            reason = f"{type(error).__name__}: {error}"
            raise HistoryError(
                f"{path} cannot be read as a history: damaged, or of another version ({reason})"
            ) from None
    full = record.spec.fidelity.max if record.spec.fidelity else None
    trials = [t for t in trials if not t.is_replicate and t.proposal.fidelity in (None, full)]
    rows = [_row(t) for t in trials if t.failure is None or t.failure.kind is not FailureKind.LOST]
    directions = {f"{VALUE}{o.metric}": o.direction for o in record.spec.objectives}
    return Found(f"study {record.name} in {path}", record.name, rows, directions)


def _row(trial: Trial) -> FoundRow:
    values = {f"{VALUE}{name}": value for name, value in trial.values.items()}
    seconds = trial.outcome.usage.wall_s if trial.outcome else 0.0
    return FoundRow({**trial.params, **values}, trial.state, seconds)
