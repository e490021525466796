"""Names of edited files: none can be read as something else, on a terminal, in a diff, by git or by Python."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from fakes.projects import SCRIPT

from tunesmith.study.config.space_tables import parse_space
from tunesmith.study.edit_paths import new_path_problem, path_problem
from tunesmith.study.errors import ProjectError
from tunesmith.study.variant import Edit, EditRefused, Variant, VariantState, unified_diff
from tunesmith.tools.variants.apply import CodePatch, changed_paths, make_branch, write_patch
from tunesmith.tools.variants.build import EditProposal, make_variant
from tunesmith.tools.variants.rules import GateRules, is_protected

INJECTED = (
    "lib/x.py\n--- a/evaluate.py\n+++ b/evaluate.py\n@@ -1,1 +1,1 @@\n-print('honest')\n+print('hacked')\n"
    "--- /dev/null\n+++ b/lib/z.py"
)
KNOWN = ("train.py", "evaluate.py", "Data.py", "lib/metric.py", "modèles/net.py", "big/__init__.py", "eval/*")


@pytest.mark.parametrize(
    "path",
    [
        INJECTED,
        "",
        "x\x1b]0;pwn\x07.py",
        "x\u202eyp.exe.py",
        "x\u200b.py",
        "x\ud800.py",
        "x\0.py",
        "x\r.py",
        "x\u2028.py",
        "x\x85.py",
        "e\u0301.py",
        "/tmp/evil.py",
        "~/evil.py",
        "C:/evil.py",
        "../evil.py",
        "lib/../../evil.py",
        "./a.py",
        "a//b.py",
        "a/",
        "a\\b.py",
        'a".py',
        " a.py",
        "lib /a.py",
        "x" * 5000 + ".py",
    ],
)
def test_no_file_has_such_a_name(path: str) -> None:
    assert path_problem(path)
    assert new_path_problem(path)


@pytest.mark.parametrize(
    "path",
    [
        ".git/hooks/pre-commit.py",
        "lib/.envrc",
        ".github/workflows/x.yml",
        "lib/__pycache__/metric.py",
        "-rf.py",
        "--config.py",
        "x;id.py",
        "$(id).py",
        "new file.py",
        "x" * 101 + ".py",
        "dot..",
        "con.py",
        "\u0435valuate.py",
        "ｅvaluate.py",
        "Evaluate.py",
        "EVALUATE.PY",
        "data.py",
        "lib/Metric.py",
        "Lib/metric.py",
        "lib/metric/__init__.py",
        "evaluate/__init__.py",
        "Evaluate/__init__.py",
        "train.py/x.py",
        "conftest.py",
        "lib/conftest.py",
        "sitecustomize.py",
        "setup.py",
        "evil.pth",
        "data.so",
        "Makefile",
        "study.toml",
    ],
)
def test_a_new_file_gets_no_such_name(path: str) -> None:
    assert new_path_problem(path, KNOWN)


@pytest.mark.parametrize("path", ["new.py", "lib/z.py", "modèles/new_net.py", "lib/a/b-c_1.2.py", "big/new.py"])
def test_honest_names_of_new_files_are_allowed(path: str) -> None:
    assert new_path_problem(path, KNOWN) == ""


@pytest.mark.parametrize("path", ["evaluate.py", "Evaluate.py", "eval/x.py", "EVAL/x.py", "lib/Metric.py"])
def test_a_name_that_is_too_similar_to_a_protected_one_is_protected(path: str) -> None:
    assert is_protected(path, ["evaluate.py", "eval/*", "lib/metric.py"])


def rules(project: Path | None = None) -> GateRules:
    taken = (lambda path: (project / path).exists()) if project else (lambda path: False)
    return GateRules(
        editable=["train.py", "lib/*", "*.py"],
        protected=["evaluate.py"],
        space=parse_space({"x": {"type": "float", "low": 0.0, "high": 1.0}}),
        shadows=lambda module: module in ("torch", "numpy", "data"),
        exists=taken,
    )


@pytest.mark.parametrize(
    "path",
    [INJECTED, "x\ud800.py", "torch.py", "numpy/__init__.py", "random.py", "json/__init__.py", "data.py", "../e.py"],
)
def test_an_edit_with_such_a_file_is_refused_and_its_message_is_one_printable_line(path: str) -> None:
    root = Variant(id="root", files={"train.py": SCRIPT})
    proposal = EditProposal(edits=[Edit(path, "", "y = 1\n")], author="llm")
    with pytest.raises(EditRefused) as refused:
        make_variant(proposal, root, {"root": root}, rules())
    assert str(refused.value).isprintable()


def test_a_new_file_never_replaces_one_of_the_project(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "weights.bin").write_bytes(b"\0")
    root = Variant(id="root", files={"train.py": SCRIPT})
    proposal = EditProposal(edits=[Edit("lib/weights.bin", "", "y = 1\n")], author="llm")
    with pytest.raises(EditRefused, match="the project has such a file"):
        make_variant(proposal, root, {"root": root}, rules(tmp_path))


def test_a_new_file_with_an_honest_name_runs() -> None:
    root = Variant(id="root", files={"train.py": SCRIPT})
    variant = make_variant(
        EditProposal(edits=[Edit("lib/z.py", "", "y = 1\n")], author="llm"), root, {"root": root}, rules()
    )
    assert variant.state is VariantState.SOUND, variant.reason


# -- diffs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("-- a/evaluate.py\nx\n", "++ b/evaluate.py\nx\n"),
        ("x\n-- /dev/null\n", "x\n++ b/evil.py\n"),
        ("a\n" * 9 + "-- a/e.py\n" + "b\n" * 9, "a\n" * 9 + "++ b/e.py\n@@ -1 +1 @@\n" + "b\n" * 9),
        ("", "++ b/e.py\n--- a/e.py\n+++ b/e.py\n"),
        ("-- a/e.py", "++ b/e.py"),
    ],
)
def test_lines_of_a_file_are_never_read_as_names(before: str, after: str) -> None:
    assert changed_paths(unified_diff({"train.py": before}, {"train.py": after})) == ["train.py"]


def repository(folder: Path) -> Path:
    folder.mkdir()
    (folder / "evaluate.py").write_text("print('honest')\n")
    (folder / "train.py").write_text("x = 1\n")
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "first"]):
        identity = ["-c", "user.name=n", "-c", "user.email=e@e"]
        subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"train.py": "x = 2\n", INJECTED: "y = 1\n"}, "control or invisible characters"),
        ({"train.py": "x = 2\n", "evaluate.py": "print('hacked')\n"}, r"evaluate.py, which \[edits\].protect names"),
        ({"train.py": "x = 2\n", "Evaluate.py": "print('hacked')\n"}, r"Evaluate.py, which \[edits\].protect names"),
        ({"train.py": "x = 2\n", "../evil.py": "y = 1\n"}, '".."'),
        ({"train.py": "x = 2\n", "/tmp/evil.py": "y = 1\n"}, "absolute"),
    ],
)
def test_apply_checks_names_and_protected_files_again(files: dict[str, str], reason: str, tmp_path: Path) -> None:
    project = repository(tmp_path / "p")
    before = {"train.py": "x = 1\n", "evaluate.py": "print('honest')\n"}
    patch = CodePatch(
        project=project,
        diff=unified_diff({path: before[path] for path in files if path in before}, files),
        message="m\n",
        paths=sorted(files),
        protected=["evaluate.py"],
    )
    with pytest.raises(ProjectError, match=reason):
        make_branch(patch, "b")
    with pytest.raises(ProjectError, match=reason):
        write_patch(patch, tmp_path / "it.patch")
    assert not (tmp_path / "it.patch").exists()


def test_a_diff_that_names_more_than_the_variant_changes_is_not_applied(tmp_path: Path) -> None:
    project = repository(tmp_path / "p")
    both = unified_diff({"train.py": "x = 1\n"}, {"train.py": "x = 2\n", "more.py": "y = 1\n"})
    patch = CodePatch(project=project, diff=both, message="m\n", paths=["train.py"])
    with pytest.raises(ProjectError, match="the diff changes more.py, train.py, but the variant changes train.py"):
        make_branch(patch, "b")


def test_a_message_is_not_read_as_part_of_the_patch(tmp_path: Path) -> None:
    project = repository(tmp_path / "p")
    head = "--- a/evaluate.py\n+++ b/evaluate.py\n@@ -1 +1 @@\n-print('honest')\n+print('hacked')\n"
    diff = unified_diff({"train.py": "x = 1\n"}, {"train.py": "x = 2\n"})
    made = write_patch(CodePatch(project=project, diff=diff, message=head), tmp_path / "it.patch")
    subprocess.run(made.command, shell=True, check=True)
    assert (project / "evaluate.py").read_text() == "print('honest')\n"
    assert (project / "train.py").read_text() == "x = 2\n"
