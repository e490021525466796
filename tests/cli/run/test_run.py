"""`tunesmith run` as a person or a script uses it: real processes, real files."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest
from fakes.projects import SCRIPT, command, events, invoke, make_project, start
from fakes.trials import wait_until

from tunesmith.history.read import History
from tunesmith.study.trials.trial import Source, TrialState


def history(project: Path) -> History:
    return History.open(project / ".tunesmith" / "history.db")


def proposals(project: Path) -> list[tuple[int, dict[str, object], int]]:
    with history(project) as opened:
        record = opened.study("toy")
        return [(t.number, dict(t.params), t.proposal.seed) for t in opened.trials(record.id)]


def processes_of(project: Path) -> list[psutil.Process]:
    prefix = str(project / ".tunesmith")
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TUNESMITH_TRIAL_FOLDER", "").startswith(prefix):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_a_study_runs_to_its_budget_and_prints_the_best_as_a_command(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=10, parallel=2, tables="[confirm]\ntop = 1\nseeds = 3")
    done = command("run", cwd=project)
    assert done.returncode == 0, done.stderr
    assert "toy  minimize loss" in done.stdout
    assert "train.py --x 0." in done.stdout
    assert "Its 3 repeats gave the same value, so they are one measurement" in done.stdout
    assert "Report: .tunesmith/toy/report.html" in done.stdout
    assert (project / ".tunesmith" / "toy" / "report.html").stat().st_size > 10_000
    with history(project) as opened:
        record = opened.study("toy")
        trials = opened.trials(record.id)
        own = [t for t in trials if not t.is_replicate]
        assert len(own) == record.spent.trials == 10
        assert own[0].proposal.source is Source.DEFAULT
        assert {t.proposal.seed < 2**30 for t in own} == {True}
        assert {t.proposal.seed < 2**30 for t in trials if t.is_replicate} == {False}
        assert len(trials) == 16
        assert record.ended_by == "trials"
        assert [o.step for o in opened.curve(record.id, 0)] == [0.0, 1.0, 2.0]


def test_json_prints_one_object_per_event(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=3)
    printed = events(invoke("run", "--json", cwd=project).stdout)
    kinds = [event["event"] for event in printed]
    assert kinds[0] == "opened"
    assert kinds[-1] == "ended"
    assert kinds.count("started") == kinds.count("finished") == 3
    assert printed[-1]["best"]["values"]["loss"] == min(
        e["values"]["loss"] for e in printed if e["event"] == "finished"
    )


def test_a_finished_study_is_not_run_again_but_resumes_with_a_larger_budget(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=3)
    invoke("run", cwd=project)
    again = invoke("run", cwd=project)
    assert again.returncode == 0
    assert "resuming: 3 finished" in again.stdout
    assert len(proposals(project)) == 3
    assert invoke("run", "--trials", "5", cwd=project).returncode == 0
    assert len(proposals(project)) == 5


def test_nothing_complete_ends_with_status_1(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=3, script="raise SystemExit('no data here')")
    done = invoke("run", cwd=project)
    assert done.returncode == 1
    assert "note: paused: 3 trials in a row failed, and their parameters do not explain it: no data here" in done.stdout
    assert "No trial completed: 3 failed (3 crash)" in done.stdout
    assert "Set aside: 3 trials" in done.stdout
    why = invoke("status", "--why", "1", cwd=project)
    assert "no data here" in why.stdout


def test_every_kind_of_failure_is_distinguished_and_the_study_continues(tmp_path: Path) -> None:
    script = """\
import os, sys, time
y = int(dict(zip(sys.argv[1::2], sys.argv[2::2]))["--y"])
if y == 1: print("CUDA out of memory. Tried to allocate 2 GiB", file=sys.stderr); sys.exit(1)
if y == 2: print("loss=nan")
if y == 3: time.sleep(60)
if y == 4: raise ValueError("bad shape")
if y == 5: print("all is well")
if y == 6: os.kill(os.getpid(), 15)
if y == 7: os._exit(137)
if y == 8: print("loss=0.5")
"""
    # SIGTERM may come from outside, so that configuration runs again until the others show that it is the only one.
    project = make_project(tmp_path / "p", trials=12, parallel=2, script=script)
    text = (project / "study.toml").read_text(encoding="utf-8").replace("parallel", 'timeout = "1s"\nparallel')
    text = text.replace('x = { type = "float", low = 0.0, high = 1.0, default = 0.9 }', "")
    (project / "study.toml").write_text(text.replace("--x {x} ", ""), encoding="utf-8")
    done = invoke("run", cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    with history(project) as opened:
        trials = opened.trials(opened.study("toy").id)
        kinds = {t.params["y"]: t.failure.kind.value if t.failure else "complete" for t in trials}
    assert kinds == {1: "oom", 2: "nan", 3: "timeout", 4: "crash", 5: "no_metric", 6: "killed", 7: "oom", 8: "complete"}


def test_a_trial_folder_that_cannot_be_made_ends_the_run_with_a_message_and_fails_no_trial(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=3)
    (project / ".tunesmith" / "toy").mkdir(parents=True)
    (project / ".tunesmith" / "toy" / "trials").write_text("in the way", encoding="utf-8")
    done = invoke("run", cwd=project)
    assert done.returncode == 2
    assert "trials/0000 cannot be written: Not a directory" in done.stderr
    assert "Traceback" not in done.stderr
    (project / ".tunesmith" / "toy" / "trials").unlink()
    assert invoke("run", cwd=project).returncode == 0
    assert len(proposals(project)) == 3


def test_an_exhausted_space_ends_the_study_and_says_so(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=50)
    text = (project / "study.toml").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("x =")]
    (project / "study.toml").write_text("\n".join(lines).replace("--x {x}", "--x 0.5"), encoding="utf-8")
    printed = events(invoke("run", "--json", cwd=project).stdout)
    assert printed[-1]["by"] == "exhausted"
    assert len(proposals(project)) == 8
    again = invoke("run", cwd=project).stdout.replace("\n", " ")
    assert "Nothing was started. Every configuration was tried. For more, widen a range in [space]." in again


def test_a_deadline_stops_what_runs(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=50, more="--sleep 30")
    printed = events(invoke("run", "--json", "--hours", "0.0005", cwd=project).stdout)
    assert printed[-1]["by"] == "hours"
    assert [e["state"] for e in printed if e["event"] == "finished"] == ["stopped"]


def wait_for_running(project: Path, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not processes_of(project):
        assert time.monotonic() < deadline, "no trial started"
        time.sleep(0.02)


def wait_for_line(process: subprocess.Popen[str], words: str) -> str:
    """Return what a process prints up to the line with these words."""
    assert process.stdout is not None
    printed = ""
    for line in process.stdout:
        printed += line
        if words in line:
            return printed
    raise AssertionError(f"{words!r} was not printed:\n{printed}")


def interrupt_twice(process: subprocess.Popen[str]) -> None:
    """Stop a run with its trials. The second signal waits for the answer to the first, since two at once may merge."""
    process.send_signal(signal.SIGINT)
    wait_for_line(process, "will finish (Ctrl-C again")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_one_interrupt_lets_trials_finish_and_the_study_resumes(tmp_path: Path, number: signal.Signals) -> None:
    release = tmp_path / "release"
    script = f"import os, time\nwhile not os.path.exists({str(release)!r}): time.sleep(0.02)\n{SCRIPT}"
    project = make_project(tmp_path / "p", trials=4, script=script)
    process = start("run", cwd=project)
    wait_for_running(project)
    process.send_signal(number)
    out = wait_for_line(process, "stopping: 1 running trial will finish (Ctrl-C again to end them now)")
    release.touch()
    rest, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Run the same command again to resume" in out + rest
    with history(project) as opened:
        assert [t.state for t in opened.trials(1)] == [TrialState.COMPLETE]
    assert invoke("run", cwd=project).returncode == 0
    assert len(proposals(project)) == 4


def test_two_interrupts_end_trials_at_once_and_they_run_again_on_resume(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=2, more="--sleep 600")
    process = start("run", cwd=project)
    wait_for_running(project)
    interrupt_twice(process)
    assert process.returncode == 130
    assert processes_of(project) == []
    with history(project) as opened:
        (trial,) = opened.trials(1)
        assert (trial.state, trial.attempt) == (TrialState.WAITING, 1)


def wait_for_a_running_trial(project: Path, budget: int, timeout_s: float = 20.0) -> None:
    """Return once a trial runs or all of the budget has run."""
    until = time.monotonic() + timeout_s
    sql = "select count(*), sum(state = 'running') from trials"
    while time.monotonic() < until:
        with (
            suppress(sqlite3.Error),
            closing(sqlite3.connect(f"file:{project}/.tunesmith/history.db?mode=ro", uri=True)) as db,
        ):
            count, running = db.execute(sql).fetchone()
            if running or count >= budget:
                return
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("kills", [10, pytest.param(30, marks=pytest.mark.nightly)])
def test_sigkill_at_random_moments_loses_nothing_and_counts_nothing_twice(tmp_path: Path, kills: int) -> None:
    # A third of the trials run well past the kill, and each leaves a child process in a new session.
    script = SCRIPT.replace(
        "time.sleep(",
        "import subprocess\nsubprocess.Popen(['sleep', '300'], start_new_session=True)\ntime.sleep(0.15 * (y % 3) + ",
        1,
    )
    budget = 2 * kills
    project = make_project(tmp_path / "p", trials=budget, parallel=2, script=script)
    moments = random.Random(2026)
    complete: dict[int, tuple[float | None, float | None]] = {}
    for round_number in range(kills):
        process = start("run", cwd=project)
        # Kills hit the start of one run and the trials of the next, on a slow machine too.
        if round_number % 2:
            wait_for_a_running_trial(project, budget)
        time.sleep(moments.uniform(0.0, 0.5))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if not (project / ".tunesmith" / "history.db").exists():
            continue
        with closing(sqlite3.connect(project / ".tunesmith" / "history.db")) as db:
            assert db.execute("pragma integrity_check").fetchone() == ("ok",)
            rows = db.execute("select number, value, ended_at from trials where state = 'complete'").fetchall()
        now = {number: (value, ended_at) for number, value, ended_at in rows}
        assert complete.items() <= now.items()
        complete = now
    assert command("run", cwd=project).returncode == 0
    assert processes_of(project) == []
    with history(project) as opened:
        record = opened.study("toy")
        trials = opened.trials(record.id)
        assert [t.number for t in trials] == list(range(budget))
        assert record.spent.trials == budget
        assert all(t.state.is_finished for t in trials)
        lost_twice = [t for t in trials if t.failure and t.failure.kind.value == "lost"]
        assert all(t.attempt == 2 for t in lost_twice)
        assert len([t for t in trials if t.state is TrialState.COMPLETE]) == budget - len(lost_twice)
        requeued = [e for e in opened.events(record.id) if e.kind == "requeued"]
        assert requeued, "no kill hit a running trial, so nothing was tested"
    assert {n: (t.values["loss"]) for n, t in enumerate(trials) if n in complete} == {
        n: value for n, (value, _) in complete.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "sampler",
    ["bayes", "random", *(pytest.param(name, marks=pytest.mark.nightly) for name in ("optuna-tpe", "optuna-gp"))],
)
@pytest.mark.parametrize("cut", [5, *(pytest.param(cut, marks=pytest.mark.nightly) for cut in (1, 9))])
def test_a_killed_and_resumed_study_proposes_what_the_uninterrupted_one_does(
    tmp_path: Path, sampler: str, cut: int
) -> None:
    whole = make_project(tmp_path / "whole", trials=12, sampler=sampler)
    assert invoke("run", cwd=whole).returncode == 0
    project = make_project(tmp_path / "cut", trials=12, sampler=sampler)
    process = start("run", "--json", cwd=project)
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "started" and event["trial"] == cut:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert invoke("run", cwd=project).returncode == 0
    assert proposals(project) == proposals(whole)


def test_a_second_run_is_refused_and_names_the_process_that_writes_the_history(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=2, more="--sleep 600")
    process = start("run", cwd=project)
    wait_for_running(project)
    second = invoke("run", cwd=project)
    assert second.returncode == 2
    assert f"process {process.pid} on" in second.stderr
    status = invoke("status", cwd=project)
    assert "running 1 trial" in status.stdout
    interrupt_twice(process)


def test_the_users_folder_is_not_written(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=2)
    before = {path.name: path.stat().st_mtime_ns for path in project.iterdir()}
    invoke("run", cwd=project)
    after = {path.name: path.stat().st_mtime_ns for path in project.iterdir() if path.name != ".tunesmith"}
    assert after == before


def test_parts_of_the_study_file_that_are_not_used_are_named(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=1, tables='[edits]\nfiles = ["train.py"]')
    done = invoke("run", cwd=project)
    assert "note: [edits]: without a model in [planner] nobody proposes edits" in done.stdout


def test_changed_files_are_noted_on_resume(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=1)
    invoke("run", cwd=project)
    (project / "train.py").write_text(SCRIPT + "\n# changed\n", encoding="utf-8")
    done = invoke("run", "--trials", "2", cwd=project)
    assert "files changed since the last run, and earlier trials ran with the old ones: train.py\n" in done.stdout
    assert os.listdir(project / ".tunesmith" / "toy" / "snapshots")


def test_files_that_no_run_reads_do_not_count_as_changed(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=1)
    invoke("run", cwd=project)
    study = project / "study.toml"
    study.write_text(study.read_text(encoding="utf-8").replace("high = 1.0", "high = 0.95"), encoding="utf-8")
    (project / "idea.patch").write_text("nothing\n", encoding="utf-8")
    assert invoke("skill", cwd=project).returncode == 0
    done = invoke("run", "--trials", "2", cwd=project)
    assert done.returncode == 0
    assert "files changed" not in done.stdout


def test_files_that_trials_write_into_the_project_do_not_count_as_changed_and_others_do(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=1)
    writes = "for name in ('train.log', 'rows.csv', 'logs/out.txt'):\n    open(f'{P}/{name}', 'a').write(f'{x}\\n')\n"
    writes += "open(f'{P}/best.json', 'w').write(repr(x))\n"
    (project / "train.py").write_text(f"{SCRIPT}\nP = {str(project)!r}\n{writes}", encoding="utf-8")
    (project / "logs").mkdir()
    for name in ("train.log", "data.csv", "notes.log", "logs/out.txt"):
        (project / name).write_text("before\n", encoding="utf-8")
    for trials in ("1", "2", "3", "4"):
        done = invoke("run", "--trials", trials, cwd=project)
        assert done.returncode == 0, done.stderr
        assert "files changed" not in done.stdout
    for name in ("data.csv", "notes.log", "rows.csv"):
        with (project / name).open("a", encoding="utf-8") as file:
            file.write("more\n")
    done = invoke("run", "--trials", "5", cwd=project)
    assert "earlier trials ran with the old ones: data.csv, notes.log, rows.csv\n" in done.stdout


def test_a_log_that_grew_in_a_run_that_was_killed_is_no_changed_file(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=1)
    writes = (
        f"open('{project}/train.log', 'a').write(f'{{x}}\\n')\nimport os\nwhile os.path.exists('{tmp_path}/wait'):\n"
    )
    (project / "train.py").write_text(f"{SCRIPT}\n{writes}    time.sleep(0.05)\n", encoding="utf-8")
    (project / "train.log").write_text("before\n", encoding="utf-8")
    assert invoke("run", cwd=project).returncode == 0
    (tmp_path / "wait").touch()
    process = start("run", "--trials", "2", cwd=project)
    wait_until(lambda: len((project / "train.log").read_text(encoding="utf-8").splitlines()) == 3)
    process.kill()
    process.communicate(timeout=60)
    (tmp_path / "wait").unlink()
    done = invoke("run", "--trials", "2", cwd=project)
    assert done.returncode == 0, done.stderr
    assert "files changed" not in done.stdout


def test_a_file_that_is_linked_and_was_replaced_is_named(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=1)
    for name in ("data.bin", "old.bin", "same.bin"):
        (project / name).write_bytes(bytes(2**20 + 1))
    invoke("run", cwd=project)
    (project / "data.bin").write_bytes(bytes(2**20 + 2))
    (project / "old.bin").unlink()
    done = invoke("run", "--trials", "2", cwd=project)
    assert "earlier trials ran with the old ones: data.bin, old.bin\n" in done.stdout


def test_a_study_learns_from_an_earlier_one_and_refuses_one_that_is_not_there(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=12, sampler="bayes")
    assert invoke("run", cwd=project).returncode == 0
    text = (project / "study.toml").read_text().replace('name = "toy"', 'name = "again"')
    asking = text.replace("[planner]", '[planner]\nlearn_from = ["toyy"]')
    (project / "study.toml").write_text(asking)
    refused = invoke("run", cwd=project)
    assert refused.returncode == 2
    assert "did you mean toy?" in refused.stderr
    (project / "study.toml").write_text(asking.replace("toyy", "toy"))
    assert invoke("run", "--trials", "2", cwd=project).returncode == 0
    with history(project) as opened:
        first = opened.trials(opened.study("again").id)[1]
    assert first.proposal.rationale  # trial 0 is the default; an even one comes from the earlier study


@pytest.mark.parametrize(
    ("reads", "said"),
    [("", True), ("import os; os.environ.get('TUNESMITH_PARAMS')\n", False), ("import tunesmith\n", False)],
)
def test_a_parameter_that_reaches_no_trial_is_named_before_the_first_one(
    tmp_path: Path, reads: str, *, said: bool
) -> None:
    project = make_project(tmp_path / "p", trials=1, script="print('loss=1')\n" + f"if False:\n    {reads or 'pass'}\n")
    study = project / "study.toml"
    study.write_text(study.read_text(encoding="utf-8").replace("--x {x} ", ""), encoding="utf-8")
    lines = invoke("run", cwd=project).stdout.splitlines()
    note = next((n for n, line in enumerate(lines) if "note: x reaches no trial" in line), None)
    assert (note is not None) == said
    if note is not None:
        assert note < next(n for n, line in enumerate(lines) if line.startswith("  0  "))
        assert "add {x} to the command" in lines[note]
