"""Exports to an MLflow tracking database (.db or URL): a run for the study with a nested run per trial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunesmith.study.errors import ProjectError, SpecError
from tunesmith.study.optional_packages import require
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.tools.interop.importing.text import first_line
from tunesmith.tools.interop.optuna.storage import is_url
from tunesmith.tools.interop.study_export import StudyExport

_STATUS = {TrialState.COMPLETE: "FINISHED", TrialState.STOPPED: "KILLED", TrialState.FAILED: "FAILED"}


def export(exported: StudyExport, out: str) -> list[str]:
    """Add the runs to the experiment with the study's name; on failure a new database is deleted.

    Raises:
        ProjectError: mlflow is not installed, or cannot write the database.
    """
    require("mlflow", purpose="an export to MLflow")
    from mlflow import MlflowClient  # 2 s

    address = out if is_url(out) else f"sqlite:///{Path(out).absolute()}"
    is_new = not is_url(out) and not Path(out).exists()
    try:
        _write(exported, MlflowClient(tracking_uri=address))
    except Exception as error:
        if is_new:
            Path(out).unlink(missing_ok=True)
        if isinstance(error, SpecError):
            raise
        raise ProjectError(f"{out} cannot be written by MLflow: {first_line(error)}") from error
    points = ["an MLflow run has a result, so points to try first were left out"] if exported.points else []
    return [f"show it with: mlflow ui --backend-store-uri {address}", *points]


def _write(exported: StudyExport, client: Any) -> None:
    found = client.get_experiment_by_name(exported.name)
    experiment = found.experiment_id if found else client.create_experiment(exported.name)
    study = client.create_run(experiment, run_name=f"{exported.name} (tunesmith)", tags={"source": "tunesmith"})
    for trial in exported.trials:
        _write_trial(client, experiment, study.info.run_id, trial)
    client.set_terminated(study.info.run_id)


def _write_trial(client: Any, experiment: str, parent: str, trial: Trial) -> None:
    from mlflow.entities import Metric, Param

    started, ended = (int((at or trial.created_at) * 1000) for at in (trial.started_at, trial.ended_at))
    tags = {"mlflow.parentRunId": parent, "source": trial.proposal.source.value}
    if trial.failure:
        tags["failure"] = f"{trial.failure.kind.value}: {trial.failure.reason}"
    run = client.create_run(experiment, start_time=started, run_name=f"trial {trial.number}", tags=tags).info.run_id
    client.log_batch(
        run,
        params=[Param(name, str(value)) for name, value in trial.params.items()],
        metrics=[Metric(name, value, ended, 0) for name, value in trial.values.items()],
    )
    client.set_terminated(run, status=_STATUS[trial.state], end_time=ended)
