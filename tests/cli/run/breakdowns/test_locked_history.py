"""A run whose history another program locks, and trials whose folder cannot be made."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from fakes.projects import invoke, make_project

from tunesmith.agent.loop.limits.lock_wait import LockWait
from tunesmith.evaluator.files import workspace
from tunesmith.history.database import connect
from tunesmith.history.read import History
from tunesmith.study.errors import ProjectError
from tunesmith.study.trials.trial import Trial, TrialState


def trials_of(project: Path) -> list[Trial]:
    with History.open(project / ".tunesmith" / "history.db") as history:
        return history.trials(history.study("toy").id)


def test_a_run_waits_for_a_program_that_locks_its_history_for_long_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(tmp_path / "p", trials=1)
    invoke("run", cwd=project)
    monkeypatch.setattr(connect, "BUSY_TIMEOUT_S", 0.05)
    monkeypatch.setattr(connect, "RETRY_TIMEOUT_S", 0.02)
    asked, keeps_waiting = [0], LockWait.keeps_waiting
    locker = sqlite3.connect(project / ".tunesmith" / "history.db", isolation_level=None, check_same_thread=False)

    def release_at_the_third_question(self: LockWait) -> bool:
        asked[0] += 1
        if asked[0] == 3:
            locker.execute("rollback")
        return keeps_waiting(self)

    def lock_once(self: LockWait, run: object, build: object = LockWait.__init__) -> None:
        build(self, run)  # type: ignore[operator]  # the constructor
        locker.execute("begin immediate")

    monkeypatch.setattr(LockWait, "keeps_waiting", release_at_the_third_question)
    monkeypatch.setattr(LockWait, "__init__", lock_once)
    with closing(locker):
        done = invoke("run", "--trials", "4", cwd=project)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("another program locks") == 1
    assert [t.state for t in trials_of(project)] == [TrialState.COMPLETE] * 4
    assert all(t.attempt == 1 for t in trials_of(project))


def test_a_run_that_finds_its_history_locked_starts_once_it_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tunesmith.cli.session import full_disk

    project = make_project(tmp_path / "p", trials=1)
    invoke("run", cwd=project)
    monkeypatch.setattr(connect, "BUSY_TIMEOUT_S", 0.05)
    monkeypatch.setattr(connect, "RETRY_TIMEOUT_S", 0.02)
    monkeypatch.setattr(full_disk, "CHECK_INTERVAL_S", 0.05)
    looked = threading.Event()
    with closing(sqlite3.connect(project / ".tunesmith" / "history.db", isolation_level=None)) as locker:
        locker.execute("begin immediate")

        def look(path: Path) -> bool:
            if looked.is_set():
                locker.execute("rollback")
                return True
            looked.set()
            return connect.is_writable(path)

        monkeypatch.setattr(full_disk, "is_writable", look)
        done = invoke("run", "--trials", "3", cwd=project)
    assert done.returncode == 0, done.stderr
    assert "locked by another program" in done.stdout
    assert len(trials_of(project)) == 3


def test_a_trial_whose_folder_cannot_be_made_loses_no_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(tmp_path / "p", trials=3)

    def refuse(*_: object) -> None:
        raise ProjectError("the trial's folder cannot be made: Permission denied")

    for _ in range(3):
        with monkeypatch.context() as patch:
            patch.setattr(workspace, "make_workspace", refuse)
            ended = invoke("run", cwd=project)
        assert ended.returncode == 2
        assert "Permission denied" in ended.stderr
        assert [(t.state, t.attempt) for t in trials_of(project)] == [(TrialState.WAITING, 1)]
    assert invoke("run", cwd=project).returncode == 0
    assert [(t.state, t.attempt) for t in trials_of(project)] == [(TrialState.COMPLETE, 1)] * 3
