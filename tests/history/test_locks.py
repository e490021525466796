"""Other programs that hold the history file: the writer waits, readers write nothing."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.studies import complete, make_spec, proposal

from tunesmith.history.database import connect
from tunesmith.history.database.lock import WriterLock
from tunesmith.history.database.schema import MIGRATIONS
from tunesmith.history.database.sqlite_utils_import import Database
from tunesmith.history.read import History
from tunesmith.history.write import Recorder
from tunesmith.study.errors import HistoryError, HistoryLocked

LATER_MIGRATION = "m006_what_a_trial_goes_on_from"
"""The first migration that an older file lacks; it adds the parent of a proposal."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "BUSY_TIMEOUT_S", 0.05)
    monkeypatch.setattr(connect, "RETRY_TIMEOUT_S", 0.02)


def opened(path: Path) -> Recorder:
    return Recorder(path, make_spec(), project="/project", now=1.0)


def other_program(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)


def test_a_write_of_another_program_between_a_read_and_a_write_ends_nothing(path: Path) -> None:
    """A transaction that begins by reading would fail at once with SQLITE_BUSY_SNAPSHOT, without waiting."""
    with opened(path) as recorder, closing(other_program(path)) as other:
        done = threading.Event()

        def write_meanwhile() -> None:
            other.execute("begin immediate")
            other.execute("update studies set active_s = active_s")
            done.set()
            other.execute("commit")

        for number in range(20):
            writer = threading.Thread(target=write_meanwhile)
            writer.start()
            assert recorder.record_proposal(proposal(), 2.0).number == number
            writer.join()
        assert done.is_set()


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("begin", ["begin immediate", "begin exclusive"])
def test_a_writer_waits_for_a_lock_for_as_long_as_it_is_asked_to(path: Path, begin: str) -> None:
    with opened(path) as recorder, closing(other_program(path)) as other:
        other.execute(begin)
        asked: list[int] = []

        def keeps_waiting() -> bool:
            asked.append(1)
            if len(asked) == 3:
                other.execute("rollback")
            return True

        recorder.wait_while(keeps_waiting)
        trial = recorder.record_proposal(proposal(), 2.0)
        assert len(asked) >= 3
        assert recorder.record_outcome(trial, complete(0.5), 3.0).values == {"loss": 0.5}


@pytest.mark.usefixtures("_impatient")
def test_without_patience_the_error_names_the_file_and_what_to_close_and_nothing_is_half_written(path: Path) -> None:
    with opened(path) as recorder, closing(other_program(path)) as other:
        other.execute("begin immediate")
        with pytest.raises(HistoryLocked, match=r"history\.db is locked by another program.*close it"):
            recorder.record_proposal(proposal(), 2.0)
        other.execute("rollback")
        assert recorder.record_proposal(proposal(), 2.0).number == 0


@pytest.mark.usefixtures("_impatient")
def test_a_lock_while_a_study_is_opened_is_called_a_lock(path: Path) -> None:
    opened(path).close()
    with closing(other_program(path)) as other:
        other.execute("begin immediate")
        assert not connect.is_writable(path)
        with pytest.raises(HistoryLocked):
            opened(path)
        other.execute("rollback")
        assert connect.is_writable(path)
    opened(path).close()


@pytest.mark.usefixtures("_impatient")
def test_readers_read_beside_an_open_write_transaction_and_name_an_exclusive_lock(path: Path) -> None:
    opened(path).close()
    with closing(other_program(path)) as other:
        other.execute("begin immediate")
        with History.open(path) as history:
            assert history.names() == ["small"]
        other.execute("rollback")
        other.execute("pragma locking_mode = exclusive")
        other.execute("begin exclusive")
        with pytest.raises(HistoryError, match="locked by another program"):
            History.open(path)


def older_file(path: Path) -> None:
    """Make a history as an earlier version left it: without what the migrations since then added."""
    with opened(path) as recorder:
        recorder.record_proposal(proposal(), 2.0)
    before = Database(memory=True)
    MIGRATIONS.apply(before, stop_before=LATER_MIGRATION)
    with closing(other_program(path)) as db:
        for table in before.table_names():
            kept = {column.name for column in before[table].columns}
            for row in db.execute(f"pragma table_info({table})").fetchall():
                if row[1] not in kept:
                    db.execute(f"alter table {table} drop column {row[1]}")
        tables = [name for (name,) in db.execute("select name from sqlite_master where type = 'table'").fetchall()]
        for table in set(tables) - set(before.table_names()):
            db.execute(f"drop table {table}")
        db.execute("delete from _sqlite_migrations where name >= ?", [LATER_MIGRATION])
        db.execute("pragma wal_checkpoint(truncate)")


def test_reading_an_older_file_writes_nothing_and_sees_what_changes_there(path: Path) -> None:
    older_file(path)
    before = path.read_bytes()
    with History.open(path) as history:
        assert history.is_copy
        assert [t.proposal.parent for t in history.trials(history.study("small").id)] == [None]
    assert path.read_bytes() == before
    assert not list(path.parent.glob("*.before-*"))
    assert not path.with_name("history.db.lock").exists() or not path.with_name("history.db.lock").read_text()
    with opened(path):  # the writer migrates, under its lock
        pass
    with History.open(path) as history:
        assert not history.is_copy
    assert list(path.parent.glob("*.before-*"))


def test_an_older_file_is_read_while_its_writer_holds_the_lock(path: Path) -> None:
    older_file(path)
    with WriterLock(path, now=1.0), History.open(path) as history:
        assert history.names() == ["small"]


def test_every_proposal_is_recorded_with_the_parameters_own_values(path: Path) -> None:
    with opened(path) as recorder:
        given = replace(proposal(), params={"lr": 1, "hidden": 64.0, "optimizer": "ADAM"})
        recorder.record_proposal(given, 2.0)
        (trial,) = recorder.history.trials(recorder.study_id)
    assert repr(dict(trial.params)) == "{'lr': 1.0, 'hidden': 64, 'optimizer': 'adam'}"
