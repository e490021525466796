"""`tunesmith import` of runs on instances: the rows of a configuration become one with the value over all of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fakes.projects import invoke, make_project

from tunesmith.history.write import Recorder
from tunesmith.study.config.load import load_spec
from tunesmith.study.trials.trial import Trial, TrialState

TABLE = """\
x,y,{column},loss,note
0.5,4,0,1.0,a
0.5,4,1,3.0,b
0.2,4,0,2.0,c
0.2,4,1,{last},d
0.2,4,7,9.0,e
0.3,4,,9.0,f
"""
INSTANCES = "[instances]\nvalues = [0, 1, 2, 3]\n"


def study(folder: Path, tables: str = INSTANCES, more: str = "--fold {instance}") -> Path:
    return make_project(folder / "toy", tables=tables, more=more if tables else "")


def table(folder: Path, column: str, last: str = "4.0") -> Path:
    path = folder / "runs.csv"
    path.write_text(TABLE.format(column=column, last=last))
    return path


def earlier(project: Path) -> list[Trial]:
    """Return the trials that the study learns from, as its sampler sees them."""
    spec = load_spec(project)
    with Recorder(project / ".tunesmith" / "history.db", spec, project=str(project), now=2e9) as recorder:
        (found,) = recorder.earlier
        return list(found.trials_in(spec.space))


@pytest.mark.parametrize("column", ["instance", "fold", "Fold", "params.instance"])
def test_a_column_of_instances_gives_each_configuration_the_value_over_its_runs(tmp_path: Path, column: str) -> None:
    project = study(tmp_path)
    done = invoke("import", str(table(tmp_path, column)), "--study", str(project), cwd=project)
    assert done.returncode == 0, done.stderr
    assert f"<- {column}" in done.stdout
    assert "2 configurations on 2 instances" in done.stdout
    assert "1 left out: its instance is not in [instances]" in done.stdout
    assert "1 left out: it has no instance" in done.stdout
    assert "not used: note" in done.stdout
    assert [(t.params["x"], t.values["loss"], len(t.runs.values)) for t in earlier(project) if t.runs] == [
        (0.5, 2.0, 2),
        (0.2, 3.0, 2),
    ]


def test_a_held_out_instance_stays_unseen_and_a_mapped_column_has_priority(tmp_path: Path) -> None:
    project = study(tmp_path, f"{INSTANCES}hold_out = 0.5\n[confirm]\n")
    held_out = load_spec(project).instance_set
    assert held_out is not None
    path = tmp_path / "runs.csv"
    lines = [f"0.5,4,{name},2,{index}.0" for index, name in enumerate([*held_out.tuning, *held_out.held_out])]
    path.write_text("\n".join(["x,y,where,instance,loss", *lines]))
    done = invoke("import", str(path), "--study", str(project), "--map", "where=instance", "--json", cwd=project)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["instance_column"] == "where"
    assert said["left_out"] == {"its instance is held out: only confirmation may see it": 2}
    assert [t.values["loss"] for t in earlier(project)] == [0.5]


def test_without_a_column_or_without_instances_it_is_said(tmp_path: Path) -> None:
    project = study(tmp_path)
    source = str(table(tmp_path, "where"))
    done = invoke("import", source, "--study", str(project), "--dry-run", cwd=project)
    assert "each value is taken as that over all instances; --map COLUMN=instance gives one" in done.stdout
    plain = study(tmp_path / "plain", "")
    done = invoke("import", source, "--study", str(plain), "--dry-run", cwd=plain)
    assert "not used: where, note" in done.stdout
    refused = invoke("import", source, "--study", str(plain), "--map", "where=instance", cwd=plain)
    assert refused.returncode == 2
    assert "the study has no [instances]" in refused.stderr


def test_a_failure_on_one_instance_fails_the_imported_configuration(tmp_path: Path) -> None:
    project = study(tmp_path)
    invoke("import", str(table(tmp_path, "fold", last="nan")), "--study", str(project), cwd=project)
    assert [t.state for t in earlier(project)] == [TrialState.COMPLETE, TrialState.FAILED]
