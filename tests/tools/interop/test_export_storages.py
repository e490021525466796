"""`tunesmith export` to storages and tables: the trials in Optuna, and exports that are refused without a file."""

from __future__ import annotations

import csv
import json
import sqlite3
from pathlib import Path

import optuna
import pytest
from fakes.filled_study import fill, write_study
from typer.testing import CliRunner, Result

from tunesmith.cli.main import app
from tunesmith.study.config.load import load_spec

optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = write_study(tmp_path / "digits")
    fill(folder, 10, failures=2)
    return folder


def export(study: Path, target: str, out: Path | str, *options: str) -> Result:
    return CliRunner().invoke(app, ["export", str(study), "--to", target, "-o", str(out), *options])


def storage_at(kind: str, folder: Path) -> tuple[str, object]:
    if kind == "journal":
        path = str(folder / "o.journal")
        return path, lambda: optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(path))
    address = str(folder / "o.db") if kind == "file" else f"sqlite:///{folder}/o.db"
    return address, lambda: f"sqlite:///{folder}/o.db"


@pytest.mark.parametrize("kind", ["file", "url", "journal"])
def test_optuna_continues_with_results_failures_and_points(kind: str, study: Path, tmp_path: Path) -> None:
    address, storage = storage_at(kind, tmp_path)
    result = export(study, "optuna", address, "--points", "2")
    assert result.exit_code == 0, result.output
    sampler = optuna.samplers.TPESampler(seed=0)
    loaded = optuna.load_study(study_name="digits", storage=storage(), sampler=sampler)  # type: ignore[operator]
    states = [t.state.name for t in loaded.trials]
    assert [states.count(name) for name in ("COMPLETE", "FAIL", "WAITING")] == [8, 2, 2]
    assert loaded.metric_names == ["val_loss"]
    assert all(("momentum" in t.params) == (t.params["opt"] == "sgd") for t in loaded.trials[:10])
    waiting = [t.system_attrs["fixed_params"]["lr"] for t in loaded.trials[10:]]

    def objective(trial: optuna.Trial) -> float:
        return trial.suggest_float("lr", 1e-5, 1, log=True) + trial.suggest_int("hidden", 8, 512, log=True)

    loaded.optimize(objective, n_trials=4)
    assert [t.params["lr"] for t in loaded.trials[10:12]] == waiting
    assert len(loaded.trials) == 14


def test_several_metrics_and_constraints_are_exported(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "two", tables='[[constraints]]\nmetric = "gb"\nmax = 0.25')
    path = folder / "study.toml"
    text = path.read_text().replace('metric = "val_loss"', 'metric = ["val_loss", "gb"]')
    path.write_text(text.replace("[run]", 'direction = ["minimize", "maximize"]\n[run]'))
    fill(folder, 6)
    assert export(folder, "optuna", tmp_path / "o.db").exit_code == 0
    loaded = optuna.load_study(study_name="digits", storage=f"sqlite:///{tmp_path}/o.db")
    assert [d.name for d in loaded.directions] == ["MINIMIZE", "MAXIMIZE"]
    complete = [t for t in loaded.trials if t.state.is_finished() and t.values]
    assert all(t.constraints["gb"] == pytest.approx(t.values[1] - 0.25) for t in complete)


def test_a_second_export_to_the_same_storage_is_refused_and_changes_nothing(study: Path, tmp_path: Path) -> None:
    assert export(study, "optuna", tmp_path / "o.db").exit_code == 0
    again = export(study, "optuna", tmp_path / "o.db")
    assert again.exit_code == 2
    assert "'digits' is already in this storage" in again.stderr
    assert len(optuna.load_study(study_name="digits", storage=f"sqlite:///{tmp_path}/o.db").trials) == 10


def test_a_database_of_another_program_is_not_changed(study: Path, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "cats.db") as db:
        db.execute("create table cats (name text)")
    db.close()
    before = (tmp_path / "cats.db").read_bytes()
    result = export(study, "optuna", tmp_path / "cats.db")
    assert result.exit_code == 2
    assert "is a database without an Optuna study; its tables are cats" in result.stderr
    assert (tmp_path / "cats.db").read_bytes() == before


def test_the_table_has_a_row_per_trial_and_an_empty_cell_where_a_parameter_is_not_active(
    study: Path, tmp_path: Path
) -> None:
    assert export(study, "csv", tmp_path / "x.csv", "--points", "1").exit_code == 0
    rows = list(csv.DictReader((tmp_path / "x.csv").read_text().splitlines()))
    assert [row["state"] for row in rows] == ["complete"] * 8 + ["failed"] * 2 + ["waiting"]
    assert all((row["momentum"] == "") == (row["opt"] == "adam") for row in rows)
    assert rows[-2]["failure"] == "oom: CUDA out of memory"


def test_points_without_results_start_with_the_best_configurations(study: Path, tmp_path: Path) -> None:
    assert export(study, "jsonl", tmp_path / "all.jsonl").exit_code == 0
    assert export(study, "jsonl", tmp_path / "points.jsonl", "--no-results", "--points", "9").exit_code == 0
    trials = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    points = [json.loads(line) for line in (tmp_path / "points.jsonl").read_text().splitlines()]
    ranked = sorted((t for t in trials if t["state"] == "complete"), key=lambda t: t["values"]["val_loss"])
    assert [p["params"] for p in points[:8]] == [t["params"] for t in ranked]
    space = load_spec(study).space
    assert len(points) == 9
    assert all(space.contains(p["params"]) for p in points)


@pytest.mark.parametrize("target", ["csv", "jsonl", "nevergrad"])
def test_an_existing_file_is_never_replaced(target: str, study: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("mine")
    result = export(study, target, tmp_path / "kept")
    assert result.exit_code == 2
    assert "exists; name another file with -o" in result.stderr
    assert (tmp_path / "kept").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--to", "optunna"], "'optunna' is unknown; did you mean optuna?"),
        (["--to", "hebo"], "hebo is not offered: "),
        (["--to", "csv", "--points", "-1"], "--points  is -1; expected 0 or more"),
        (["--to", "csv", "--points", "0", "--no-results"], "has neither results nor points to export"),
        (["--to", "csv", "-o", "nowhere/x.csv"], "the folder nowhere does not exist"),
    ],
)
def test_a_wrong_option_is_refused_with_the_reason(options: list[str], says: str, study: Path) -> None:
    result = CliRunner().invoke(app, ["export", str(study), *options])
    assert result.exit_code == 2
    assert says in result.stderr


@pytest.mark.parametrize(("target", "package"), [("smac", "jinja2"), ("nevergrad", "jinja2"), ("optuna", "optuna")])
def test_without_the_packages_of_export_it_says_what_to_install(
    target: str, package: str, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunesmith.study.optional_packages.find_spec", lambda name: None)
    result = export(study, target, tmp_path / "out.file")
    assert result.exit_code == 2
    assert f"needs the package {package}, which is not installed; run: pip install " in result.stderr
    assert "[export]'" in result.stderr
    assert not (tmp_path / "out.file").exists()


def test_the_targets_are_listed_and_json_has_the_counts(study: Path, tmp_path: Path) -> None:
    listed = CliRunner().invoke(app, ["export", "--to", "list"])
    assert {"optuna", "smac", "ray", "csv"} <= {line.split()[0] for line in listed.stdout.splitlines()}
    document = json.loads(export(study, "csv", tmp_path / "x.csv", "--json").stdout)
    assert (document["results"], document["points"]) == (10, 0)
