"""Wrong input through the real command: exit status 2, the key and the fix, no traceback, nothing written."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.projects import invoke, make_project
from fakes.study_tables import WRONG, Wrong
from typer.testing import CliRunner

from tunesmith.cli.main import app


def listing(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b"" for p in folder.rglob("*")}


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.id)
def test_a_wrong_study_is_refused_by_run(wrong: Wrong, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(wrong.text, encoding="utf-8")
    before = listing(tmp_path)
    result = CliRunner().invoke(app, ["run", str(tmp_path)])
    assert result.exit_code == 2, result.output
    assert wrong.key in result.stderr
    assert wrong.fix in result.stderr
    assert result.stderr.rstrip().endswith("Nothing was started.")
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert listing(tmp_path) == before


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


@pytest.fixture
def damaged(project: Path) -> Iterator[None]:
    folder = project / "kept"
    folder.mkdir()
    (folder / "damaged.db").write_bytes(b"no database " * 400)
    (folder / "empty.db").write_bytes(b"")
    (folder / "file").write_bytes(b"")
    (folder / "taken.db.lock").write_text('{"pid": 4321, "host": "there", "since": 0, "command": "tunesmith run"}')
    with (folder / "taken.db.lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


@pytest.mark.usefixtures("damaged")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "--trials", "0"], "--trials  0 is not valid here; expected a whole number of at least 1"),
        (["run", "--trials", "many"], "--trials"),
        (["run", "--hours", "-1"], "--hours  -1.0 is not valid here; expected a number above 0"),
        (["run", "--until", "25:99"], '--until  "25:99" is not valid here; expected a time of day such as "07:00"'),
        (["run", "--parallel", "0"], "--parallel  0 is not valid here"),
        (["run", "--sampler", "bayse"], '--sampler  unknown sampler "bayse"; did you mean bayes?'),
        (["run", "--seed", "-3"], "--seed  -3 is not valid here"),
        (["run", "--trails", "3"], "--trails"),
        (["run", "a", "b"], "unexpected extra argument"),
        (["run", "nowhere"], "nowhere does not exist"),
        (
            ["run", "nowhere/study.toml"],
            "does not exist; `tunesmith init SCRIPT` writes a study file for a training script",
        ),
        (["run", "--history", "kept/damaged.db"], "cannot be opened as a history"),
        (["run", "--history", "kept/file/x/h.db"], "no history can be created at kept/file/x/h.db: Not a directory"),
        (["run", "--history", "kept/taken.db"], "is being written by process 4321 on there since"),
        (["rnu"], "rnu"),
        (["status"], "no history at"),
        (["status", "--history", "kept/empty.db"], "is empty: no study has run there yet"),
        (["status", "--history", "kept/damaged.db"], "cannot be opened as a history"),
        (["status", "--why", "x"], "--why"),
        (["report"], "`tunesmith run` creates one, --history names another file"),
        (["init"], "name the training script, as in tunesmith init train.py"),
        (["init", "nowhere.py"], "nowhere.py does not exist; give the path of the training script"),
        (["init", "study.toml"], "is not valid Python: line"),
        (["init", "./"], "name the training script"),
        (["init", "train.py"], "found nothing to tune in train.py"),
        (["doctor", "--jsno"], "--jsno"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_command_line_is_refused_with_a_message(project: Path, arguments: list[str], says: str) -> None:
    before = listing(project)
    done = invoke(*arguments, cwd=project)
    assert done.returncode == 2, done.stdout + done.stderr
    assert says in " ".join(done.stderr.replace("│", " ").split()) or says in done.stderr, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert listing(project) == before


def test_status_of_an_unknown_study_or_trial_names_what_there_is(project: Path) -> None:
    assert invoke("run", "--trials", "1", cwd=project).returncode == 0
    history = str(project / ".tunesmith" / "history.db")
    for arguments, says in (
        (["status", "toyy", "--history", history], "no study 'toyy' in this history; did you mean toy?"),
        (["status", "--why", "99"], "study toy has no trial 99; its only trial is 0"),
        (["report", "--out", str(project / "train.py" / "x")], "the report cannot be written to"),
    ):
        done = invoke(*arguments, cwd=project)
        assert (done.returncode, says in done.stderr) == (2, True), done.stderr


def test_a_study_without_an_end_is_refused(project: Path) -> None:
    file = project / "study.toml"
    file.write_text(file.read_text(encoding="utf-8").replace("trials = 6", ""), encoding="utf-8")
    done = invoke("run", cwd=project)
    assert done.returncode == 2
    assert "nothing would end this study; set trials = 40" in done.stderr
    assert not (project / ".tunesmith").exists()


def test_another_metric_under_the_same_name_is_refused_and_the_history_stays(project: Path) -> None:
    assert invoke("run", "--trials", "1", cwd=project).returncode == 0
    file = project / "study.toml"
    file.write_text(file.read_text(encoding="utf-8").replace('metric = "loss"', 'metric = "acc"'), encoding="utf-8")
    done = invoke("run", cwd=project)
    assert done.returncode == 2
    assert "give [study].name a new name" in done.stderr
    assert "1 done" in invoke("status", cwd=project).stdout
