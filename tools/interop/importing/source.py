"""Recognizes the kind of a source, and reads it."""

from __future__ import annotations

from pathlib import Path

from tunesmith.history.database.connect import table_names
from tunesmith.study.errors import HistoryError, ProjectError
from tunesmith.tools.interop.importing.imported_table import ImportedTable
from tunesmith.tools.interop.importing.readers.csv import read_csv
from tunesmith.tools.interop.importing.readers.folders import read_folder
from tunesmith.tools.interop.importing.readers.history import read_history
from tunesmith.tools.interop.importing.readers.json_table import read_json
from tunesmith.tools.interop.importing.readers.optuna import read_optuna
from tunesmith.tools.interop.optuna.storage import is_journal, is_url, sqlite_file

_KNOWN = (
    "an Optuna storage (URL, .db, .journal), a Tunesmith or MLflow .db, .csv, .tsv, .json, .jsonl, "
    "or a folder of Ray Tune, MLflow or TensorBoard"
)


def read_source(address: str, named: str | None = None) -> ImportedTable:
    """Return the trials of a source; nothing in it is changed.

    Args:
        address: a file, a folder, or the URL of a database.
        named: the study to read, for a source with several.

    Raises:
        InputError: the source does not exist, is damaged, or is of an unknown kind.
    """
    file = sqlite_file(address) if is_url(address) else Path(address)
    if file is None:
        return read_optuna(address, named)
    if not file.exists():
        raise ProjectError(f"{file} does not exist; expected {_KNOWN}")
    if file.is_dir():
        return read_folder(file, named)
    suffix = file.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return read_csv(file, named)
    if suffix in (".json", ".jsonl", ".ndjson"):
        return read_json(file, named)
    if is_journal(str(file)):
        return read_optuna(str(file), named)
    return _read_database(file, named)


def _read_database(file: Path, named: str | None) -> ImportedTable:
    try:
        with file.open("rb") as head:
            is_database = head.read(15) == b"SQLite format 3"
    except OSError as error:
        raise ProjectError(f"{file} cannot be read: {error.strerror}") from None
    if not is_database:
        raise ProjectError(f"{file} is damaged or of an unknown kind; expected {_KNOWN}")
    url = f"sqlite:///{file.absolute()}"
    tables = table_names(file)
    if "version_info" in tables:
        return read_optuna(url, named)
    if {"experiments", "runs"} <= tables:
        from tunesmith.tools.interop.importing.readers.mlflow import read_mlflow

        return read_mlflow(url, named)
    try:
        return read_history(file, named)
    except HistoryError:
        if "_sqlite_migrations" in tables:
            raise
        raise ProjectError(f"{file} is a database, but not one of Optuna, MLflow or Tunesmith") from None
