"""Trials of scripts that fail, hang, leave processes behind or write too much: each failure has its kind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest
from fakes.projects import SOURCE
from fakes.trials import PYTHON, Bench, finish, wait_until

from tunesmith.evaluator.executors import base, local
from tunesmith.evaluator.executors.base import CommandSpec
from tunesmith.evaluator.files import folder_quota
from tunesmith.evaluator.supervision.orphans import end_orphans
from tunesmith.study.trials.trial import FailureKind, TrialState


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize(
    ("script", "kind", "reason"),
    [
        ("pass", "no_metric", "never reported loss"),
        ("print('loss=nan')", "nan", "loss ended as nan"),
        ("print('loss=0.5'); raise SystemExit(3)", "crash", "loss=0.5"),
        ("raise ValueError('bad shape (3, 4)')", "crash", "ValueError: bad shape (3, 4)"),
        ("raise MemoryError('too large')", "oom", "MemoryError: too large"),
        ("import os; os._exit(137)", "oom", "SIGKILL"),
        ("import os; os.kill(os.getpid(), 9)", "oom", "SIGKILL"),
        ("import os; os.kill(os.getpid(), 15)", "killed", "SIGTERM"),
        ("import os; os.kill(os.getpid(), 11)", "crash", "SIGSEGV"),
        ("import os; os._exit(5)", "crash", "exit status 5"),
        ("import torch_that_is_nowhere", "crash", "activate the environment that has it"),
        ("open('big', 'wb').write(b'x' * 3_000_000)", "killed", "disk quota of 2 MiB"),
        ("import sys; sys.stdout.buffer.write(b'\\xff\\xfe loss=\\x00\\n'); raise SystemExit(1)", "crash", "loss="),
    ],
)
def test_each_failure_has_its_kind_and_a_reason(bench: Bench, script: str, kind: str, reason: str) -> None:
    outcome = bench.run(script, disk="2M")
    assert outcome.state is TrialState.FAILED
    assert outcome.failure is not None
    assert (outcome.failure.kind.value, reason in outcome.failure.reason) == (kind, True), outcome.failure
    assert len(outcome.failure.tail) <= 4000


def test_a_trial_that_only_mentions_memory_is_complete(bench: Bench) -> None:
    outcome = bench.run("print('CUDA out of memory, trying a smaller batch')\nprint('loss=0.25')")
    assert (outcome.state, dict(outcome.values)) == (TrialState.COMPLETE, {"loss": 0.25})
    assert outcome.usage.wall_s > 0
    assert outcome.usage.peak_rss_gib > 0.001


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("./nowhere.sh", "./nowhere.sh was not found in work/"),
        ("no-such-program --lr {lr}", "not found on PATH"),
        ("./plain.sh", "run chmod +x ./plain.sh"),
        ("./headless", "no first line such as #!/bin/sh"),
    ],
)
def test_the_reason_of_a_command_that_cannot_start_says_what_to_change(bench: Bench, command: str, reason: str) -> None:
    bench.write("#!/bin/sh\necho loss=1", "plain.sh")
    bench.write("echo loss=1", "headless").chmod(0o755)
    outcome = bench.run(command=command)
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.CRASH
    assert reason in outcome.failure.reason


@pytest.mark.parametrize("ignores", [False, True], ids=["exits at SIGTERM", "ignores SIGTERM"])
def test_a_script_that_hangs_is_ended_at_its_timeout(
    bench: Bench, ignores: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "GRACE_S", 0.5)
    ignore = "import signal; signal.signal(15, signal.SIG_IGN)\n" if ignores else ""
    outcome = bench.run(f"{ignore}import time\nprint('loss=1')\ntime.sleep(60)", timeout="0.4s")
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.TIMEOUT
    assert "longer than 0.4 s" in outcome.failure.reason
    assert (0.9 if ignores else 0.4) <= outcome.usage.wall_s < 5


LEAVES_CHILDREN = """
import os, subprocess, sys, time
subprocess.Popen(["sleep", "301"])
subprocess.Popen(["sleep", "302"], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(303)
    os._exit(0)
print("loss=0.5", flush=True)
"""


def processes_of(bench: Bench) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TUNESMITH_TRIAL_FOLDER", "").startswith(str(bench.study)):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_children_that_outlive_the_script_are_ended(bench: Bench) -> None:
    outcome = bench.run(LEAVES_CHILDREN)
    assert outcome.state is TrialState.COMPLETE
    assert outcome.usage.wall_s < 5
    assert processes_of(bench) == []


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_stop_and_kill_end_a_trial_with_all_its_children(bench: Bench, end: str) -> None:
    bench.write(LEAVES_CHILDREN + "time.sleep(60)")
    started = bench.start(bench.evaluator({"command": f"{PYTHON} train.py"}))
    wait_until(lambda: started.poll() or bench.seen)
    for _ in range(3):
        started.stop("3% chance to be best") if end == "stop" else started.kill("vetoed")
    outcome = finish(started)
    if end == "stop":
        assert (outcome.state, outcome.note) == (TrialState.STOPPED, "3% chance to be best")
    else:
        assert outcome.failure is not None
        assert (outcome.failure.kind, outcome.failure.reason) == (FailureKind.KILLED, "vetoed")
    assert dict(outcome.values) == {"loss": 0.5}
    assert processes_of(bench) == []


def test_kill_9_of_the_loop_ends_every_process_of_its_trials(bench: Bench) -> None:
    bench.write(LEAVES_CHILDREN + "time.sleep(60)")
    loop = f"""
    import sys, time
    sys.path[:0] = {[p for p in sys.path if p]!r}
    from pathlib import Path
    from fakes.trials import PYTHON, Bench
    bench = Bench(Path({str(bench.root)!r}))
    started = bench.start(bench.evaluator({{"command": PYTHON + " train.py"}}))
    while not bench.seen: started.poll(); time.sleep(0.01)
    print("running", flush=True)
    time.sleep(60)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(loop)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    assert len(processes_of(bench)) >= 4
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_until(lambda: not processes_of(bench), timeout_s=3)


def test_orphans_of_this_study_are_ended_and_those_of_others_are_not(bench: Bench, tmp_path: Path) -> None:
    environments = [
        {"TUNESMITH_TRIAL_FOLDER": str(folder / "trials" / "0001")} for folder in (bench.study, tmp_path / "other")
    ]
    ours, theirs = [subprocess.Popen(["sleep", "300"], env={**os.environ, **extra}) for extra in environments]
    assert end_orphans(bench.study) == 1
    wait_until(lambda: not psutil.pid_exists(ours.pid))
    ours.wait()
    assert theirs.poll() is None
    theirs.kill()
    theirs.wait()


def test_100_mb_of_output_leave_a_log_within_its_cap(bench: Bench) -> None:
    script = """
    import sys
    line = "x" * 99 + "\\n"
    for _ in range(10): sys.stdout.write(line * 100_000)
    print("loss=0.125")
    """
    outcome = bench.run(script, log="1M")
    assert dict(outcome.values) == {"loss": 0.125}
    assert outcome.usage.wall_s < 15
    log = (bench.study / "trials" / "0000" / "log.txt").read_bytes()
    assert len(log) < 2**20 + 200
    assert b"bytes left out" in log
    assert log.endswith(b"loss=0.125\n")


def test_a_log_on_a_full_disk_does_not_block_the_command(tmp_path: Path) -> None:
    code = "print('x' * 2_000_000); print('loss=0.5'); raise SystemExit('the end')"
    spec = CommandSpec(
        argv=[sys.executable, "-I", "-S", "-c", code],
        cwd=tmp_path,
        environment={},
        log=Path("/dev/full"),
        log_bytes=1000,
        timeout_s=None,
        file_bytes=0,
        line_words=["loss"],
    )
    job = local.LocalExecutor(lambda: None).start(spec)
    wait_until(lambda: job.poll() is not None)
    result = job.poll()
    assert result is not None
    assert (result.status, result.tail) == (1, "the end")
    assert [line.text for line in job.lines()] == ["loss=0.5"]


def test_many_small_files_fill_the_quota_too(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_quota, "QUOTA_CHECK_S", 0.05)
    script = """
    import time
    for n in range(100):
        with open(f"part{n}", "wb") as out: out.write(bytes(range(256)) * 400)
    time.sleep(30)
    """
    outcome = bench.run(script, disk="1M")
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.KILLED
    assert "filled its disk quota of 1 MiB" in outcome.failure.reason


def test_many_trials_leave_no_descriptor_and_no_thread_behind(bench: Bench) -> None:
    bench.write("echo loss=1", "train.sh")
    evaluator = bench.evaluator({"command": "sh train.sh"})
    finish(bench.start(evaluator))
    process = psutil.Process()
    before = process.num_fds(), process.num_threads()
    for number in range(25):
        assert finish(bench.start(evaluator, number)).state is TrialState.COMPLETE
    wait_until(lambda: process.num_threads() <= before[1])
    assert process.num_fds() <= before[0]
    assert [child for child in process.children() if child.status() == psutil.STATUS_ZOMBIE] == []


def test_a_script_reports_by_importing_tunesmith(bench: Bench) -> None:
    script = f"""
    import sys; sys.path.insert(0, {str(SOURCE)!r})
    import tunesmith
    for epoch in (1, 2, 3):
        tunesmith.report(step=epoch, loss=1 / epoch, acc=epoch)
        print("loss=99")
    (tunesmith.artifacts() / "model.txt").write_text(str(tunesmith.params()["lr"]))
    """
    outcome = bench.run(script)
    assert outcome.state is TrialState.COMPLETE, outcome.failure
    assert outcome.values["loss"] == pytest.approx(1 / 3)
    assert outcome.artifacts == ("artifacts/model.txt",)
    assert [(o.step, o.value) for o in bench.seen if o.metric == "acc"] == [(1, 1), (2, 2), (3, 3)]
