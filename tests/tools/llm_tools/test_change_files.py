"""Changes of the person's own files: shown as a diff, checked before, kept by git or a backup, and never more."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from fakes.studies import make_spec

from tunesmith.study.errors import ToolRefused
from tunesmith.tools.control.inbox import Inbox, InboxControl
from tunesmith.tools.control.study_reader import InMemoryStudyReader, study_view
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.registry import ALL
from tunesmith.tools.llm_tools.script.change import CHANGE_FILES
from tunesmith.tools.llm_tools.tool import Effect

SCRIPT = """\
import argparse
p = argparse.ArgumentParser()
p.add_argument("--lr", type=float, default=0.1)
a = p.parse_args()
print("loss:", a.lr)
batch = 64
"""
STUDY = """\
[study]
name = "s"
metric = "loss"
[run]
command = "python train.py --lr {lr}"
[space]
lr = { type = "float", low = 1e-3, high = 1.0 }
[budget]
trials = 3
"""
FIX = {"path": "train.py", "search": 'print("loss:", a.lr)', "replace": 'print(f"loss={a.lr}")'}
HYPERPARAMETER = [
    {"path": "train.py", "search": "a = p.parse", "replace": 'p.add_argument("--batch", type=int)\na = p.parse'},
    {"path": "train.py", "search": "batch = 64", "replace": "batch = a.batch"},
    {"path": "study.toml", "search": "--lr {lr}", "replace": "--lr {lr} --batch {batch}"},
    {
        "path": "study.toml",
        "search": "[budget]",
        "replace": 'batch = { type = "int", low = 8, high = 512, log = true, default = 64 }\n[budget]',
    },
]  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "train.py").write_text(SCRIPT)
    (folder / "study.toml").write_text(STUDY)
    return folder


def git(folder: Path, *words: str) -> str:
    options = ["-c", "user.name=me", "-c", "user.email=me@here"]
    return subprocess.run(["git", *options, *words], cwd=folder, capture_output=True, text=True, check=True).stdout


def change(project: Path, *blocks: Any, **options: Any) -> str:
    return CHANGE_FILES.call(ToolContext(project=project, **options), {"blocks": list(blocks), "why": "print it"})


def test_a_fix_is_shown_as_a_diff_and_leaves_a_backup_without_git(project: Path) -> None:
    shown = CHANGE_FILES.preview_text(ToolContext(project=project), {"blocks": [FIX]})
    assert '-print("loss:", a.lr)\n+print(f"loss={a.lr}")' in shown
    assert (project / "train.py").read_text() == SCRIPT
    assert "undo: mv train.py.bak train.py" in change(project, FIX)
    assert 'print(f"loss={a.lr}")' in (project / "train.py").read_text()
    assert (project / "train.py.bak").read_text() == SCRIPT
    again = {**FIX, "search": "batch = 64", "replace": "batch = 32"}
    assert "train.py.bak1" in change(project, again)
    assert (project / "train.py.bak").read_text() == SCRIPT


def test_in_a_repository_it_is_a_commit_of_these_files_alone(project: Path) -> None:
    git(project, "init", "-q")
    (project / "other.py").write_text("x = 1\n")
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", "first")
    (project / "other.py").write_text("x = 2\n")
    git(project, "add", "other.py")
    text = change(project, FIX)
    assert "of only these files; undo: git revert " in text
    assert git(project, "show", "--name-only", "--format=%s", "HEAD").split("\n\n") == ["print it", "train.py\n"]
    assert git(project, "status", "--porcelain").split() == ["M", "other.py"]
    git(project, "stash", "-q")
    git(project, "revert", "--no-edit", "HEAD")
    assert (project / "train.py").read_text() == SCRIPT
    assert not list(project.glob("*.bak*"))


@pytest.mark.parametrize("kind", ["own changes", "untracked", "ignored", "no commit yet"])
def test_what_a_commit_would_take_along_is_backed_up_instead(project: Path, kind: str) -> None:
    git(project, "init", "-q")
    if kind == "ignored":
        (project / ".gitignore").write_text("train.py\n")
    if kind != "no commit yet":
        git(project, "add", "study.toml", *(["train.py"] if kind == "own changes" else []))
        git(project, "commit", "-q", "-m", "first")
    if kind == "own changes":
        (project / "train.py").write_text(SCRIPT + "# mine\n")
    assert "undo: mv train.py.bak train.py" in change(project, FIX)
    assert (project / "train.py.bak").read_text().startswith(SCRIPT)


def test_a_hyperparameter_is_one_call_for_script_and_study(project: Path) -> None:
    shown = CHANGE_FILES.preview_text(ToolContext(project=project), {"blocks": HYPERPARAMETER})
    assert shown.startswith("Change train.py, study.toml in your project:")
    assert shown.count("+++ b/") == 2
    assert "mv study.toml.bak study.toml" in change(project, *HYPERPARAMETER)
    assert "--batch {batch}" in (project / "study.toml").read_text()
    assert "batch = a.batch" in (project / "train.py").read_text()


@pytest.mark.parametrize(
    ("blocks", "reason"),
    [
        ([{**FIX, "search": "nowhere"}], "is not in the file"),
        ([{**FIX, "search": "a"}], "times; copy more lines"),
        ([{**FIX, "search": " "}], "search text is empty"),
        ([{**FIX, "replace": FIX["search"]}], "nothing would change in train.py"),
        ([{**FIX, "replace": "print("}], "train.py would not be valid Python"),
        ([{**FIX, "path": "../out.py"}], "there is no such source file"),
        ([{**FIX, "path": "new.py"}], "there is no such source file"),
        ([{**FIX, "path": ".git/config"}], "there is no such source file"),
        ([{**FIX, "path": "/etc/passwd"}], "there is no such source file"),
        ([{**FIX, "path": "secrets.toml"}], "may hold keys"),
        ([FIX, {"path": "study.toml", "search": "trials = 3", "replace": "trails = 3"}], "trails"),
        (HYPERPARAMETER[2:3], "batch"),
        ([{"path": "study.toml", "search": "trials = 3", "replace": ""}], "nothing would end this study"),
    ],
)
def test_a_wrong_change_is_refused_before_a_person_is_asked_and_nothing_is_written(
    project: Path, blocks: list[dict[str, str]], reason: str
) -> None:
    (project / "secrets.toml").write_text("key = 1\n")
    before = {path.name: path.read_bytes() for path in project.iterdir()}
    for ask in (CHANGE_FILES.preview_text, CHANGE_FILES.call):
        with pytest.raises(ToolRefused) as refused:
            ask(ToolContext(project=project), {"blocks": blocks})
        assert reason in str(refused.value)
    assert {path.name: path.read_bytes() for path in project.iterdir()} == before


def test_a_running_study_and_protected_files_stay_as_they_are(project: Path, tmp_path: Path) -> None:
    with Inbox(tmp_path / "s").owned(), pytest.raises(ToolRefused, match="the study is running"):
        change(project, FIX, control=InboxControl(Inbox(tmp_path / "s"), by="t"))
    spec = make_spec(edits={"files": ["model.py"], "protect": ["train.py"]}, planner={"model": "openai:x"})
    with pytest.raises(ToolRefused, match="protect"):
        change(project, FIX, reader=InMemoryStudyReader(spec, study_view(spec, [])))


def test_only_a_person_in_a_chat_can_approve_it() -> None:
    assert CHANGE_FILES.effect is Effect.EDIT
    assert CHANGE_FILES not in ALL
    assert CHANGE_FILES.trial_cost(CHANGE_FILES.parse({"blocks": [FIX]})) == 0
