"""The tables of the history, as ordered migrations. An existing file is copied before it is migrated.

Knows no study type. A released migration is never edited; a change is a new migration at the end. Column names end in
their unit; times named `_at` are seconds since the epoch; NULL in a value column is NaN.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tunesmith.history.database.names import MIGRATIONS_TABLE, foreign_database_error, newer_version_error
from tunesmith.history.database.sqlite_utils_import import Database, Migrations

MIGRATIONS = Migrations("tunesmith")

_FIRST_TABLES = (
    """
    create table studies (
        id integer primary key,
        name text not null unique,
        spec text not null,               -- study.toml as JSON
        project text not null,            -- folder of study.toml; '' for a study from Python
        created_at real not null,
        active_s real not null default 0, -- total time that runs were at work on it
        ended_by text not null default '' -- the limit that ended it, 'exhausted', 'interrupted', or ''
    ) strict
    """,
    """
    create table variants (
        study_id integer not null references studies(id),
        id text not null,                 -- hash of the files
        parent text,
        diff text not null default '',
        author text not null default 'user',
        rationale text not null default '',
        created_at real not null,
        primary key (study_id, id)
    ) strict
    """,
    """
    create table trials (
        id integer primary key,
        study_id integer not null references studies(id),
        number integer not null,          -- from 0, without gaps
        state text not null check (state in ('waiting', 'running', 'complete', 'stopped', 'failed')),
        attempt integer not null default 1,
        slot integer,
        source text not null,
        variant text not null,
        params text not null,             -- JSON, active parameters only
        seed integer not null,
        fidelity real,
        replicate_of integer,             -- the trial whose configuration it repeats on a fresh seed
        created_at real not null,
        started_at real,
        ended_at real,
        value real,                       -- first objective, in its own direction
        metrics text,                     -- JSON, the last value of every metric
        failure_kind text,
        failure_reason text,
        failure_tail text,
        note text not null default '',
        wall_s real, cpu_s real, gpu_s real, peak_rss_gib real,
        unique (study_id, number)
    ) strict
    """,
    "create index trials_by_value on trials (study_id, state, value)",
    # Holds all columns that `status` counts, so that it reads no wide rows.
    "create index trials_by_kind on trials (study_id, state, source, failure_kind, replicate_of, gpu_s)",
    """
    create table proposals (
        trial_id integer primary key references trials(id),
        rationale text not null,
        predicted_mean real,
        predicted_std real,
        fallback_reason text not null default '',
        considered text not null default '[]' -- JSON: the rejected candidates, and why
    ) strict
    """,
    """
    create table observations (
        trial_id integer not null references trials(id),
        attempt integer not null,
        metric text not null,
        step real not null,
        value real,                       -- NULL is NaN
        at real not null
    ) strict
    """,
    "create index observations_by_trial on observations (trial_id, metric)",
    """
    create table llm_calls (
        id integer primary key,
        study_id integer not null references studies(id),
        trial_id integer references trials(id),
        purpose text not null,
        prompt_version text not null,
        model text not null,
        messages text not null,
        answer text not null,
        error text not null default '',
        input_tokens integer, output_tokens integer, cost_usd real,
        started_at real not null,
        wall_s real not null
    ) strict
    """,
    """
    create table events (
        id integer primary key,
        study_id integer not null references studies(id),
        trial_id integer references trials(id),
        at real not null,
        kind text not null,
        detail text not null default '{}' -- JSON
    ) strict
    """,
    "create index events_by_study on events (study_id, kind)",
    """
    create table insights (
        id integer primary key,
        study_id integer not null references studies(id),
        text text not null,
        trials text not null,             -- JSON list of the numbers that support it
        created_at real not null,
        retired_at real
    ) strict
    """,
    """
    create table artifacts (
        trial_id integer not null references trials(id),
        path text not null,               -- relative to the trial's folder
        primary key (trial_id, path)
    ) strict
    """,
)


@MIGRATIONS()
def m001_first_tables(db: Database) -> None:
    """Create all tables of the first release."""
    # One by one: executescript would commit the migration's transaction.
    for statement in _FIRST_TABLES:
        db.execute(statement)


@MIGRATIONS()
def m002_rival_of_a_proposal(db: Database) -> None:
    """Keep the sampler's prediction for its own point when another source's was run."""
    db.execute("alter table proposals add column rival_mean real")
    db.execute("alter table proposals add column rival_std real")


@MIGRATIONS()
def m003_variants_of_the_code(db: Database) -> None:
    """Keep the files of each version of the code and its state."""
    for column in (
        "files text not null default '{}'",  # JSON: the whole text of each file that may be edited
        "direction text not null default ''",
        "declared text not null default '{}'",  # JSON: further parameters, as tables
        "state text not null default 'sound' check (state in ('sound', 'refused', 'duplicate', 'broken'))",
        "reason text not null default ''",
        "warnings text not null default '[]'",  # JSON
    ):
        db.execute(f"alter table variants add column {column}")


@MIGRATIONS()
def m004_gpu_usage(db: Database) -> None:
    """Keep what a trial used of its GPUs; NULL where it was not measured."""
    for column in ("gpu_mem_gib", "gpu_busy", "energy_j"):
        db.execute(f"alter table trials add column {column} real")
    # This index holds everything that `status` sums up.
    db.execute("drop index trials_by_kind")
    kinds = "study_id, state, source, failure_kind, replicate_of, gpu_s, energy_j"
    db.execute(f"create index trials_by_kind on trials ({kinds})")


@MIGRATIONS()
def m006_what_a_trial_goes_on_from(db: Database) -> None:
    """Keep which trial's files another trial continues from."""
    db.execute("alter table trials add column parent integer")


@MIGRATIONS()
def m007_settings_of_an_edit(db: Database) -> None:
    """Keep what an edit was written for, and what it joins, so that a later run gives it its first trial."""
    for column in (
        "joined text",
        "params text not null default '{}'",  # JSON
        "predicted real",
    ):
        db.execute(f"alter table variants add column {column}")


@MIGRATIONS()
def m008_judgement_of_a_candidate(db: Database) -> None:
    """Keep what the sampler's model expected of a model's candidate, to compare whose order proves right."""
    db.execute("alter table proposals add column judged_mean real")
    db.execute("alter table proposals add column judged_std real")


@MIGRATIONS()
def m009_instance_of_a_run(db: Database) -> None:
    """Keep which instance a trial ran on; '' for a study without [instances]."""
    db.execute("alter table trials add column instance text not null default ''")


@MIGRATIONS()
def m010_verdicts_of_a_judge(db: Database) -> None:
    """Keep what a judge of texts answered, so that nothing is asked twice."""
    db.execute(
        """
        create table verdicts (
            study_id integer not null references studies(id),
            key text not null,                -- hash of the model, the prompt and the texts
            verdict text not null,            -- 'a', 'b', 'tie', a score, or 'none'
            at real not null,
            primary key (study_id, key)
        ) strict, without rowid
        """
    )


def migrate(db: Database, path: Path | None) -> None:
    """Apply the migrations that are missing; an existing history is copied to `NAME.before-MIGRATION` first.

    Raises:
        HistoryError: the file was written by a newer version or is not a history.
    """
    applied = _applied(db, path)
    pending = [migration.name for migration in MIGRATIONS.pending(db)]
    if not pending:
        return
    if applied and path is not None:
        with closing(sqlite3.connect(path.with_name(f"{path.name}.before-{pending[0]}"))) as copy:
            db.conn.backup(copy)
    MIGRATIONS.apply(db)


def _applied(db: Database, path: Path | None) -> set[str]:
    known = {migration.name for migration in MIGRATIONS._migrations}  # noqa: SLF001  # there is no public list
    applied = {migration.name for migration in MIGRATIONS.applied(db)}
    if applied - known:
        raise newer_version_error(path, ", ".join(sorted(applied - known)))
    if not applied and set(db.table_names()) - {MIGRATIONS_TABLE}:
        raise foreign_database_error(path)
    return applied
