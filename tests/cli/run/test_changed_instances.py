"""After [instances] changed, only runs on what it lists now count, and the study says which do not."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fakes.projects import invoke, make_project

from tunesmith.history.write import Recorder
from tunesmith.study.config.load import load_spec
from tunesmith.study.trials.trial import Proposal, Source

SCRIPT = """\
import sys
words = sys.argv[1:]
values = dict(zip(words[::2], words[1::2]))
print(f"loss={(float(values['--x']) - 0.3) ** 2 + float(values['--fold'])}")
"""
ALL = "values = [0, 1, 2, 3]"


def write(folder: Path, instances: str, *, runs: int, command: str = "--fold {instance}") -> None:
    """Write the project, or its study file anew, with these instances."""
    tables = f"[instances]\n{instances}\n" if instances else ""
    make_project(folder, script=SCRIPT, more=command, tables=tables, trials=100)
    budget = f"runs = {runs}" if instances else f"trials = {runs}"
    text = (folder / "study.toml").read_text().replace("trials = 100", budget)
    (folder / "study.toml").write_text(text)


def run(folder: Path) -> str:
    done = invoke("run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def status(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(invoke("status", "--json", cwd=folder).stdout)
    return found


def instances_of_runs(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / ".tunesmith" / "history.db")) as db:
        return [name for (name,) in db.execute("select instance from trials order by number")]


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        ("values = [4, 5, 6]", "4 earlier runs do not count: they ran on an instance that [instances] has no longer ("),
        ("values = [0, 1, 2, 3, 9]", ""),
    ],
)
def test_runs_on_removed_instances_do_not_count(tmp_path: Path, later: str, reason: str) -> None:
    write(tmp_path, ALL, runs=4)
    run(tmp_path)
    write(tmp_path, later, runs=9)
    text = run(tmp_path)
    assert reason in text
    assert reason in invoke("status", cwd=tmp_path).stdout
    assert ("do not count" in text) == bool(reason)
    assert set(status(tmp_path)["best"]["instances"]) <= set(later)
    assert len(instances_of_runs(tmp_path)) == 9


def test_an_instance_with_other_columns_is_another_one(tmp_path: Path) -> None:
    before = '[{ name = "a", size = 1 }, { name = "b", size = 2 }, { name = "c", size = 3 }]'
    after = before.replace("size = 2", "size = 7").replace(" }", ", note = 0 }")
    write(tmp_path, f"values = {before}", runs=4, command="--fold {instance.size}")
    run(tmp_path)
    assert instances_of_runs(tmp_path) == ["b"] * 4
    write(tmp_path, f"values = {after}", runs=10, command="--fold {instance.size}")
    assert "4 earlier runs do not count: they ran on an instance that had other columns then (b)" in run(tmp_path)
    assert status(tmp_path)["best"]["instances"].get("b", 7.0) >= 7.0


def test_instances_taken_out_and_added_leave_nothing_mixed(tmp_path: Path) -> None:
    write(tmp_path, ALL, runs=3)
    run(tmp_path)
    write(tmp_path, "", runs=6, command="--fold 9")
    assert "3 earlier runs do not count: they ran on one instance, when the study had [instances]" in run(tmp_path)
    assert status(tmp_path)["best"]["values"]["loss"] >= 9.0
    assert (
        "3 earlier runs do not count" in invoke("report", cwd=tmp_path).stdout + invoke("status", cwd=tmp_path).stdout
    )
    write(tmp_path, ALL, runs=9)
    text = run(tmp_path)
    assert "before the study had [instances]" in text
    best = status(tmp_path)["best"]
    assert best["values"]["loss"] < 9.0
    assert set(best["instances"]) <= {"0", "1", "2", "3"}


def test_a_trial_that_waited_for_a_removed_instance_does_not_run(tmp_path: Path) -> None:
    write(tmp_path, "values = [1, 2, 9]", runs=4)
    spec = load_spec(tmp_path)
    waiting = Proposal(params={"x": 0.5, "y": 3}, source=Source.DEFAULT, seed=0, instance="9")
    with Recorder(tmp_path / ".tunesmith" / "history.db", spec, project=str(tmp_path), now=1.0) as recorder:
        recorder.record_proposal(waiting, 1.0)
    write(tmp_path, "values = [1, 2]", runs=3)
    assert "trial 0 does not run: its instance 9 is not in [instances] now" in run(tmp_path)
    assert set(status(tmp_path)["best"]["instances"]) <= {"1", "2"}
