"""Reads a study from an Optuna storage: a URL, a .db file or a journal."""

from __future__ import annotations

from typing import Any

from tunesmith.study.errors import ProjectError
from tunesmith.study.trials.trial import TrialState
from tunesmith.study.trials.view import Direction
from tunesmith.tools.interop.importing.choice import the_one
from tunesmith.tools.interop.importing.imported_table import VALUE, Found, FoundRow
from tunesmith.tools.interop.optuna.storage import open_storage, quietly


def read_optuna(address: str, named: str | None) -> Found:
    """Return the study's trials; a pruned one has its last intermediate value.

    Raises:
        ProjectError: the storage is damaged, of another version, or holds several studies and none was named.
    """
    import optuna

    with quietly():
        storage = open_storage(address)
        try:
            name = the_one(optuna.get_all_study_names(storage), named, where=address)
            study = optuna.load_study(study_name=name, storage=storage)
            metrics = study.metric_names or (["value"] if len(study.directions) == 1 else map(str, range(9)))
            columns = [f"{VALUE}{metric}" for metric, _ in zip(metrics, study.directions, strict=False)]
            rows = [_row(trial, columns) for trial in study.get_trials(deepcopy=False)]
            directions = [Direction(d.name.lower()) for d in study.directions if d.name != "NOT_SET"]
        except ProjectError:
            raise
        except Exception as error:  # noqa: BLE001  # a damaged storage may raise anything from SQLAlchemy to KeyError
            raise ProjectError(
                f"{address} cannot be read as an Optuna storage: {type(error).__name__}: {error}"
            ) from None
    return Found(f"Optuna study {name} in {address}", name, rows, dict(zip(columns, directions, strict=False)))


def _row(trial: Any, columns: list[str]) -> FoundRow:
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
    return FoundRow(cells, states.get(trial.state, TrialState.WAITING), seconds)
