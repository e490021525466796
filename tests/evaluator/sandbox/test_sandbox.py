"""Honest trials in the sandbox: they find what they need, their results come out, and failures name the sandbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from fakes.projects import SOURCE, command
from fakes.studies import make_spec
from fakes.trials import PYTHON, Bench, finish, wait_until

from tunesmith.evaluator.evaluator import Evaluator
from tunesmith.evaluator.executors import base
from tunesmith.evaluator.sandbox import bubblewrap, mounts
from tunesmith.evaluator.sandbox.seccomp import MACHINES, filter_program
from tunesmith.history.read import History
from tunesmith.study.errors import ProjectError
from tunesmith.study.trials.trial import FailureKind, Outcome, TrialState

PROBLEM = bubblewrap.sandbox_problem()
pytestmark = pytest.mark.skipif(PROBLEM != "" and os.environ.get("CI") != "true", reason=PROBLEM)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def run_sandboxed(bench: Bench, script: str, **run: Any) -> Outcome:
    return bench.run(script, **{"sandbox": True, "timeout": "20s", **run})


def test_reports_lines_parameters_and_artifacts_pass_the_sandbox(bench: Bench) -> None:
    script = f"""
    import sys; sys.path.insert(0, {str(SOURCE)!r})
    import tunesmith
    print("acc=0.5")
    for epoch in (1, 2): tunesmith.report(step=epoch, loss=1 / epoch)
    (tunesmith.artifacts() / "model.txt").write_text(str(tunesmith.params()["lr"]))
    open("kept.txt", "w").write("x")
    """
    outcome = run_sandboxed(bench, script)
    assert outcome.state is TrialState.COMPLETE, outcome.failure
    assert outcome.values["loss"] == 0.5
    assert outcome.artifacts == ("artifacts/model.txt",)
    assert [(o.step, o.value) for o in bench.seen if o.metric == "loss"] == [(1, 1.0), (2, 0.5)]
    folder = bench.study / "trials" / "0000"
    assert (folder / "work" / "kept.txt").exists()
    assert not (folder / "tmp").exists()
    assert outcome.usage.cpu_s > 0.005
    assert outcome.usage.peak_rss_gib > 0.005


def test_the_environment_is_the_commands_own_python_with_its_packages(bench: Bench) -> None:
    script = """
    import sys, pydantic, tunesmith
    tunesmith.params()
    print(f"loss=1 {sys.prefix}")
    """
    outcome = run_sandboxed(bench, script, command=f"{sys.executable} train.py")
    assert outcome.state is TrialState.COMPLETE, outcome.failure
    assert sys.prefix in (bench.study / "trials" / "0000" / "log.txt").read_text()


def test_data_folders_are_there_and_only_for_reading(bench: Bench, tmp_path: Path) -> None:
    far = tmp_path / "far" / "data"
    far.mkdir(parents=True)
    (far / "x").write_text("1")
    (far.parent / "other").write_text("2")
    script = f"""
    import os
    assert open({str(far / "x")!r}).read() == "1"
    assert os.listdir({str(far.parent)!r}) == ["data"]
    print("loss=1")
    open({str(far / "x")!r}, "a")
    """
    outcome = run_sandboxed(bench, script, data=[str(far)])
    assert outcome.failure is not None
    assert "Read-only file system" in outcome.failure.reason
    assert "a trial may write only in its own folder" in outcome.failure.reason


def test_a_failure_at_something_hidden_says_what_to_change(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "far").write_text("1")
    hidden = run_sandboxed(bench, f"open({str(tmp_path / 'far')!r})")
    assert hidden.failure is not None
    assert "add its folder to [run].data" in hidden.failure.reason
    absent = run_sandboxed(bench, f"open({str(tmp_path / 'nowhere')!r})")
    assert absent.failure is not None
    assert "[run].data" not in absent.failure.reason
    offline = run_sandboxed(bench, "import socket\nsocket.create_connection(('192.0.2.1', 80))")
    assert offline.failure is not None
    assert "[run].network = true" in offline.failure.reason


def test_the_network_is_there_when_the_study_allows_it(bench: Bench) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script = f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 5)\nprint('loss=1')"
        assert run_sandboxed(bench, script, network=True).state is TrialState.COMPLETE
        assert run_sandboxed(bench, script).state is TrialState.FAILED


def test_the_project_as_data_shows_no_history_and_no_link_shows_a_home(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id_rsa").write_text("secret")
    (home / "big").write_text("1")
    bench.write("1", "beside.txt")
    for name, target in {"all": home.parent, "ssh": home / ".ssh", "mine": home / ".ssh" / "id_rsa"}.items():
        (bench.project / name).symlink_to(target)
    bench.write(f"""
    import glob, os
    assert open({str(bench.project / "beside.txt")!r}).read() == "1"
    found = glob.glob({str(bench.project)!r} + "/.tunesmith/**", recursive=True)
    mine = os.environ["TUNESMITH_TRIAL_FOLDER"], os.environ["PYTHONPATH"].split(":")[-1]
    assert all(any(own.startswith(path.rstrip("/")) or path.startswith(own) for own in mine) for path in found), found
    assert not os.path.exists({str(home)!r})
    print("loss=1")
    """)
    run = {"command": f"{PYTHON} train.py", "sandbox": True, "data": ["."]}
    folder = bench.project / ".tunesmith" / "small"
    folder.mkdir(parents=True)
    (folder.parent / "history.db").write_text("x")
    evaluator = Evaluator(make_spec(run=run), project=bench.project, folder=folder)
    for number in range(2):
        outcome = finish(bench.start(evaluator, number))
        assert outcome.values == {"loss": 1.0}, outcome.failure


def test_workers_threads_and_shared_memory_work(bench: Bench) -> None:
    script = """
    import multiprocessing as mp
    from multiprocessing import shared_memory
    def work(n): return n * n
    if __name__ == "__main__":
        block = shared_memory.SharedMemory(create=True, size=1000)
        with mp.Pool(2) as pool: total = sum(pool.map(work, range(4)))
        manager = mp.Manager()
        numbers = manager.list([1, 2])
        block.close(); block.unlink()
        print(f"loss={total + len(numbers)}")
    """
    outcome = run_sandboxed(bench, script, memory="2G", command=f"{sys.executable} train.py")
    assert dict(outcome.values) == {"loss": 16}, outcome.failure


@pytest.mark.parametrize("exits", [True, False], ids=["exits at SIGTERM", "ignores SIGTERM"])
def test_sigterm_reaches_the_script_before_the_end(bench: Bench, exits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "GRACE_S", 3 if exits else 0.3)
    end = "open('saved', 'w').close(), sys.exit(0)" if exits else "None"
    script = f"""
    import signal, sys, time
    signal.signal(signal.SIGTERM, lambda *_: ({end}))
    print("loss=0.5", flush=True)
    while True: time.sleep(0.05)
    """
    bench.write(script)
    evaluation = bench.start(bench.evaluator({"command": f"{PYTHON} train.py", "sandbox": True}))
    wait_until(lambda: evaluation.poll() or bench.seen)
    evaluation.stop("enough")
    outcome = finish(evaluation)
    assert outcome.usage.wall_s < 2.5
    assert (outcome.state, dict(outcome.values)) == (TrialState.STOPPED, {"loss": 0.5})
    assert (bench.study / "trials" / "0000" / "work" / "saved").exists() is exits


def test_kill_9_of_the_supervisor_ends_what_is_in_the_sandbox(bench: Bench) -> None:
    import psutil

    bench.write("import time\nprint('loss=0.5', flush=True)\ntime.sleep(60)")
    evaluation = bench.start(bench.evaluator({"command": f"{PYTHON} train.py", "sandbox": True}))
    wait_until(lambda: evaluation.poll() or bench.seen)
    supervisor = next(p for p in psutil.Process().children() if "supervisor" in " ".join(p.cmdline()))
    inside = supervisor.children(recursive=True)
    assert len(inside) >= 3
    supervisor.kill()
    assert finish(evaluation).failure is not None
    _, alive = psutil.wait_procs(inside, timeout=5)
    assert alive == []


@pytest.mark.parametrize(
    ("command", "reason"),
    [("./nowhere.sh", "was not found in work/"), ("no-such-program", "not found on PATH"), ("./plain.sh", "chmod +x")],
)
def test_a_command_that_cannot_start_says_the_same_as_outside(bench: Bench, command: str, reason: str) -> None:
    bench.write("#!/bin/sh\necho loss=1", "plain.sh")
    outcome = bench.run(command=command, sandbox=True)
    assert outcome.failure is not None
    assert (outcome.failure.kind, reason in outcome.failure.reason) == (FailureKind.CRASH, True), outcome.failure
    bench.write("#!/bin/sh\necho loss=1", "run.sh").chmod(0o755)
    assert bench.run(command="./run.sh", sandbox=True).values == {"loss": 1.0}


@pytest.mark.parametrize(("number", "kind"), [(9, "oom"), (15, "killed"), (11, "crash")])
def test_the_signal_that_ended_a_script_is_reported(bench: Bench, number: int, kind: str) -> None:
    outcome = run_sandboxed(bench, f"import os\nos.kill(os.getpid(), {number})")
    assert outcome.failure is not None
    assert outcome.failure.kind.value == kind


def test_keys_stay_outside_and_what_the_study_sets_comes_in(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY", "JAX_TOKEN", "WHATEVER"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("NCCL_DEBUG", "INFO")
    script = "import json, os\njson.dump(dict(os.environ), open('seen.json', 'w'))\nprint('loss=1')"
    assert run_sandboxed(bench, script, env={"MINE": "1"}).state is TrialState.COMPLETE
    seen = json.loads((bench.study / "trials" / "0000" / "work" / "seen.json").read_text())
    assert "secret" not in seen.values()
    assert (seen["MINE"], seen["NCCL_DEBUG"], seen["HOME"]) == ("1", "INFO", "/tmp")


def test_files_that_hold_keys_are_not_copied_for_the_sandbox(bench: Bench) -> None:
    for name in (".env", "tls.key", ".aws/credentials"):
        bench.write("secret", name)
    script = "import os\nprint('loss=%d' % sum(len(names) for _, _, names in os.walk('.')))"
    assert run_sandboxed(bench, script).values == {"loss": 1.0}


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("x = bytearray(10**10)", "MemoryError"),
        (
            "import os, time\nfor _ in range(5): os.fork() or (bytearray(b'x') * 10**8, time.sleep(9))\ntime.sleep(9)",
            "[run].memory",
        ),
    ],
    ids=["one process", "all together"],
)
def test_memory_is_limited_outside_of_the_sandbox_as_well(bench: Bench, script: str, reason: str) -> None:
    outcome = bench.run(script, memory="300M")
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.OOM
    assert reason in outcome.failure.reason


def test_memory_that_forks_share_counts_once(bench: Bench) -> None:
    script = """
    import os, time
    block = b"x" * 150_000_000
    children = []
    for _ in range(6):
        pid = os.fork()
        if pid == 0: time.sleep(0.4); os._exit(0)
        children.append(pid)
    for pid in children: os.waitpid(pid, 0)
    print("loss=1")
    """
    assert bench.run(script, memory="400M").values == {"loss": 1.0}


def test_a_changed_protected_file_is_tampered_without_the_sandbox_too(bench: Bench) -> None:
    bench.write("x = 1", "lib/metric.py")
    bench.write("print('loss=0')\nopen('lib/metric.py', 'w').write('x = 2')")
    edits = {"files": ["train.py"], "protect": ["lib/*.py"]}
    outcome = finish(bench.start(bench.evaluator({"command": f"{PYTHON} train.py"}, edits=edits)))
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.TAMPERED
    assert outcome.failure.reason.startswith("lib/metric.py was changed")
    bench.write("print('loss=0')")
    assert finish(bench.start(bench.evaluator({"command": f"{PYTHON} train.py"}, edits=edits))).failure is None


def test_a_protected_file_must_exist(bench: Bench) -> None:
    bench.write("x = 1", "evaluate.py")
    bench.write("pass")
    with pytest.raises(
        ProjectError, match=r"\[edits\]\.protect: 'evalate\.py' matches no file.*did you mean evaluate\.py"
    ):
        bench.evaluator({}, edits={"files": ["train.py"], "protect": ["evalate.py"]})


def test_a_trial_that_is_stopped_before_its_evaluation_has_no_objective(bench: Bench) -> None:
    bench.write("import time\nprint('loss=0.001', flush=True)\ntime.sleep(60)")
    bench.write("print('loss=1')", "evaluate.py")
    judge = {"command": f"{PYTHON} evaluate.py"}
    evaluation = bench.start(bench.evaluator({"command": f"{PYTHON} train.py"}, evaluate=judge))
    wait_until(lambda: evaluation.poll() or bench.seen)
    evaluation.stop("enough")
    assert dict(finish(evaluation).values) == {"train/loss": 0.001}


def test_a_retry_removes_folders_that_the_first_attempt_locked(bench: Bench) -> None:
    script = "import os\nos.makedirs('a/b')\nos.chmod('a/b', 0)\nos.chmod('a', 0)\nprint('loss=1')"
    for _ in range(2):
        assert run_sandboxed(bench, script).values == {"loss": 1.0}


def test_data_that_would_show_a_home_is_refused(bench: Bench) -> None:
    bench.write("pass")
    for place in ("/", "~", "/home"):
        with pytest.raises(ProjectError, match="far more than data"):
            bench.evaluator({"sandbox": True, "data": [place]})
    with pytest.raises(ProjectError, match="nowhere does not exist"):
        bench.evaluator({"sandbox": True, "data": ["nowhere"]})


def test_a_missing_bubblewrap_is_an_error_that_names_its_package(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.write("pass")
    monkeypatch.setenv("PATH", str(bench.root))
    with pytest.raises(ProjectError, match="bubblewrap .* is not installed: apt install bubblewrap"):
        bench.evaluator({"sandbox": True})


def test_a_bubblewrap_that_cannot_work_is_explained(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = bench.root / "bin" / "bwrap"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    problem = bubblewrap.sandbox_problem()
    assert "setting up uid map: Permission denied" in problem
    assert "--privileged" in problem or "sysctl" in problem


@pytest.mark.parametrize("machine", sorted(MACHINES))
def test_the_filter_is_a_program_the_kernel_takes(machine: str) -> None:
    program = filter_program(machine)
    steps = [program[i : i + 8] for i in range(0, len(program), 8)]
    assert len(program) % 8 == 0
    assert len(steps) < 4096
    # Every jump lands within the program, and it ends with a verdict.
    for place, step in enumerate(steps):
        if step[0] & 7 == 5:
            assert place + 1 + max(step[2], step[3]) < len(steps)
    assert steps[-1][0] == 6


def test_an_interpreter_in_a_home_is_shown_and_the_home_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    base, venv = home / ".local/share/uv/python/cpython-3.12", home / "work/.venv"
    for folder in (base / "bin", base / "lib/python3.12", venv / "bin", home / ".local/bin"):
        folder.mkdir(parents=True)
    (base / "bin/python3").write_text("")
    (base / "bin/python3").chmod(0o755)
    (venv / "pyvenv.cfg").write_text(f"home = {base / 'bin'}\n")
    (venv / "bin/python").symlink_to(base / "bin/python3")
    tool = home / ".local/bin/tool"
    tool.write_text(f"#!{venv / 'bin/python'}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("HOME", str(home))
    found = mounts.programs(["tool"], f"{tool.parent}")
    assert set(found) == {tool, venv, base}
    assert not any(mounts.is_too_wide(path) for path in found)


def test_packages_of_the_user_and_those_installed_in_place_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, venv = tmp_path / "home", tmp_path / "venv"
    site = venv / "lib/python3.12/site-packages"
    for folder in (site, home / ".local/lib/python3.12/site-packages", tmp_path / "a", tmp_path / "b", tmp_path / "c"):
        folder.mkdir(parents=True)
    (site / "a.pth").write_text(f"import nothing\n{tmp_path / 'a'}\n{tmp_path / 'gone'}\n{tmp_path}\n")
    (site / "__editable___b_finder.py").write_text(f"MAPPING: dict[str, str] = {{'b': '{tmp_path / 'b'}'}}\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("PYTHONUSERBASE", raising=False)
    found = mounts.import_paths([venv], f"{tmp_path / 'c'}:relative")
    # The whole of tmp_path is named as well, and would show the home.
    assert set(found) == {*(tmp_path / name for name in "abc"), home / ".local/lib/python3.12"}


@pytest.mark.parametrize("place", ["/tmp", "/var/tmp", "/opt", "/srv", "/root"])
def test_a_study_may_lie_anywhere(place: str) -> None:
    if not os.access(place, os.W_OK):
        pytest.skip(f"{place} cannot be written")
    script = """
    import os
    assert not os.path.exists(os.environ["TUNESMITH_TRIAL_FOLDER"] + "/../../../project/train.py")
    open("x", "w").close(); open("/tmp/x", "w").close()
    print("loss=%d" % os.path.getsize("big.bin"))
    """
    with tempfile.TemporaryDirectory(dir=place) as folder:
        bench = Bench(Path(folder))
        bench.project.mkdir()
        (bench.project / "big.bin").write_bytes(b"1" * (2**20 + 1))
        assert run_sandboxed(bench, script).values == {"loss": 2**20 + 1}


def test_a_study_in_the_sandbox_keeps_keys_out_of_its_history(tmp_path: Path) -> None:
    project = tmp_path / "p"
    project.mkdir()
    (project / "study.toml").write_text(
        '[study]\nname = "toy"\nmetric = "loss"\n'
        f'[run]\ncommand = "{PYTHON} train.py {{x}}"\nsandbox = true\nparallel = 2\n'
        '[space]\nx = { type = "float", low = 0.0, high = 1.0 }\n[budget]\ntrials = 4\n',
        encoding="utf-8",
    )
    (project / "train.py").write_text(
        "import glob, os, sys\nprint(dict(os.environ), [open(f).read() for f in glob.glob('/proc/*/environ')])\n"
        "print('loss=', sys.argv[1])\nif float(sys.argv[1]) > 0.4: raise ValueError(str(dict(os.environ)))\n",
        encoding="utf-8",
    )
    key = "sk-tunesmith-test-4f7a2b9c1d"
    done = subprocess.run(
        [sys.executable, "-m", "tunesmith.cli.main", "run"],
        cwd=project,
        env={**os.environ, "OPENAI_API_KEY": key, "MY_PASSWORD": "correct-horse-battery", "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for path in (project / ".tunesmith").rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert key.encode() not in path.read_bytes(), path
            assert b"correct-horse-battery" not in path.read_bytes(), path


HOSTILE = r"""
import json, os, sys
kind = int(sys.argv[1])
report = open(os.environ["TUNESMITH_REPORT"], "a")
def say(step=1, **values): report.write(json.dumps({"step": step, "values": values}) + "\n")
if kind == 0: say(**{chr(0xd800) + "x": 1, "a\0b": 1, "c" * 5000: 1, "": 1})
if kind == 1:
    for n in range(2000): say(**{f"m{n}": n})
if kind == 2: say(step=float("nan"), loss=1); say(step=float("inf"), loss=1); say(step=-1e308, loss=float("nan"))
if kind == 3:
    open(os.fsencode(os.environ["TUNESMITH_ARTIFACTS"]) + b"/\xff\xfe", "w").write("x")
    open(os.environ["TUNESMITH_ARTIFACTS"] + "/new\nline", "w").write("x")
if kind == 4: sys.exit("\x1b]52;c;aGFja2Vk\x07\x1b]0;title\x1b\\\x1b[31mred\x1b[0m \ud800 \x9b2J")
if kind == 5: report.write("\ufeff\u202e{}\n" * 100); print("loss=" + "9" * 5000)
report.close()
print("loss=0.5")
"""


def test_output_of_hostile_scripts_harms_no_history(tmp_path: Path) -> None:
    project = tmp_path / "p"
    project.mkdir()
    (project / "study.toml").write_text(
        '[study]\nname = "toy"\nmetric = "loss"\n'
        f'[run]\ncommand = "{PYTHON} train.py {{kind}}"\nsandbox = true\nparallel = 2\n'
        '[space]\nkind = { type = "int", low = 0, high = 5 }\n[budget]\ntrials = 6\n[stop]\nnan = false\n'
        '[planner]\nsampler = "random"\n',
        encoding="utf-8",
    )
    (project / "train.py").write_text(HOSTILE, encoding="utf-8")
    done = command("run", cwd=project, timeout_s=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\x1b]" not in done.stdout
    with History.open(project / ".tunesmith" / "history.db") as history:
        assert history.integrity() == "ok"
        trials = history.trials(history.study("toy").id)
    assert {t.params["kind"] for t in trials} == set(range(6))
    failures = {t.params["kind"]: t.failure.reason for t in trials if t.failure}
    assert failures == {2: "loss ended as nan", 4: "red \\ud800 2J"}
    assert all(t.values["loss"] == 0.5 and len(t.values) <= 201 for t in trials if t.failure is None)
    assert command("status", "--json", cwd=project).returncode == 0
    assert command("report", cwd=project).returncode == 0


def test_forks_end_at_the_limit_for_root_as_for_users(bench: Bench) -> None:
    script = """
    import os, time
    started = 0
    try:
        while True:
            if os.fork() == 0:
                time.sleep(5)
                os._exit(0)
            started += 1
    except BlockingIOError:
        print(f"loss={started}")
        os.kill(-1, 9)  # all in the sandbox but its first process and this one
    """
    outcome = run_sandboxed(bench, script, processes=40)
    assert outcome.state is TrialState.COMPLETE, outcome.failure
    assert 25 <= outcome.values["loss"] < 40


def test_a_fork_bomb_at_the_limit_is_ended(bench: Bench) -> None:
    script = """
    import os
    while True:
        try: os.fork()
        except OSError: pass
    """
    outcome = run_sandboxed(bench, script, processes=40, timeout="10s")
    assert outcome.failure is not None
    if os.getuid() == 0:
        assert outcome.failure.kind is FailureKind.KILLED
        assert "[run].processes" in outcome.failure.reason
        assert outcome.usage.wall_s < 8
    else:
        assert outcome.failure.kind is FailureKind.TIMEOUT


def test_a_trial_cannot_lock_what_others_read_and_can_lock_its_own_files(bench: Bench) -> None:
    import fcntl

    (bench.project / "big.bin").parent.mkdir(exist_ok=True)
    (bench.project / "big.bin").write_bytes(b"1" * (2**20 + 1))
    data = bench.root / "data"
    data.mkdir()
    (data / "x").write_text("1")
    script = f"""
    import fcntl, os, time
    kept = [open("big.bin", "rb"), open({str(data / "x")!r}), open({str(data)!r} + "/x")]
    for file in kept: fcntl.flock(file, fcntl.LOCK_EX)
    fcntl.flock(os.open({str(data)!r}, os.O_RDONLY), fcntl.LOCK_EX)
    for path in ("own", "/tmp/own"):
        open(path, "w").close()
        first, second = open(path), open(path, "r+")
        for one, other in ((first, second), (second, first)):
            fcntl.flock(one, fcntl.LOCK_EX)
            try: fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError: fcntl.flock(one, fcntl.LOCK_UN)
            else: raise SystemExit("two locks of one file")
    print("loss=1", flush=True)
    time.sleep(60)
    """
    bench.write(script)
    evaluation = bench.start(bench.evaluator({"command": f"{PYTHON} train.py", "sandbox": True, "data": [str(data)]}))
    wait_until(lambda: evaluation.poll() or bench.seen)
    assert evaluation.poll() is None
    for path in (bench.project / "big.bin", data / "x", data):
        descriptor = os.open(path, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(descriptor)
    evaluation.kill("enough")
    finish(evaluation)
