"""Data for the judge only and the history: no trial sees them, wherever they lie, and no workspace holds a copy."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from fakes.studies import make_spec
from fakes.trials import PYTHON, Bench, finish

from tunesmith.evaluator.evaluator import Evaluator
from tunesmith.evaluator.files.private_files import hidden_paths, is_history
from tunesmith.evaluator.sandbox.bubblewrap import sandbox_problem
from tunesmith.history.write import Recorder
from tunesmith.study.errors import ProjectError
from tunesmith.study.trials.trial import Outcome

needs_sandbox = pytest.mark.skipif(sandbox_problem() != "" and os.environ.get("CI") != "true", reason=sandbox_problem())
SEARCH = """
import glob, os
print("loss=5")
for top in (".", PROJECT, "/tmp", os.path.expanduser("~")):
    for path in glob.glob(top + "/**/*", recursive=True):
        if os.path.isfile(path) and b"SECRET" b"-LABEL" in open(path, "rb").read(): print("found", path)
        if os.path.islink(path) and "labels" in os.readlink(path): print("found link", path)
"""
JUDGE = """
import sys
names = sys.argv[1:]
print("loss=%d" % sum(open(name).read().count("SECRET" "-LABEL") for name in names))
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def judged(bench: Bench, private: list[str], names: str, script: str = SEARCH, **run: Any) -> Outcome:
    bench.write(f"PROJECT = {str(bench.project)!r}\n{script}")
    bench.write(JUDGE, "judge.py")
    run = {"command": f"{PYTHON} train.py", "sandbox": True, "timeout": "20s", **run}
    evaluate = {"command": f"{PYTHON} judge.py {names}", "data": private}
    spec = make_spec(run=run, evaluate=evaluate)
    return finish(bench.start(Evaluator(spec, project=bench.project, folder=bench.study)))


@needs_sandbox
@pytest.mark.parametrize(
    ("data", "names", "run"),
    [
        (["labels.csv"], "labels.csv", {}),
        (["held/labels.csv"], "held/labels.csv", {}),
        (["held"], "held/labels.csv", {}),
        (["../far/labels.csv"], "../../../../../far/labels.csv", {}),
        (["labels.csv"], "labels.csv", {"data": ["."]}),
        (["held"], "held/labels.csv", {"data": ["."]}),
        (["held/labels.csv", "labels.csv"], "held/labels.csv labels.csv", {"data": ["."]}),
        (["many/labels.csv"], "many/labels.csv", {}),
        (["alias.csv"], "alias.csv", {}),
    ],
)
def test_only_the_judge_reads_its_data(bench: Bench, data: list[str], names: str, run: dict[str, Any]) -> None:
    bench.write("SECRET-LABEL", "held/labels.csv" if data[0] == "held" else data[0])
    if len(data) > 1:
        bench.write("SECRET-LABEL", data[1])
    if data[0] == "many/labels.csv":
        for number in range(2100):  # enough that the folder is linked as a whole
            (bench.project / "many" / f"{number}").touch()
    if data[0] == "alias.csv":
        (bench.project / "alias.csv").rename(bench.project / "labels.csv")
        (bench.project / "alias.csv").symlink_to("labels.csv")
    if data[0].startswith(".."):
        names = str((bench.project / data[0]).resolve())
    outcome = judged(bench, data, names, **run)
    assert outcome.failure is None, outcome.failure
    assert outcome.values["loss"] == len(data)
    log = (bench.study / "trials/0000/log.txt").read_text()
    assert "found" not in log, log
    copies = [
        p for p in bench.study.rglob("*") if p.is_file() and not p.is_symlink() and b"SECRET-LABEL" in p.read_bytes()
    ]
    assert copies == []


def test_without_the_sandbox_the_judge_finds_its_data_and_no_copy_is_made(bench: Bench) -> None:
    bench.write("SECRET-LABEL", "labels.csv")
    outcome = judged(bench, ["labels.csv"], "labels.csv", script="print('train/loss=5')", sandbox=False)
    assert outcome.failure is None, outcome.failure
    assert outcome.values["loss"] == 1
    assert [p for p in bench.study.rglob("labels.csv") if not p.is_symlink()] == []


@pytest.mark.parametrize(
    ("data", "run", "message"),
    [
        (["nowhere.npz"], {}, r"\[evaluate\]\.data: .*nowhere\.npz does not exist"),
        (["."], {}, "is far more than data"),
        (["/"], {}, "is far more than data"),
        (["held"], {"command": "python held/sub/x.py"}, r"held has a file that \[run\]\.command runs"),
        (["labels.csv"], {"data": ["labels.csv"]}, r"labels\.csv is shown to every trial by \[run\]\.data"),
        (["held"], {"data": ["held/sub"]}, r"held is shown to every trial by \[run\]\.data"),
    ],
)
def test_data_that_cannot_be_kept_for_the_judge_is_refused(
    bench: Bench, data: list[str], run: dict[str, Any], message: str
) -> None:
    bench.write("1", "labels.csv")
    bench.write("1", "held/sub/x")
    bench.write("1", "held/sub/x.py")
    with pytest.raises(ProjectError, match=message):
        judged(bench, data, "labels.csv", **run)


def test_a_change_of_the_judges_data_is_another_version_of_the_project(bench: Bench) -> None:
    bench.write("pass")
    labels = bench.write("1", "labels.csv")
    tables = {"evaluate": {"command": "true", "data": ["labels.csv"]}}
    before = bench.evaluator({}, **tables).variant
    assert bench.evaluator({}, **tables).variant == before
    labels.write_text("22")
    assert bench.evaluator({}, **tables).variant != before


@needs_sandbox
@pytest.mark.parametrize("data", [[], ["."]], ids=["not shown", "the project is data"])
def test_a_history_in_the_project_is_no_file_of_the_project(bench: Bench, data: list[str]) -> None:
    bench.write(f"""
    import glob, os
    print("loss=0")
    for top in (".", {str(bench.project)!r}):
        for path in glob.glob(top + "/**/*", recursive=True):
            own = os.environ["TUNESMITH_TRIAL_FOLDER"]
            if os.path.isfile(path) and not path.startswith(own):
                text = open(path, "rb").read()
                if b"CREATE" b" TABLE" in text.upper() or b"of another" b" trial" in text: print("found", path)
    """)
    spec = make_spec(run={"command": f"{PYTHON} train.py", "sandbox": True, "data": data})
    for name in ("runs.db", "older.sqlite"):
        recorder = Recorder(bench.project / name, spec, project=str(bench.project), now=0.0)
        recorder.close()
    recorder = Recorder(bench.project / "runs.db", spec, project=str(bench.project), now=0.0)
    assert is_history(bench.project / "runs.db")
    assert is_history(bench.project / "runs.db-wal")
    for study in ("other", "small"):
        kept = bench.project / study / "trials" / "0000" / "artifacts"
        kept.mkdir(parents=True)
        (kept / "x").write_text("of another trial")
        (bench.project / study / "snapshots").mkdir()
    before = ""
    for number in range(2):
        evaluator = Evaluator(
            spec, project=bench.project, folder=bench.project / "small", history=bench.project / "runs.db"
        )
        outcome = finish(bench.start(evaluator, number + 1))
        assert outcome.values == {"loss": 0.0}, outcome.failure
        log = (bench.project / f"small/trials/{number + 1:04d}/log.txt").read_text()
        assert "found" not in log, log
        assert before in ("", evaluator.variant)
        before = evaluator.variant
    recorder.close()


def test_other_databases_are_files_like_any(bench: Bench) -> None:
    import sqlite3

    path = bench.write("", "data.db")
    with sqlite3.connect(path) as database:
        database.execute("create table trials (x)")
    database.close()
    assert not is_history(path)
    assert not is_history(bench.write("x", "plain.db"))
    assert not is_history(bench.project / "gone.db-wal")


@pytest.mark.parametrize(
    ("command", "hidden"),
    [
        ("python -c 'import judge; judge.main()' {artifacts}", "judge.py"),
        ("python3 -uc 'from judge import main; main({seed})'", "judge.py"),
        ("python '-cimport os, judge as j'", "judge.py"),
        ("python -Imjudge {artifacts}", "judge.py"),
        ("python judge", "judge"),
        ("python -m pkg.score {artifacts}", "pkg/score.py"),
        ("python -c 'from pkg import score'", "pkg/score.py"),
        ("python -c 'import pkg.score'", "pkg/score.py"),
        ("python -c 'from pkg.score import *'", "pkg/score.py"),
        ("python -m whole", "whole"),
        ("python -c 'from whole import main'", "whole"),
        ("bash -c \"cd tools && python -c 'import score'\"", "tools/score.py"),
        ("sh -c 'cd tools; python -m score it'", "tools/score.py"),
        ("env PYTHONPATH=tools python -c 'import score'", "tools/score.py"),
        ("python -c 'import sys; sys.path.insert(0, \"tools\"); import score'", "tools/score.py"),
        ("python -c 'import importlib; importlib.import_module(\"judge\")'", "judge.py"),
        ("torchrun -m judge", "judge.py"),
        ("python -m installed.judge", "src/installed/judge.py"),
        ("python -c 'import shared'", ""),
        ("python -c 'from pkg import model'", ""),
        ("python -c 'import json'", ""),
    ],
)
def test_modules_that_only_the_hidden_judge_names_are_hidden(tmp_path: Path, command: str, hidden: str) -> None:
    files = ["judge.py", "judge", "pkg/__init__.py", "pkg/score.py", "pkg/model.py", "tools/score.py", "shared.py"]
    for name in [*files, "whole/__init__.py", "whole/__main__.py", "src/installed/judge.py", "train.py"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("from pkg import model\nimport shared" if name == "train.py" else "")
    table = f'[run]\ncommand = "python train.py"\n[confirm]\ncommand = {json.dumps(command)}\n'
    (tmp_path / "study.toml").write_text(table)
    assert [str(path.relative_to(tmp_path)) for path in hidden_paths(tmp_path)] == ([hidden] if hidden else [])
