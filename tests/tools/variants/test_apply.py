"""A variant becomes a branch or a patch file; the owner's files, index, HEAD and branches are never written."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from fakes.edited import EDITED, SCRIPT, diff_of

from tunesmith.study.errors import ProjectError
from tunesmith.tools.variants.apply import BranchFailed, CodePatch, GitBranch, changed_paths, make_branch, write_patch

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs the program git")
NAME = "tunesmith/small-9aaaaaaa"


@pytest.fixture(autouse=True)
def default_git_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use git's settings of a fresh machine: no name, no hooks."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    done = subprocess.run(["git", *who, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def commit_all(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "as it was")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "my project"
    folder.mkdir()
    (folder / "train.py").write_text(SCRIPT, encoding="utf-8")
    (folder / "notes.txt").write_text("one\n", encoding="utf-8")
    git(folder, "init", "--quiet", "--initial-branch", "main")
    commit_all(folder)
    return folder


def state_of(folder: Path) -> dict[str, object]:
    top = next(path for path in (folder, *folder.parents) if (path / ".git").exists())
    files = {path: path.read_bytes() for path in top.rglob("*") if path.is_file() and ".git" not in path.parts}
    index = top / ".git" / "index"
    return {
        "files": files,
        "index": (index.read_bytes(), index.stat().st_mtime_ns) if index.exists() else None,
        "head": (top / ".git" / "HEAD").read_text(),
        "main": git(top, "rev-parse", "main"),
    }


def apply(folder: Path, *, name: str = NAME, diff: str = "", base: str = SCRIPT) -> GitBranch:
    """Make the branch, and check that the owner's files, index, HEAD and branch are unchanged, also on failure."""
    before = state_of(folder)
    try:
        return make_branch(patch_of(folder, diff, base), name)
    finally:
        assert state_of(folder) == before


def patch_of(folder: Path, diff: str = "", base: str = SCRIPT) -> CodePatch:
    message = "Let the rate fall\n\nIt never did.\n"
    return CodePatch(project=folder, diff=diff or diff_of(SCRIPT, EDITED), message=message, base={"train.py": base})


def test_a_branch_holds_the_change_as_one_commit_on_head(project: Path) -> None:
    branch = apply(project)
    assert branch.is_new
    assert branch.remarks == ()
    assert git(project, "show", f"{NAME}:train.py") == EDITED
    assert git(project, "show", f"{NAME}:notes.txt") == "one\n"
    assert git(project, "rev-parse", f"{NAME}^") == git(project, "rev-parse", "main")
    assert git(project, "log", "-1", "--format=%B", NAME).startswith("Let the rate fall\n\nIt never did.\n")
    git(project, "merge", "--quiet", NAME)
    assert (project / "train.py").read_text() == EDITED


def test_without_an_identity_tunesmith_commits_and_with_one_its_owner_does(project: Path) -> None:
    apply(project)
    who = "%an <%ae> %cn <%ce>"
    assert git(project, "log", "-1", f"--format={who}", NAME).strip() == " ".join(
        ["Tunesmith <tunesmith@localhost>"] * 2
    )
    git(project, "config", "user.name", "Ada")
    git(project, "config", "user.email", "ada@example.org")
    apply(project, name="other")
    shown = git(project, "log", "-1", f"--format={who}", "other").strip()
    assert shown == "Tunesmith <tunesmith@localhost> Ada <ada@example.org>"


def test_a_second_call_finds_the_branch_and_no_branch_is_ever_moved(project: Path) -> None:
    first = apply(project)
    again = apply(project)
    assert (again.is_new, again.commit) == (False, first.commit)
    with pytest.raises(ProjectError, match="exists with other content.*--branch"):
        apply(project, name="main")
    with pytest.raises(ProjectError, match="is not a valid branch name"):
        apply(project, name="so not..good")
    with pytest.raises(ProjectError, match="is not a valid branch name"):
        apply(project, name="--force")


def test_uncommitted_changes_elsewhere_stay_where_they_are(project: Path) -> None:
    (project / "notes.txt").write_text("two\n", encoding="utf-8")
    (project / "new.txt").write_text("not added\n", encoding="utf-8")
    git(project, "add", "notes.txt")
    branch = apply(project)
    assert branch.remarks == ()
    assert git(project, "show", f"{NAME}:notes.txt") == "one\n"
    assert git(project, "status", "--porcelain") == "M  notes.txt\n?? new.txt\n"


def test_uncommitted_changes_in_the_file_are_a_remark_when_the_patch_applies_without_them(project: Path) -> None:
    (project / "train.py").write_text(f"{SCRIPT}# more\n", encoding="utf-8")
    branch = apply(project, base=f"{SCRIPT}# more\n")
    assert git(project, "show", f"{NAME}:train.py") == EDITED
    assert branch.remarks == (
        "train.py has uncommitted changes; they are not on the branch",
        "train.py in HEAD differs from what the study ran with; run it again to be sure",
    )


def test_uncommitted_changes_that_the_variant_needs_prevent_a_branch(project: Path) -> None:
    mine = SCRIPT.replace("    return RATE\n", "    return 2 * RATE\n")
    (project / "train.py").write_text(mine, encoding="utf-8")
    with pytest.raises(BranchFailed, match="train.py has uncommitted changes. The study ran with them") as caught:
        apply(project, diff=diff_of(mine, EDITED))
    assert caught.value.locations == ("train.py, line 4",)
    assert "tunesmith" not in git(project, "branch")


def test_a_conflict_names_its_line(project: Path) -> None:
    (project / "train.py").write_text(SCRIPT.replace("return RATE", "return RATE**2"), encoding="utf-8")
    commit_all(project)
    with pytest.raises(BranchFailed, match="conflicts with HEAD") as caught:
        apply(project)
    assert caught.value.locations == ("train.py, line 4",)


def test_later_commits_elsewhere_in_the_file_do_not_matter(project: Path) -> None:
    (project / "train.py").write_text(f"# a new head\n\n\n{SCRIPT}", encoding="utf-8")
    commit_all(project)
    apply(project)
    assert git(project, "show", f"{NAME}:train.py") == f"# a new head\n\n\n{EDITED}"


def test_a_change_that_is_already_committed_makes_no_branch(project: Path) -> None:
    (project / "train.py").write_text(EDITED, encoding="utf-8")
    commit_all(project)
    with pytest.raises(BranchFailed, match="already part of HEAD"):
        apply(project)


def test_a_file_outside_git_cannot_be_changed_on_a_branch(project: Path) -> None:
    (project / "model.py").write_text(SCRIPT, encoding="utf-8")
    (project / ".gitignore").write_text("model.py\n", encoding="utf-8")
    with pytest.raises(BranchFailed, match=r"model\.py is not committed in git"):
        apply(project, diff=diff_of(SCRIPT, EDITED, "model.py"))


def test_a_project_may_be_a_subfolder_of_a_repository(tmp_path: Path) -> None:
    top = tmp_path / "all"
    folder = top / "deep down" / "project"
    folder.mkdir(parents=True)
    (folder / "train.py").write_text(SCRIPT, encoding="utf-8")
    (top / "train.py").write_text(SCRIPT, encoding="utf-8")
    git(top, "init", "--quiet", "--initial-branch", "main")
    commit_all(top)
    apply(folder)
    assert git(top, "show", f"{NAME}:deep down/project/train.py") == EDITED
    assert git(top, "show", f"{NAME}:train.py") == SCRIPT


def test_a_detached_head_and_a_submodule_are_supported(project: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet", "--initial-branch", "main")
    commit_all(other)
    git(project, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "part")
    commit_all(project)
    git(project, "checkout", "--quiet", "--detach")
    apply(project)
    assert git(project, "diff", "--name-only", "HEAD", NAME) == "train.py\n"


def test_no_hook_runs(project: Path) -> None:
    for name in ("pre-commit", "post-commit", "commit-msg", "reference-transaction", "post-index-change"):
        hook = project / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {project}/ran\nexit 1\n".replace("my project", "my\\ project"))
        hook.chmod(0o755)
    assert apply(project).is_new
    assert not (project / "ran").exists()


def test_the_committers_name_may_come_from_the_environment(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_COMMITTER_NAME", "Grace")
    monkeypatch.setenv("GIT_COMMITTER_EMAIL", "grace@example.org")
    apply(project)
    assert git(project, "log", "-1", "--format=%an %cn", NAME).strip() == "Tunesmith Grace"


def test_variables_of_a_calling_git_process_are_ignored(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_INDEX_FILE", str(project / ".git" / "nowhere"))
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    assert make_branch(patch_of(project), NAME).is_new
    monkeypatch.delenv("GIT_INDEX_FILE")
    monkeypatch.delenv("GIT_DIR")


def test_without_a_repository_a_commit_or_git_itself_there_is_no_branch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    with pytest.raises(BranchFailed, match="not a git repository"):
        make_branch(patch_of(folder), NAME)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    with pytest.raises(BranchFailed, match="no commit yet"):
        make_branch(patch_of(folder), NAME)
    bare = tmp_path / "bare"
    bare.mkdir()
    git(bare, "init", "--quiet", "--bare")
    with pytest.raises(BranchFailed, match="bare repository"):
        make_branch(patch_of(bare), NAME)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BranchFailed, match="git is not installed"):
        make_branch(patch_of(folder), NAME)


def test_a_change_cannot_leave_the_project(project: Path) -> None:
    with pytest.raises(ProjectError, match="nothing was applied"):
        apply(project, diff=diff_of("", "bad\n", "../outside.py"))
    with pytest.raises(BranchFailed):
        apply(project, diff=diff_of("", "bad\n", ".git/hooks/pre-commit"))


def test_the_shown_command_applies_the_patch_file(project: Path, tmp_path: Path) -> None:
    patch = write_patch(patch_of(project), tmp_path / "small 9.patch")
    assert patch.is_new
    subprocess.run(["/bin/sh", "-c", patch.command], check=True, capture_output=True)
    assert (project / "train.py").read_text() == EDITED


def test_a_patch_file_applies_without_a_repository(tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "train.py").write_text(SCRIPT, encoding="utf-8")
    patch = write_patch(patch_of(folder), tmp_path / "it.patch")
    subprocess.run(["/bin/sh", "-c", patch.command], check=True, capture_output=True)
    assert (folder / "train.py").read_text() == EDITED


def test_a_patch_file_never_replaces_another(project: Path, tmp_path: Path) -> None:
    path = tmp_path / "it.patch"
    write_patch(patch_of(project), path)
    assert not write_patch(patch_of(project), path).is_new
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(ProjectError, match=r"exists and is not overwritten; .*--output"):
        write_patch(patch_of(project), path)
    assert path.read_text() == "mine"
    with pytest.raises(ProjectError, match="cannot be written"):
        write_patch(patch_of(project), tmp_path / "none" / "it.patch")


def test_changed_paths_lists_the_files_of_a_diff() -> None:
    several = diff_of("a\n", "b\n", "one.py") + diff_of("a\n", "--- b\n", "two words.py")
    assert changed_paths(several) == ["one.py", "two words.py"]
    assert changed_paths("--- /dev/null\n+++ b/new.py\n@@ -0,0 +1 @@\n+x\n") == ["new.py"]
