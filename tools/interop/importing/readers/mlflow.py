"""Reads the runs of an MLflow experiment from a tracking database, by MLflow itself."""

from __future__ import annotations

from typing import Any

from tunesmith.study.errors import ProjectError
from tunesmith.study.optional_packages import require
from tunesmith.tools.interop.importing.choice import the_one
from tunesmith.tools.interop.importing.imported_table import STATES, VALUE, Found, FoundRow


def read_mlflow(address: str, named: str | None) -> Found:
    """Return every run of the experiment that has parameters.

    Raises:
        ProjectError: mlflow is not installed, the database is of another version, or holds several experiments.
    """
    require("mlflow", purpose=f"reading the MLflow database {address}")
    from mlflow import MlflowClient  # 2 s

    try:
        client = MlflowClient(tracking_uri=address)
        experiments = {e.name: e.experiment_id for e in client.search_experiments()}
        runs = {name: _runs(client, found) for name, found in experiments.items()}
    except Exception as error:  # noqa: BLE001  # SQLAlchemy, alembic and MLflow have no common error
        raise ProjectError(f"{address} cannot be read by MLflow: {str(error).splitlines()[0]}") from None
    name = the_one([name for name, rows in runs.items() if rows], named, where=address)
    return Found(f"MLflow experiment {name} in {address}", name, runs[name])


def _runs(client: Any, experiment: str) -> list[FoundRow]:
    rows: list[FoundRow] = []
    page = None
    while page != "":
        found = client.search_runs([experiment], max_results=1000, page_token=page)
        rows += [_row(run) for run in found if run.data.params]
        page = found.token or ""
    return rows


def _row(run: Any) -> FoundRow:
    cells = {**run.data.params, **{f"{VALUE}{name}": value for name, value in run.data.metrics.items()}}
    ended = run.info.end_time or run.info.start_time
    return FoundRow(cells, STATES.get(str(run.info.status).lower()), (ended - run.info.start_time) / 1000)
