"""`tunesmith variants` and `tunesmith apply`, from a history that a study left."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.edited import (
    BASE,
    BROKEN,
    EDITED,
    GOOD,
    MORE,
    SCRIPT,
    TWICE,
    VARIANTS,
    EditedProject,
    diff_of,
    make_edited_project,
)
from fakes.studies import make_spec
from typer.testing import CliRunner, Result

from tunesmith.cli.display.variants.variant_text import best_command
from tunesmith.cli.main import app
from tunesmith.history.read import History
from tunesmith.history.write import Recorder
from tunesmith.tools.control.study_reader import FileStudyReader
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.edits import EditArguments, edit_lines, edit_text
from tunesmith.tools.llm_tools.trials import NoArguments
from tunesmith.tools.variants.results import compare_variant

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs the program git")
NAME = "tunesmith/small-9aaaaaaa"


def tunesmith(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "110", "NO_COLOR": "1"})


@pytest.fixture
def edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EditedProject:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    made = make_edited_project(tmp_path / "project")
    monkeypatch.chdir(made.project)
    return made


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    return subprocess.run(["git", *who, *words], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def in_git(edited: EditedProject) -> EditedProject:
    git(edited.project, "init", "--quiet", "--initial-branch", "main")
    (edited.project / ".gitignore").write_text(".tunesmith\n", encoding="utf-8")
    git(edited.project, "add", "--all")
    git(edited.project, "commit", "--quiet", "--message", "mine")
    return edited


def test_the_tree_of_variants_shows_each_result(edited: EditedProject) -> None:
    assert tunesmith("variants").stdout.splitlines() == [
        "small  minimize loss  ·  3 edits",
        "variant            trials  best                         against parent      why",
        "bbbbbbbb                2  0.9200 ± 0.0196, 5 seeds                         your own code",
        "├─ edit-9aaaaa          1  0.7500 ± 0.0196, 5 seeds     -0.2 (std 0.027)    schedule: The rate never falls.",
        "│  └─ edit-8ddddd       0  never ran                                        efficiency: Five steps do.",
        "└─ edit-9ccccc          1  broken                                           other: \\x1b[31mShorter.",
        "values of edits are as reported by the edited script: the study has no [evaluate]",
    ]
    assert edited.project.is_dir()


def test_the_tools_of_the_chat_name_the_same_trial_and_value(edited: EditedProject) -> None:
    reader = FileStudyReader(edited.history, make_spec)
    context = ToolContext(reader=reader, project=edited.project, history=edited.history)
    try:
        listed, one = edit_lines(context, NoArguments()), edit_text(context, EditArguments(name="9a"))
    finally:
        reader.close()
    for text in (listed, one):
        assert "best loss 0.7500 ± 0.0196 on 5 fresh seeds (#2) in 1 trial, as reported" in text


def test_the_command_of_an_edit_has_the_seed_whose_value_is_stated(edited: EditedProject) -> None:
    with History.open(edited.history) as history:
        record = history.study("small")
        trials, variants = history.trials(record.id), history.variants(record.id)
    found = compare_variant(record, trials, variants, next(v for v in variants if v.id == GOOD))
    assert found.best is not None
    run = record.spec.run.model_copy(update={"command": "python train.py --lr {lr} --seed {seed}"})
    record = replace(record, spec=record.spec.model_copy(update={"run": run}))
    assert best_command(record, found).endswith(f"--seed {trials[found.best.number].proposal.seed}")


def test_variants_as_json_hold_the_same(edited: EditedProject) -> None:
    base, good, twice, broken = json.loads(tunesmith("variants", "--json").stdout)
    assert [v["id"] for v in (base, good, twice, broken)] == [BASE, GOOD, TWICE, BROKEN]
    assert (broken["state"], broken["reason"]) == ("broken", "crash")
    assert (good["parent"], good["author"], good["depth"]) == (BASE, "llm", 1)
    assert good["best"]["confirmed"]["mean"] == pytest.approx(0.75)
    assert (broken["best"], broken["failures"]) == (None, {"crash": 1})
    one = json.loads(tunesmith("variants", "9a", "--json").stdout)
    assert one["diff"] == diff_of(SCRIPT, EDITED)
    assert edited.history.exists()


@pytest.mark.usefixtures("edited")
def test_a_variant_is_shown_by_the_beginning_of_its_id_and_a_study_by_its_name(tmp_path: Path) -> None:
    shown = tunesmith("variants", "9A").stdout
    assert shown.startswith(f"variant {GOOD} (schedule), from {BASE}, by llm\n  The rate never falls. Let it fall.\n")
    assert "-    return RATE\n+    return RATE / (1 + step)\n" in shown
    assert tunesmith("variants", "edit-9a").stdout == shown
    assert "your own code" in tunesmith("variants", "b").stdout
    assert tunesmith("variants", "small").stdout == tunesmith("variants").stdout
    assert tunesmith("variants", str(tmp_path / "project")).stdout == tunesmith("variants").stdout


@pytest.mark.usefixtures("edited")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("variants", "zz"), "'zz' is neither a study nor a variant; studies here: small"),
        (("variants", "9"), "'9' matches 2 variants"),
        (("apply", "9"), "'9' matches 2 variants"),
        (("apply", "edit-9aaabb"), "no variant 'edit-9aaabb' in this study; did you mean edit-9aaaaa?"),
        (("apply", "b"), "is your own code, not an edit"),
        (("variants", "9a", "--fit", ","), "names no number; name some, with commas, or write all"),
        (("apply", ""), "no variant ''"),
    ],
)
def test_a_wrong_id_gets_one_message(words: tuple[str, ...], message: str) -> None:
    result = tunesmith(*words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


@needs_git
def test_apply_shows_diff_gain_and_cost_and_makes_a_branch(in_git: EditedProject) -> None:
    result = tunesmith("apply", "9a")
    assert result.exit_code == 0, result.stderr
    assert "-    return RATE\n+    return RATE / (1 + step)\n" in result.stdout
    shown = " ".join(result.stdout.split())
    for part in (
        "gain loss 0.7500 ± 0.0196 on 5 fresh seeds (trial 2)",
        "the default: 1.000 ± 0.020 on 5 fresh seeds; +25.0% ± 2.6%, better with probability > 0.999",
        "the best without the edit: 0.9200 ± 0.0196 on 5 fresh seeds (trial 1); +18.5% ± 2.9%, better with probability",
        "cost 3.0 s wall, 1.5 s CPU, 0.25 GiB per trial 2.0 s wall, 1.5 s CPU, 0.25 GiB with your own code: 1.50 times",
        "best with lr=0.03 hidden=64 optimizer=adam python train.py --lr 0.03",
        f"merge it git merge {NAME}",
    ):
        assert part in shown
    assert git(in_git.project, "show", f"{NAME}:train.py") == EDITED
    assert "+25.0% ± 2.6%" in git(in_git.project, "log", "-1", "--format=%B", NAME)
    assert git(in_git.project, "status", "--porcelain") == ""
    assert (in_git.project / "train.py").read_text() == SCRIPT


@needs_git
def test_apply_as_json_holds_the_same_figures(in_git: EditedProject) -> None:
    document = json.loads(tunesmith("apply", GOOD, "--json", "--branch", "mine/new").stdout)
    assert document["branch"]["name"] == "mine/new"
    assert document["branch"]["commit"] == git(in_git.project, "rev-parse", "mine/new").strip()
    assert document["versus_default"]["gain"] == pytest.approx(0.25)
    assert document["cost"]["wall_s"] == 3.0
    assert document["command"] == "python train.py --lr 0.03"
    assert (document["patch"], document["no_branch"]) == (None, None)


@needs_git
def test_a_variant_of_a_variant_brings_the_changes_of_both(in_git: EditedProject) -> None:
    assert tunesmith("apply", "8").exit_code == 0
    assert git(in_git.project, "show", "tunesmith/small-8ddddddd:train.py") == MORE


@needs_git
def test_a_stack_has_one_commit_for_each_edit(in_git: EditedProject) -> None:
    result = tunesmith("apply", "8", "--stack")
    assert result.exit_code == 0, result.stderr
    branch = "tunesmith/small-8ddddddd"
    assert f"Made branch {branch}, 2 commits" in result.stdout
    titles = git(in_git.project, "log", "--format=%s", f"main..{branch}").splitlines()
    assert titles == ["Five steps do.", "The rate never falls. Let it fall."]
    assert git(in_git.project, "show", f"{branch}:train.py") == MORE
    assert git(in_git.project, "show", f"{branch}~1:train.py") == EDITED
    assert git(in_git.project, "rev-parse", f"{branch}~2") == git(in_git.project, "rev-parse", "main")
    again = tunesmith("apply", "8", "--stack").stdout
    assert f"Branch {branch} exists, with this content, 2 commits" in again
    assert "differs from what the study ran with" not in again


@needs_git
def test_a_project_that_went_on_since_the_study_is_document(in_git: EditedProject) -> None:
    (in_git.project / "train.py").write_text(f"# mine\n{SCRIPT}", encoding="utf-8")
    git(in_git.project, "commit", "--quiet", "--all", "--message", "later")
    shown = tunesmith("apply", "9a").stdout
    assert "Note: train.py in HEAD differs from what the study ran with; run it again to be sure.\n" in shown
    assert git(in_git.project, "show", f"{NAME}:train.py") == f"# mine\n{EDITED}"


@needs_git
def test_on_a_conflict_a_patch_is_written_and_the_place_named(in_git: EditedProject) -> None:
    (in_git.project / "train.py").write_text(SCRIPT.replace("return RATE", "return 2 * RATE"), encoding="utf-8")
    git(in_git.project, "commit", "--quiet", "--all", "--message", "later")
    shown = tunesmith("apply", "9a").stdout
    assert "No branch was made: the change conflicts with HEAD.\n  does not fit: train.py, line 4\n" in shown
    assert "Wrote small-9aaaaaaa.patch." in shown
    assert git(in_git.project, "branch", "--list", "tunesmith/*") == ""
    assert (in_git.project / "small-9aaaaaaa.patch").read_text().endswith(diff_of(SCRIPT, EDITED))


def test_without_git_a_patch_is_written_and_applies(edited: EditedProject) -> None:
    result = tunesmith("apply", "9a")
    assert result.exit_code == 0
    assert "No branch was made: git cannot make a branch here" in result.stdout
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("  apply it")]
    subprocess.run(["/bin/sh", "-c", line.split(maxsplit=2)[2]], check=True, capture_output=True)
    assert (edited.project / "train.py").read_text() == EDITED
    assert "exists, with this content" in tunesmith("apply", "9a").stdout


def test_a_patch_goes_where_it_is_wanted_and_replaces_nothing(edited: EditedProject, tmp_path: Path) -> None:
    path = tmp_path / "mine.patch"
    assert tunesmith("apply", "9a", "--output", str(path)).exit_code == 0
    assert path.read_text().startswith("# The rate never falls. Let it fall.\n")
    path.write_text("mine", encoding="utf-8")
    refused = tunesmith("apply", "9a", "--output", str(path))
    assert (refused.exit_code, path.read_text()) == (2, "mine")
    assert "exists and is not overwritten" in refused.stderr
    assert sorted(os.listdir(edited.project)) == [".tunesmith", "study.toml", "train.py"]


def test_what_was_not_confirmed_is_said_to_be_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.chdir(make_edited_project(tmp_path / "project", is_confirmed=False).project)
    shown = " ".join(tunesmith("apply", "9a", "--patch").stdout.split())
    assert "gain loss 0.7000 in tuning (trial 2) the default: 1.000 in tuning; 30% better" in shown
    assert "the best without the edit: 0.9000 in tuning (trial 1); 22% better" in shown
    assert "not confirmed on fresh seeds: the best of many values is partly luck" in shown


def test_that_the_default_ran_again_does_not_make_it_the_best_of_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.chdir(make_edited_project(tmp_path / "project", is_tuned_confirmed=False).project)
    assert "bbbbbbbb                2  0.9000  " in tunesmith("variants").stdout
    shown = " ".join(tunesmith("apply", "9a", "--patch").stdout.split())
    assert "the default: 1.000 ± 0.020 on 5 fresh seeds; +25.0% ± 2.6%" in shown
    assert "the best without the edit: 0.9000 in tuning (trial 1); 22% better" in shown


def test_a_variant_that_never_completed_has_no_gain(edited: EditedProject) -> None:
    shown = tunesmith("apply", "9c", "--patch").stdout
    assert "trials     1 (1 crash)" in shown
    assert "gain       unknown: no trial of this variant is complete" in shown
    assert (edited.project / "small-9ccccccc.patch").exists()


def test_a_project_that_was_moved_is_found_by_its_study_file(edited: EditedProject, tmp_path: Path) -> None:
    new = edited.project.rename(tmp_path / "moved")
    assert tunesmith("apply", "9a", "--study", str(new), "--output", str(tmp_path / "it.patch")).exit_code == 0
    (new / "study.toml").unlink()
    refused = tunesmith("apply", "9a", "--history", str(new / ".tunesmith" / "history.db"))
    assert refused.exit_code == 2
    assert "which does not exist; name the project's folder with --study" in refused.stderr


def test_a_study_without_edits_says_so(edited: EditedProject) -> None:
    spec = make_spec(study={"name": "plain", "metric": "loss"})
    with Recorder(edited.history, spec, project=str(edited.project), now=2000.0) as recorder:
        recorder.record_variant(VARIANTS[0])
    assert tunesmith("variants", "plain").stdout == "plain: no edit of the code has been tried yet\n"
    assert "this study has no edits yet" in tunesmith("apply", "9a", "--study", "plain").stderr
