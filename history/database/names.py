"""Names in the database file that both opening it and migrating it depend on, and the errors about them."""

from __future__ import annotations

from pathlib import Path

from tunesmith.study.errors import HistoryError

MIGRATIONS_TABLE = "_sqlite_migrations"
"""Created before all other tables; a file with only this one is not a history yet."""

LATEST_MIGRATION = "m010_verdicts_of_a_judge"
"""The newest migration in schema.py, repeated here because importing that module is slower than reading a file."""


def foreign_database_error(path: Path | None) -> HistoryError:
    """Return the error for a database that another program made."""
    return HistoryError(f"{path} is a database, but not a Tunesmith history; name another file with --history")


def newer_version_error(path: Path | None, migrations: str) -> HistoryError:
    """Return the error for a file with migrations that this version does not know."""
    return HistoryError(f"{path} was written by a newer Tunesmith (it has {migrations}); upgrade Tunesmith")
