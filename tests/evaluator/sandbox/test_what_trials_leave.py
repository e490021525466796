"""What a trial leaves harms nobody who opens it: its folder is disarmed, and its files are opened in the sandbox."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fakes.trials import PYTHON, Bench, finish

from tunesmith.evaluator.evaluator import EditedCode, Evaluator
from tunesmith.evaluator.executors.slots import Slot
from tunesmith.evaluator.sandbox.bubblewrap import sandbox_problem
from tunesmith.evaluator.supervision.leftovers import disarm, unsafe_artifacts
from tunesmith.study.errors import ProjectError
from tunesmith.study.trials.trial import Outcome, Proposal, Source, Trial, TrialState

needs_sandbox = pytest.mark.skipif(sandbox_problem() != "" and os.environ.get("CI") != "true", reason=sandbox_problem())
TEXT_PTH = b"import os; os.system('true')\n"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize(
    "files",
    [
        {".git/config": b"[core]\nfsmonitor=x", ".git/HEAD": b"ref: x"},
        {".git": b"gitdir: elsewhere"},
        {"deep/er/.GIT/config": b""},
        {"HEAD": b"ref: refs/heads/main", "config": b"[core]", "objects/keep": b"", "refs/keep": b""},
        {"x/HEAD": b"ref: refs/heads/main", "x/config": b"", "x/commondir": b"../y", "x/hooks/post-checkout": b""},
        {".hg/hgrc": b"[hooks]"},
        {".envrc": b"run"},
        {".direnv/x": b"", "sub/.envrc": b""},
        {"mise.toml": b"", ".mise.local.toml": b""},
        {".vscode/tasks.json": b"{}"},
        {"a.code-workspace": b"{}", ".idea/workspace.xml": b""},
        {".exrc": b"", ".nvim.lua": b"", ".dir-locals.el": b""},
        {".claude/settings.json": b"{}", ".mcp.json": b"{}"},
        {".venv/bin/python": b"#!/bin/sh", "env/pyvenv.cfg": b""},
        {"lib/site-packages/a.pth": b"PK\x03\x04import x", "start.pth": TEXT_PTH},
        {".pdbrc": b"", ".Rprofile": b"", "jupyter_notebook_config.py": b""},
    ],
    ids=lambda files: next(iter(files)),
)
def test_what_programs_run_by_themselves_is_removed(tmp_path: Path, files: Mapping[str, bytes]) -> None:
    for name, content in {**files, "kept.txt": b"1"}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    disarm(str(tmp_path))
    names = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert names <= {"kept.txt", "objects/keep", "refs/keep", "x/commondir"}
    assert "kept.txt" in names


def test_what_is_harmless_stays_and_no_link_is_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / ".git").mkdir(parents=True)
    top = tmp_path / "trial"
    (top / "locked").mkdir(parents=True)
    kept = {
        "best.pth": b"PK\x03\x04...",
        "old.pth": b"\x80\x02}",
        "HEAD": b"1",
        "config": b"2",
        "env.txt": b"",
    }
    for name, content in kept.items():
        (top / name).write_bytes(content)
    (top / "link").symlink_to(outside)
    (top / "locked" / ".envrc").write_text("x")
    (top / "sh").write_text("x")
    (top / "sh").chmod(0o6755)
    (top / "locked").chmod(0o300)
    disarm(str(top))
    assert (outside / ".git").is_dir()
    assert set(kept) <= {path.name for path in top.iterdir()}
    assert not (top / "locked" / ".envrc").exists()
    assert (top / "sh").stat().st_mode & 0o7777 == 0o755


def test_a_folder_deeper_than_a_path_does_not_break_it(tmp_path: Path) -> None:
    script = "import os\nfor _ in range(20): os.mkdir('d' * 250); os.chdir('d' * 250)"
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    disarm(str(tmp_path))
    assert any("cannot be read" in text for text in unsafe_artifacts(str(tmp_path)))
    subprocess.run(["rm", "-rf", str(tmp_path)], check=True)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        ("os.symlink('/etc/passwd', 'x')", "x is a link that leads out"),
        ("os.symlink('../../study', 'x')", "x is a link that leads out"),
        ("os.mkdir('y'); os.symlink('y/../../z', 'x')", "x is a link that leads out"),
        ("os.mkfifo('x')", "x is neither"),
        ("os.mkdir('x', 0o311)", "x is a folder that cannot be read"),
        ("os.mkdir('x', 0)", "x is a folder that cannot be read"),
        ("os.mkdir('x', 0o600)", "x is a folder that cannot be read"),
        ("open('a', 'w'); os.symlink('a', 'last')", ""),
        ("os.makedirs('a/b'); os.symlink('a/b', 'last'); os.symlink('gone', 'dangling')", ""),
    ],
)
def test_links_pipes_and_locked_folders_are_found_whoever_looks(tmp_path: Path, make: str, reason: str) -> None:
    folder = tmp_path / "artifacts"
    folder.mkdir()
    subprocess.run([sys.executable, "-c", f"import os\n{make}"], cwd=folder, check=True)
    found = next(unsafe_artifacts(str(folder)), "")
    assert found.startswith(f"artifacts/{reason}") if reason else not found, found
    disarm(str(folder))


@needs_sandbox
def test_a_sandboxed_trial_hands_over_a_folder_without_a_repository(bench: Bench) -> None:
    script = """
    import os
    os.makedirs(".git/objects"); os.makedirs(".git/refs")
    open(".git/HEAD", "w").write("ref: refs/heads/main")
    open(".git/config", "w").write("[core]")
    open("new.txt", "w").write("1")
    art = os.environ["TUNESMITH_ARTIFACTS"]
    open(art + "/.envrc", "w").write("x")
    open(art + "/model.pth", "wb").write(b"PK\\x03\\x04")
    print("loss=1")
    """
    outcome = bench.run(script, sandbox=True)
    assert outcome.artifacts == ("artifacts/model.pth",)
    assert [path.name for path in (bench.study / "trials/0000/work").iterdir()] == ["new.txt"]


def _trial(number: int = 0, code: str = "") -> Trial:
    params = {"lr": 0.01, "hidden": 64, "optimizer": "adam"}
    proposal = Proposal(params=params, source=Source.SAMPLER, seed=7, variant=f"edit-{code}" if code else "")
    return Trial(number=number, proposal=proposal, state=TrialState.RUNNING)


LOOK = "import os\nprint('loss=%d' % (os.path.exists(os.environ['SECRET_PLACE']) + 2 * ('MY_API_KEY' in os.environ)))"


@pytest.fixture
def guarded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A study without [run].sandbox whose commands say what they see: 0 is nothing private, 3 the home and the key."""
    home = bench.root / "home"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("MY_API_KEY", "sk-1")
    bench.write(LOOK)
    bench.write(LOOK, "look.py")
    run = {"command": f"{PYTHON} train.py", "env": {"SECRET_PLACE": str(home / ".ssh")}}
    look = {"command": f"{PYTHON} look.py"}

    def make(**tables: Any) -> Evaluator:
        return bench.evaluator(run, **{"evaluate": look, "test": look, **tables})

    return make


def _value(outcome: Outcome) -> float:
    assert outcome.failure is None, outcome.failure
    return outcome.values["loss"]


@needs_sandbox
@pytest.mark.parametrize("tables", [{"edits": {"files": ["train.py"]}}, {}], ids=["edits", "edits were removed"])
def test_whatever_opens_files_of_edited_code_runs_in_the_sandbox(guarded: Any, tables: dict[str, Any]) -> None:
    evaluator, slot = guarded(**tables), Slot(index=0)
    own, edited = _trial(), _trial(1, code="abc")
    code = EditedCode(files={"train.py": LOOK}, command=f"{PYTHON} train.py")
    assert _value(finish(evaluator.start(own, slot, lambda _: None))) == 3.0
    assert _value(finish(evaluator.start(edited, slot, lambda _: None, code=code))) == 0.0
    assert _value(finish(evaluator.test(own, slot))) == 3.0
    assert _value(finish(evaluator.test(edited, slot))) == 0.0
    assert _value(finish(evaluator.judge([own], slot, evaluator.folder / "soup"))) == 3.0
    assert _value(finish(evaluator.judge([own, edited], slot, evaluator.folder / "soup"))) == 0.0
    (evaluator.folder / "trials/0001/artifacts").mkdir(exist_ok=True)
    (evaluator.folder / "trials/0001/artifacts/last.pt").write_text("1")
    resumed = finish(evaluator.start(_trial(2), slot, lambda _: None, earlier=[edited]))
    assert (_value(resumed), resumed.values["train/loss"]) == (0.0, 0.0)
    (evaluator.folder / "soup/artifacts").mkdir(parents=True, exist_ok=True)
    program = "import os, sys; sys.exit(os.path.exists(sys.argv[1]))"
    argv = [sys.executable, "-c", program, str(Path.home() / ".ssh")]
    for trials, status in (([own], 1), ([own, edited], 0)):
        job = evaluator.run_on_files(argv, trials, evaluator.folder / "soup", [])
        while (result := job.poll()) is None:
            pass
        assert result.status == status


@needs_sandbox
def test_files_that_were_swapped_for_a_link_later_are_not_opened(guarded: Any) -> None:
    evaluator = guarded(edits={"files": ["train.py"]})
    edited = _trial(code="abc")
    artifacts = evaluator.folder / "trials/0000/artifacts"
    artifacts.mkdir(parents=True)
    (artifacts / "model.pt").symlink_to("/etc/passwd")
    assert "is a link" in evaluator.files_problem(edited)
    with pytest.raises(ProjectError, match=r"what trial 0 kept is not opened: artifacts/model\.pt is a link"):
        evaluator.test(edited, Slot(index=0))


def test_without_a_sandbox_nothing_opens_files_of_edited_code(guarded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluator = guarded()
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ProjectError, match="and so does what opens its files, but bubblewrap .* is not installed"):
        evaluator.test(_trial(code="abc"), Slot(index=0))
