"""Control groups are found where this process may make them, and what is only measured is said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fakes.studies import make_spec
from fakes.trials import Bench

from tunesmith.evaluator.files.tree_walk import Unmeasurable, size_below
from tunesmith.evaluator.files.workspace import artifacts_in, workspace_at
from tunesmith.evaluator.sandbox import limits
from tunesmith.evaluator.supervision import control_group
from tunesmith.study.trials.trial import FailureKind


def groups(folder: Path, controllers: str, *, enabled: str = "", others: str = "") -> Path:
    """Make what the kernel shows of a group of version 2 that this process is in."""
    own = folder / "user.slice" / "run.scope"
    own.mkdir(parents=True)
    (folder / "cgroup.controllers").write_text("cpu memory")
    (own / "cgroup.controllers").write_text(controllers)
    (own / "cgroup.subtree_control").write_text(enabled)
    (own / "cgroup.procs").write_text(f"{os.getpid()}\n{others}")
    return own


def test_a_delegated_group_gets_one_for_the_loop_and_limits_below(tmp_path: Path) -> None:
    own = groups(tmp_path, "cpu memory pids")
    assert control_group._delegate(str(own))
    assert (own / "tunesmith-loop" / "cgroup.procs").read_text() == str(os.getpid())
    assert (own / "cgroup.subtree_control").read_text() == "+memory"


@pytest.mark.parametrize(("controllers", "others"), [("cpu pids", ""), ("memory", "1\n")])
def test_a_group_without_limits_or_with_processes_of_others_is_left_alone(
    tmp_path: Path, controllers: str, others: str
) -> None:
    own = groups(tmp_path, controllers, others=others)
    assert not control_group._delegate(str(own))
    assert not (own / "tunesmith-loop").exists()
    assert (own / "cgroup.subtree_control").read_text() == ""


def test_a_trials_group_has_the_limit_and_reports_its_end(tmp_path: Path) -> None:
    group = control_group.ControlGroup(f"2:{tmp_path}", 300 * 2**20)
    (folder,) = tmp_path.iterdir()
    assert (folder / "memory.max").read_text() == str(300 * 2**20)
    assert (folder / "memory.oom.group").read_text() == "1"
    assert (folder / "memory.swap.max").read_text() == "0"
    assert not group.was_exceeded()
    (folder / "memory.events").write_text("low 0\nmax 12\noom 1\noom_kill 0\n")
    assert not group.was_exceeded()
    (folder / "memory.events").write_text("low 0\nmax 12\noom 1\noom_kill 1\n")
    assert group.was_exceeded()


def _is_supervisor_of_others(name: str) -> bool:
    """Return whether a group belongs to a supervisor that still runs: other tests run at the same time."""
    return os.path.exists(f"/proc/{name.rpartition('-')[2]}")


def test_the_kernel_ends_a_trial_that_exceeds_its_group(tmp_path: Path) -> None:
    parent, _ = control_group.find_parent()
    if not parent:
        pytest.skip("no control group can be made here")
    before = set(os.listdir(parent.partition(":")[2]))
    script = """
    import mmap, time
    m = mmap.mmap(-1, 300 << 20)
    for i in range(0, 300 << 20, 4096): m[i] = 1
    time.sleep(60)
    """
    outcome = Bench(tmp_path).run(script, memory="100M")
    assert outcome.failure is not None
    assert (outcome.failure.kind, "[run].memory" in outcome.failure.reason) == (FailureKind.OOM, True)
    assert outcome.usage.peak_rss_gib < 0.11
    own = [name for name in set(os.listdir(parent.partition(":")[2])) - before if not _is_supervisor_of_others(name)]
    assert own == []


def test_what_is_only_measured_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "find_parent", lambda: ("", "do this"))
    assert limits.weak_limits(make_spec()) == []
    (memory,) = limits.weak_limits(make_spec(run={"memory": "1G"}))
    assert "[run].memory is measured, not enforced" in memory
    assert "do this" in memory
    assert len(limits.weak_limits(make_spec(run={"memory": "1G", "disk": "1G"}))) == 2
    monkeypatch.setattr(limits, "find_parent", lambda: ("2:/x", ""))
    (disk,) = limits.weak_limits(make_spec(run={"memory": "1G", "disk": "1G"}))
    assert disk.startswith("[run].disk is measured")


@pytest.mark.parametrize(
    "make",
    [
        "import os\nos.posix_fallocate(os.open('x', os.O_CREAT | os.O_RDWR), 0, 9 << 20)",
        "import ctypes, os\nfd = os.open('x', os.O_CREAT | os.O_RDWR)\n"
        "failed = ctypes.CDLL(None).fallocate(fd, 1, ctypes.c_long(0), ctypes.c_long(9 << 20))\n"
        "failed and os.write(fd, b'x' * (9 << 20))  # a file system without fallocate",
        "import os\nfor n in range(2200): os.mkdir(str(n))",
        "open('x', 'wb').write(b'x' * (9 << 20))",
    ],
    ids=["allocated", "allocated beyond the end", "folders", "written"],
)
def test_the_size_is_what_is_allocated(tmp_path: Path, make: str) -> None:
    subprocess.run([sys.executable, "-c", make], cwd=tmp_path, check=True)
    assert size_below(tmp_path) >= 8 * 2**20


def test_holes_do_not_count_and_too_many_files_end_the_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**40)
    assert size_below(tmp_path) < 2**20
    monkeypatch.setattr("tunesmith.evaluator.files.tree_walk.MAX_ENTRIES", 50)
    for number in range(60):
        (tmp_path / f"{number}").touch()
    with pytest.raises(Unmeasurable, match="more than 50 files and folders"):
        size_below(tmp_path)


def test_many_artifacts_are_listed_by_their_number(tmp_path: Path) -> None:
    workspace = workspace_at(tmp_path)
    (workspace.artifacts / "shards").mkdir(parents=True)
    for number in range(2000):
        (workspace.artifacts / "shards" / f"{number}").touch()
    (workspace.artifacts / "model.pt").touch()
    assert artifacts_in(workspace) == ("artifacts/model.pt", "artifacts/shards/ (2,000 files)")
    for number in range(600):
        (workspace.artifacts / f"f{number}").mkdir()
        (workspace.artifacts / f"f{number}" / "x").touch()
    found = artifacts_in(workspace)
    assert len(found) < 510
    assert any("2,601 files in 602 folders" in name for name in found)
