"""Commands sent to a running study from another process: real runs, a real inbox, and the history afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fakes.projects import invoke, make_project, start

from tunesmith.history.read import History
from tunesmith.study.commands import (
    Bounds,
    Command,
    Confirm,
    Constrain,
    End,
    Limit,
    Parallel,
    Pause,
    Pin,
    Queue,
    Resume,
    Setting,
    StopTrial,
    Veto,
    Withdraw,
)
from tunesmith.study.config.record import Event
from tunesmith.study.errors import ToolRefused
from tunesmith.study.trials.trial import FailureKind, Source, Trial, TrialState
from tunesmith.tools.control.inbox import Inbox, InboxControl


def inbox(project: Path) -> Inbox:
    return Inbox(project / ".tunesmith" / "toy")


def send(project: Path, command: Command) -> str:
    return InboxControl(inbox(project), by="test").send(command)


def trials(project: Path) -> list[Trial]:
    path = project / ".tunesmith" / "history.db"
    if not path.is_file() or not path.stat().st_size:
        return []
    with History.open(path) as history:
        record = history.find("toy")
        return history.trials(record.id) if record else []


def events(project: Path, kind: str) -> list[Event]:
    with History.open(project / ".tunesmith" / "history.db") as history:
        return history.events(history.study("toy").id, kind)


def wait_for(holds: Callable[[], Any], timeout_s: float = 60.0) -> None:
    until = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < until, "the condition did not hold in time"
        time.sleep(0.03)


@contextmanager
def running(project: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Run the study in another process until the block ends, then interrupt it."""
    process = start("run", *options, cwd=project)
    try:
        wait_for(lambda: inbox(project).has_running_loop() and trials(project))
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def slow(tmp_path: Path, **options: Any) -> Path:
    return make_project(tmp_path / "p", **{"trials": 200, "more": "--sleep 0.3", **options})


def test_queued_trials_run_in_order_and_before_those_of_the_sampler(tmp_path: Path) -> None:
    project = slow(tmp_path)
    with running(project):
        first = send(project, Queue(params={"x": 0.25, "y": 4}, why="my idea"))
        second = send(project, Queue(params={"x": 0.5, "y": 2}))
        assert first.startswith("queued as trial ")
        numbers = [int(text.rsplit(" ", 1)[1]) for text in (first, second)]
        wait_for(lambda: len(trials(project)) > numbers[1] and trials(project)[numbers[1]].state.is_finished)
    asked = [trials(project)[n] for n in numbers]
    assert [dict(t.params) for t in asked] == [{"x": 0.25, "y": 4}, {"x": 0.5, "y": 2}]
    assert all(t.proposal.source is Source.USER and t.state is TrialState.COMPLETE for t in asked)
    assert asked[0].proposal.rationale == "my idea"
    # No later proposal started before them.
    later = [t for t in trials(project) if t.number > numbers[1] and t.started_at]
    assert all((t.started_at or 0) >= (asked[1].started_at or 0) for t in later)
    assert [e.detail["done"] for e in events(project, "order")] == [True, True]


def test_an_invalid_trial_is_refused_with_every_mistake(tmp_path: Path) -> None:
    project = slow(tmp_path)
    with running(project), pytest.raises(ToolRefused) as refused:
        send(project, Queue(params={"x": 7.0, "z": 1}))
    text = str(refused.value)
    assert "x" in text
    assert "out of range" in text
    assert "z: is not a parameter" in text
    assert not any(t.proposal.source is Source.USER for t in trials(project))
    (event,) = events(project, "order")
    assert event.detail["done"] is False
    assert event.detail["by"] == "test"


def test_a_command_to_a_study_that_does_not_run_is_executed_by_the_next_run(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=2)
    assert "when it next runs" in send(project, Queue(params={"x": 0.3, "y": 4}))
    assert "when it next runs" in send(project, Limit(name="trials", value=4))
    done = invoke("run", cwd=project)
    assert done.returncode == 0, done.stderr
    assert "queued as trial" in done.stdout
    found = trials(project)
    assert len(found) == 4
    assert [t.proposal.source for t in found].count(Source.USER) == 1


def test_pause_and_resume(tmp_path: Path) -> None:
    project = slow(tmp_path, more="--sleep 0.1")
    with running(project):
        assert "paused" in send(project, Pause())
        wait_for(lambda: all(t.state.is_finished for t in trials(project)))
        count = len(trials(project))
        time.sleep(0.5)
        assert len(trials(project)) == count
        assert send(project, Resume()) == "trials start again"
        wait_for(lambda: len(trials(project)) > count)


def test_a_running_trial_is_stopped_and_a_waiting_one_withdrawn(tmp_path: Path) -> None:
    project = slow(tmp_path, more="--sleep 30")
    with running(project):
        wait_for(lambda: trials(project)[0].state is TrialState.RUNNING)
        send(project, Pause())
        queued = int(send(project, Queue(params={"x": 0.5, "y": 2})).rsplit(" ", 1)[1])
        with pytest.raises(ToolRefused, match=r"only a waiting trial"):
            send(project, Withdraw(number=0))
        with pytest.raises(ToolRefused, match=r"not running; running: 0"):
            send(project, StopTrial(number=queued))
        assert "will not run" in send(project, Withdraw(number=queued))
        assert "is being stopped" in send(project, StopTrial(number=0))
        wait_for(lambda: trials(project)[0].state.is_finished)
    first, second = trials(project)
    assert first.state is second.state is TrialState.STOPPED
    assert first.outcome is not None
    assert "by a person" in first.outcome.note


def test_a_changed_budget_ends_the_study_at_the_new_limit(tmp_path: Path) -> None:
    project = slow(tmp_path, more="--sleep 0.1")
    with running(project) as process:
        assert send(project, Limit(name="trials", value=5)) == "budget.trials: 200 -> 5"
        assert process.wait(timeout=60) == 0
    assert len(trials(project)) == 5
    with pytest.raises(ToolRefused, match="nothing would end the study"), running(project, "--trials", "400"):
        send(project, Limit(name="trials", value=None))


def test_a_timeout_given_while_it_runs_ends_later_trials(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=200, more="--sleep 0.3")
    with running(project):
        wait_for(lambda: trials(project)[0].state is TrialState.COMPLETE)
        assert send(project, Setting(key="run.timeout", value="0.1s")) == "run.timeout: none -> 0.1s"
        wait_for(lambda: any(t.failure and t.failure.kind is FailureKind.TIMEOUT for t in trials(project)))
        with pytest.raises(ToolRefused, match="end the run, change the study file"):
            send(project, Setting(key="run.command", value="python x"))
    with History.open(project / ".tunesmith" / "history.db") as history:
        assert history.study("toy").spec.run.timeout == pytest.approx(0.1)


def test_a_change_survives_a_restart_until_the_file_is_edited(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=2)
    send(project, Limit(name="trials", value=3))
    assert invoke("run", cwd=project).returncode == 0
    assert len(trials(project)) == 3
    again = invoke("run", cwd=project)
    assert "budget.trials = 3, as asked earlier" in again.stdout
    assert len(trials(project)) == 3
    text = (project / "study.toml").read_text()
    (project / "study.toml").write_text(text.replace("trials = 2", "trials = 6"))
    edited = invoke("run", cwd=project)
    assert "as asked earlier" not in edited.stdout
    assert len(trials(project)) == 6


@pytest.mark.parametrize("sampler", ["random", "bayes"])
def test_pins_and_vetoes_hold_for_all_later_trials(sampler: str, tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=14, sampler=sampler)
    send(project, Pin(name="y", value=3))
    send(project, Veto(condition="x > 0.6"))
    done = invoke("run", cwd=project)
    assert done.returncode == 0, done.stderr
    found = trials(project)
    assert found[0].proposal.source is Source.DEFAULT  # the default is the baseline
    assert len(found) == 14
    assert all(t.params["y"] == 3 and float(str(t.params["x"])) <= 0.6 for t in found[1:])
    assert "y is fixed at 3" in found[-1].proposal.rationale
    send(project, Pin(name="y"))
    send(project, Veto(condition="x > 0.6", lift=True))
    invoke("run", "--trials", "30", cwd=project)
    later = trials(project)[15:]
    assert {t.params["y"] for t in later} != {3}
    assert any(float(str(t.params["x"])) > 0.6 for t in later) or sampler == "bayes"


def test_bounds_constraints_and_parallelism_change_while_it_runs(tmp_path: Path) -> None:
    project = slow(tmp_path, more="--sleep 0.15")
    with running(project):
        assert send(project, Parallel(count=3)) == "run.parallel: 1 -> 3"
        wait_for(lambda: sum(t.state is TrialState.RUNNING for t in trials(project)) == 3)
        assert "space.y" in send(project, Bounds(name="y", high=4))
        count = len(trials(project))
        wait_for(lambda: any(t.state is TrialState.COMPLETE for t in trials(project)))
        with pytest.raises(ToolRefused, match="no trial reported 'memory'; reported: loss"):
            send(project, Constrain(metric="memory", max=1.0))
        assert "constraints.loss" in send(project, Constrain(metric="loss", max=99.0))
        with pytest.raises(ToolRefused, match=r"did you mean|no parameter"):
            send(project, Bounds(name="yy", high=4))
        with pytest.raises(ToolRefused, match="low"):
            send(project, Bounds(name="x", low=2.0))
        assert "none" in send(project, Constrain(metric="loss"))
        wait_for(lambda: len(trials(project)) > count + 6)
        assert send(project, Parallel(count=1)) == "run.parallel: 3 -> 1"
        wait_for(lambda: sum(t.state is TrialState.RUNNING for t in trials(project)) == 1)
    assert all(int(str(t.params["y"])) <= 4 for t in trials(project)[count:])


def test_a_trial_is_confirmed_on_fresh_seeds(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=3)
    send(project, Confirm(number=0, seeds=2))
    early = invoke("run", cwd=project)
    assert "test was refused: there is no trial 0; no trial exists yet" in early.stdout
    send(project, Confirm(number=0, seeds=2))
    invoke("run", cwd=project)
    again = [t for t in trials(project) if t.proposal.replicate_of == 0]
    assert len(again) == 2
    assert len({t.proposal.seed for t in again}) == 2


def test_ending_a_run_from_outside_leaves_it_resumable(tmp_path: Path) -> None:
    project = slow(tmp_path, more="--sleep 0.5")
    with running(project) as process:
        assert "the run ends" in send(project, End(now=True))
        assert process.wait(timeout=60) == 130
    assert not inbox(project).has_running_loop()
    assert [e.detail["order"]["kind"] for e in events(project, "order")] == ["end"]
    assert trials(project)[-1].state is TrialState.WAITING


def test_invalid_commands_are_refused_and_recorded(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=2)
    inbox = project / ".tunesmith" / "toy" / "inbox"
    inbox.mkdir(parents=True)
    bad = {
        "1": "no json",
        "2": '{"by": "x", "order": {"kind": "shell", "command": "id"}}',
        "3": "[]",
        "4": '{"by": "x", "order": {"kind": "queue", "params": {"x": NaN, "y": 2}}}',
        "5": "x" * 200_000,
        "6": '{"by": "x", "order": {"kind": "queue"}}',
        "7": '{"by": "x", "order": {"kind": "limit", "name": "trials", "value": -3}}',
    }
    for name, text in bad.items():
        (inbox / f"{name}.json").write_text(text)
    done = invoke("run", cwd=project)
    assert done.returncode == 0, done.stderr
    assert len(trials(project)) == 2
    assert [e.detail["done"] for e in events(project, "order")] == [False] * len(bad)
    assert list(inbox.glob("*.json")) == []


def test_a_command_that_was_recorded_before_a_crash_is_not_executed_twice(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=2)
    name = inbox(project).submit(Queue(params={"x": 0.3, "y": 4}), by="test")
    waiting = project / ".tunesmith" / "toy" / "inbox" / f"{name}.json"
    text = waiting.read_text()
    invoke("run", cwd=project)
    assert not waiting.exists()
    waiting.write_text(text)  # as if the loop had been killed before it could remove the file
    invoke("run", "--trials", "3", cwd=project)
    assert [t.proposal.source for t in trials(project)].count(Source.USER) == 1


def test_a_killed_loop_does_not_count_as_running(tmp_path: Path) -> None:
    project = slow(tmp_path)
    with running(project) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=10)
        assert not inbox(project).has_running_loop()
        assert "when it next runs" in send(project, Pause())
