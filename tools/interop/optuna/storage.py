"""Opens an Optuna storage by its address: an RDB URL, a .db file, or a journal file."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tunesmith.study.errors import ProjectError
from tunesmith.tools.interop.importing.text import first_line
from tunesmith.tools.quiet_optuna import quiet_optuna

_JOURNAL_SUFFIXES = (".journal", ".log")


def is_url(address: str) -> bool:
    """Return whether an address is a database URL, such as sqlite:///optuna.db."""
    return bool(re.match(r"[a-z0-9+]+://", address))


def is_journal(address: str) -> bool:
    """Return whether an address is a journal file."""
    return not is_url(address) and Path(address).suffix in _JOURNAL_SUFFIXES


def open_storage(address: str) -> Any:
    """Return the storage; a file that does not exist is created.

    Raises:
        ProjectError: it is damaged, of an incompatible version of Optuna, or cannot be reached.
    """
    import optuna
    from optuna.storages.journal import JournalFileBackend

    try:
        if is_journal(address):
            return optuna.storages.JournalStorage(JournalFileBackend(address))
        url = address if is_url(address) else f"sqlite:///{Path(address).absolute()}"
        _refuse_foreign(url, address)
        return optuna.storages.RDBStorage(url)
    except ProjectError:
        raise
    except Exception as error:  # noqa: BLE001  # SQLAlchemy, its drivers and Optuna have no common error
        raise ProjectError(f"{address} cannot be opened as an Optuna storage: {first_line(error)}") from None


def tables(url: str) -> set[str]:
    """Return the names of a database's tables; none for an SQLite file that does not exist."""
    import sqlalchemy

    file = sqlite_file(url)
    if file is not None and not file.exists():
        return set()
    engine = sqlalchemy.create_engine(url)
    try:
        return set(sqlalchemy.inspect(engine).get_table_names())
    finally:
        engine.dispose()


def sqlite_file(url: str) -> Path | None:
    """Return the file behind an SQLite URL; None for other databases."""
    return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None


def _refuse_foreign(url: str, address: str) -> None:
    # Optuna would create its tables in any database.
    found = tables(url)
    if found and "version_info" not in found:
        raise ProjectError(
            f"{address} is a database without an Optuna study; its tables are {', '.join(sorted(found)[:5])}"
        )


@contextmanager
def quiet_storage() -> Iterator[None]:
    """Suppress Optuna's log messages and its warnings about experimental features."""
    import optuna

    with quiet_optuna(), warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
