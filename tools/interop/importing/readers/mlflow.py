"""Reads the runs of an MLflow experiment from a tracking database, with MLflow itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tunesmith.study.errors import ProjectError
from tunesmith.study.optional_packages import require
from tunesmith.tools.interop.importing.choice import select_study
from tunesmith.tools.interop.importing.imported_table import (
    STATES,
    VALUE,
    ImportedRow,
    ImportedTable,
    SkippedRow,
    make_table,
)
from tunesmith.tools.interop.importing.text import first_line


def read_mlflow(address: str, named: str | None) -> ImportedTable:
    """Return the runs of the experiment. Deleted runs are left out.

    Raises:
        ProjectError: mlflow is not installed, the database is of another version, or has several experiments.
    """
    require("mlflow", purpose=f"reading the MLflow database {address}")
    from mlflow import MlflowClient  # 2 s

    try:
        client = MlflowClient(tracking_uri=address)
        experiments = {e.name: e.experiment_id for e in client.search_experiments()}
        runs = {name: list(_runs(client, experiment)) for name, experiment in experiments.items()}
    except Exception as error:  # noqa: BLE001  # SQLAlchemy, alembic and MLflow have no common error
        raise ProjectError(f"{address} cannot be read by MLflow: {first_line(error)}") from None
    name = select_study([name for name, rows in runs.items() if rows], named, where=address)
    return make_table(f"MLflow experiment {name} in {address}", name, runs[name])


def _runs(client: Any, experiment: str) -> Iterator[ImportedRow | SkippedRow]:
    from mlflow.entities import ViewType

    page = None
    while page != "":
        found = client.search_runs([experiment], run_view_type=ViewType.ALL, max_results=1000, page_token=page)
        yield from map(_row, found)
        page = found.token or ""


def _row(run: Any) -> ImportedRow | SkippedRow:
    if run.info.lifecycle_stage == "deleted":
        return SkippedRow("it was deleted")
    if not run.data.params:
        return SkippedRow("it has no parameters")
    cells = {**run.data.params, **{f"{VALUE}{name}": value for name, value in run.data.metrics.items()}}
    ended = run.info.end_time or run.info.start_time
    return ImportedRow(cells, STATES.get(str(run.info.status).lower()), (ended - run.info.start_time) / 1000)
