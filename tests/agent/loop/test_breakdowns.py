"""What goes wrong around trials: commands that the system does not start, faults of the loop, exhausted spaces."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from fakes.projects import SCRIPT, invoke, make_project, start

from tunesmith.agent.loop.limits.clocks import Clocks, WorkClock
from tunesmith.agent.loop.loop import Loop
from tunesmith.agent.loop.notices.events import Finished, LoopEvent, Observed, Started
from tunesmith.agent.loop.run_options import RunOptions
from tunesmith.evaluator.executors.local import LocalExecutor
from tunesmith.history.database.lock import WriterLock
from tunesmith.history.read import History
from tunesmith.study.commands import Pause, Resume
from tunesmith.study.config.load import load_spec
from tunesmith.study.errors import HistoryRemoved, InternalError, ProjectError
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.tools.control.inbox import Inbox, InboxControl


def trials(project: Path) -> list[Trial]:
    with History.open(project / ".tunesmith" / "history.db") as history:
        return history.trials(history.study("toy").id)


def options(project: Path, clocks: Clocks | None = None) -> RunOptions:
    database = project / ".tunesmith" / "history.db"
    return RunOptions(project=project, history=database, cpus=1, clocks=clocks or Clocks())


def test_a_command_line_that_is_too_long_fails_its_trial_only(tmp_path: Path) -> None:
    long = "z" * 200_000
    project = make_project(tmp_path / "p", trials=6, more="--note {note}")
    study = project / "study.toml"
    text = study.read_text().replace(
        "[budget]", f'note = {{ type = "choice", choices = ["a", "b", "{long}"] }}\n[budget]'
    )
    study.write_text(text)
    assert invoke("run", cwd=project).returncode == 0
    failed = [t for t in trials(project) if t.failure]
    assert failed
    assert {t.params["note"] for t in failed} == {long}
    assert "Argument list too long" in failed[0].failure.reason  # type: ignore[union-attr]
    assert any(t.state is TrialState.COMPLETE for t in trials(project))


@pytest.mark.parametrize("error", [MemoryError("no memory"), OSError(11, os.strerror(11)), RuntimeError("no threads")])
def test_an_exception_of_the_executor_fails_one_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    project = make_project(tmp_path / "p", trials=4)
    started, real = [], LocalExecutor.start

    def start_third_badly(self: LocalExecutor, spec: object) -> object:
        started.append(spec)
        if len(started) == 2:
            raise error
        return real(self, spec)  # type: ignore[arg-type]

    monkeypatch.setattr(LocalExecutor, "start", start_third_badly)
    assert invoke("run", cwd=project).returncode == 0
    failed = [t for t in trials(project) if t.failure]
    assert [t.number for t in failed] == [1]
    assert "cannot start" in failed[0].failure.reason  # type: ignore[union-attr]


def test_a_fault_of_the_loop_ends_the_run_with_a_message_and_its_trials_run_again(tmp_path: Path) -> None:
    heard = tmp_path / "heard.jsonl"
    hook = f"{sys.executable} -c \\\"import sys; open('{heard}', 'a').write(sys.stdin.read())\\\""
    project = make_project(tmp_path / "p", trials=3, more="--sleep 0.3", tables=f'[notify]\ncommand = "{hook}"')

    def on_event(event: LoopEvent) -> None:
        if isinstance(event, Started) and event.trial.number == 1:
            raise KeyError("a fault")

    with pytest.raises(InternalError) as raised:
        Loop(load_spec(project), options(project), on_event=on_event).run()
    text = str(raised.value)
    log = project / ".tunesmith" / "toy" / "errors.log"
    assert "KeyError: 'a fault'" in text
    assert str(log) in text
    assert "Traceback" not in text
    assert "Traceback" in log.read_text()
    assert [(t.state, t.attempt) for t in trials(project)][1] == (TrialState.WAITING, 1)
    assert [json.loads(line)["by"] for line in heard.read_text().splitlines()] == ["error"]
    WriterLock(project / ".tunesmith" / "history.db", now=time.time()).release()
    assert invoke("run", cwd=project).returncode == 0
    assert [t.state for t in trials(project)] == [TrialState.COMPLETE] * 3


def test_the_command_line_shows_a_fault_without_a_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(tmp_path / "p", trials=3)

    def fails(self: object, event: object) -> None:
        if isinstance(event, Observed):
            raise ZeroDivisionError("a fault")

    monkeypatch.setattr("tunesmith.cli.display.plain.PlainLines.show", fails)
    done = invoke("run", cwd=project)
    assert done.returncode == 70
    assert "ZeroDivisionError: a fault" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_exhausted_space_costs_no_cpu_while_the_last_trial_runs(tmp_path: Path) -> None:
    script = SCRIPT.replace("time.sleep(", "time.sleep(4 if y == 1 and x == 0 else ")
    project = make_project(tmp_path / "p", script=script, trials=50, parallel=2, sampler="bayes")
    study = project / "study.toml"
    text = study.read_text().replace(
        "low = 0.0, high = 1.0, default = 0.9", "low = 0.0, high = 1.0, step = 0.5, default = 0.5"
    )
    study.write_text(text.replace("high = 8, default = 8", "high = 2, default = 2"))
    process = start("run", "--json", cwd=project)
    try:
        assert process.stdout is not None
        finished = 0
        for line in process.stdout:
            finished += json.loads(line)["event"] == "finished"
            if finished == 5:
                break
        loop = psutil.Process(process.pid)
        before, at = sum(loop.cpu_times()[:2]), time.monotonic()
        rest = process.stdout.read()
        assert '"finished"' in rest
        waited_s = time.monotonic() - at
    finally:
        used_s = _cpu_s(process.pid) - before if process.poll() is None else 0.0
        process.communicate(timeout=60)
    assert used_s < 0.5 * max(waited_s, 1.0)


def _cpu_s(pid: int) -> float:
    try:
        return float(sum(psutil.Process(pid).cpu_times()[:2]))
    except psutil.Error:
        return 0.0


def test_hours_do_not_run_while_a_study_is_paused_and_nothing_runs(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=4)
    study = project / "study.toml"
    study.write_text(study.read_text().replace("trials = 4", "trials = 4\nhours = 1.0"))
    offset = [0.0]
    clocks = Clocks(steady=lambda: time.monotonic() + offset[0])
    control = InboxControl(Inbox(project / ".tunesmith" / "toy"), by="test")
    paused = threading.Event()

    def resume_later() -> None:
        control.send(Pause())
        until = time.monotonic() + 30
        while any(not t.state.is_finished for t in trials(project)) and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.2)
        offset[0] = 7200.0
        time.sleep(0.2)
        control.send(Resume())

    def on_event(event: LoopEvent) -> None:
        if isinstance(event, Observed) and not paused.is_set():
            paused.set()
            threading.Thread(target=resume_later, daemon=True).start()

    ended = Loop(load_spec(project), options(project, clocks), on_event=on_event).run()
    assert paused.is_set()
    assert ended.by == "trials"
    assert ended.record.spent.hours < 0.5


def test_a_work_clock_leaves_out_the_time_in_which_it_is_stopped() -> None:
    now = [10.0]
    clock = WorkClock(lambda: now[0])
    clock.is_stopped = True
    now[0] = 25.0
    clock.is_stopped = True
    assert clock() == 10.0
    clock.is_stopped = False
    now[0] = 30.0
    assert clock() == 15.0


def test_a_raised_limit_of_trials_brings_no_repetitions_of_the_default(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=5, more="--seed {seed}", tables="[confirm]\nseeds = 2\nmax_seeds = 2")
    study = project / "study.toml"
    confirmed = study.read_text()
    study.write_text(confirmed.replace("[confirm]\nseeds = 2\nmax_seeds = 2", ""))
    invoke("run", cwd=project)
    study.write_text(confirmed)
    invoke("run", "--trials", "22", cwd=project)
    first = next(t.number for t in trials(project) if t.is_replicate)
    assert first >= 22


@pytest.mark.parametrize("removed", [".tunesmith", ".tunesmith/toy"])
def test_a_folder_that_is_removed_during_a_run_is_said_in_a_sentence(removed: str, tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=40)
    target = project / removed

    def remove(event: LoopEvent) -> None:
        if isinstance(event, Finished) and event.trial.number == 1:
            shutil.rmtree(target) if target.is_dir() else target.unlink()

    with pytest.raises((ProjectError, HistoryRemoved), match=f"{re.escape(removed)}.* removed while it ran"):
        Loop(load_spec(project), options(project), on_event=remove).run()


@pytest.mark.parametrize("how", ["removed", "moved away", "replaced", "removed with its log", "kept once before"])
def test_a_history_that_is_removed_alone_is_noticed_at_the_next_write_and_kept(how: str, tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=40)
    history = project / ".tunesmith" / "history.db"
    if how == "kept once before":
        history.parent.mkdir()
        history.with_name("history.kept.db").mkdir()
    ended: list[int] = []

    def remove(event: LoopEvent) -> None:
        if isinstance(event, Finished):
            ended.append(event.trial.number)
            if event.trial.number == 2:
                history.rename(tmp_path / "elsewhere.db") if how in ("moved away", "replaced") else history.unlink()
                if how == "replaced":
                    shutil.copyfile(tmp_path / "elsewhere.db", history)
                if how == "removed with its log":
                    history.with_name("history.db-wal").unlink()

    with pytest.raises(HistoryRemoved, match=r"was (removed|replaced by another file) while it ran") as raised:
        Loop(load_spec(project), options(project), on_event=remove).run()
    assert ended == [0, 1, 2]
    (kept,) = (path for path in history.parent.glob("history.kept*.db") if path.is_file())
    assert f"mv {kept.name} history.db" in str(raised.value)
    assert not list(history.parent.glob("history.db-*")), "no log of the lost file is taken for one of the copy"
    kept.replace(history)
    assert invoke("run", "--trials", "5", cwd=project).returncode == 0
    assert [t.state for t in trials(project)] == [TrialState.COMPLETE] * 5
