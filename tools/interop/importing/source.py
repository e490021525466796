"""Finds out what an address is, and reads it."""

from __future__ import annotations

from pathlib import Path

from tunesmith.study.errors import HistoryError, ProjectError
from tunesmith.tools.interop.importing.imported_table import Found
from tunesmith.tools.interop.importing.readers.folders import read_folder
from tunesmith.tools.interop.importing.readers.history import read_history
from tunesmith.tools.interop.importing.readers.optuna import read_optuna
from tunesmith.tools.interop.importing.readers.table import read_csv, read_json
from tunesmith.tools.interop.optuna.storage import JOURNALS, is_url, sqlite_file, tables

_KNOWN = (
    "an Optuna storage (URL, .db, .journal), a Tunesmith or MLflow .db, .csv, .tsv, .json, .jsonl, "
    "or a folder of Ray Tune, MLflow or TensorBoard"
)


def read_source(address: str, named: str | None = None) -> Found:
    """Return what stands at an address; nothing there is changed.

    Args:
        address: a file, a folder, or a database's URL.
        named: which study, where there are several.

    Raises:
        InputError: there is nothing, or it is damaged or unknown.
    """
    file = sqlite_file(address) if is_url(address) else Path(address)
    if file is not None and not file.exists():
        raise ProjectError(f"there is nothing at {file}; give {_KNOWN}")
    if file is None:
        return read_optuna(address, named)
    if file.is_dir():
        return read_folder(file)
    suffix = file.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return read_csv(file)
    if suffix in (".json", ".jsonl", ".ndjson"):
        return read_json(file)
    if suffix in JOURNALS:
        return read_optuna(str(file), named)
    return _read_database(file, named)


def _read_database(file: Path, named: str | None) -> Found:
    url = f"sqlite:///{file.absolute()}"
    with file.open("rb") as head:
        if head.read(15) != b"SQLite format 3":
            raise ProjectError(f"{file} is of no known kind, or damaged; give {_KNOWN}")
    try:
        found = tables(url)
    except Exception as error:  # noqa: BLE001  # whatever SQLAlchemy makes of a damaged file
        raise ProjectError(f"{file} cannot be read: {str(error).splitlines()[0]}; restore a copy") from None
    if "version_info" in found:
        return read_optuna(url, named)
    if {"experiments", "runs"} <= found:
        from tunesmith.tools.interop.importing.readers.mlflow import read_mlflow

        return read_mlflow(url, named)
    try:
        return read_history(file, named)
    except HistoryError:
        if "_sqlite_migrations" in found:
            raise
        raise ProjectError(f"{file} is a database, but neither Optuna's, MLflow's nor Tunesmith's") from None
