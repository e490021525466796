"""`tunesmith import`: trials of other programs become an earlier study that warm-starts this one; or one message."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
import pytest
from fakes.filled_study import fill, loss, write_study
from fakes.projects import command, make_project
from fakes.studies import make_spec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from tunesmith.cli.main import app
from tunesmith.history.read import History
from tunesmith.history.write import Recorder
from tunesmith.study.config.load import load_spec
from tunesmith.study.trials.trial import Source, Trial, TrialState
from tunesmith.tools.interop.importing.fit import fit
from tunesmith.tools.interop.importing.imported_table import ImportedRow, ImportedTable
from tunesmith.tools.interop.importing.mapping import map_columns

optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return write_study(tmp_path / "digits")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def imported(study: Path, source: Path | str, *options: str) -> dict[str, object]:
    result = run("import", source, "--study", study, "--json", *options)
    assert result.exit_code == 0, result.output
    document: dict[str, object] = json.loads(result.stdout)
    return document


def earlier(study: Path) -> list[list[Trial]]:
    """Return what the study learns from, as a run would be given it."""
    history = study / ".tunesmith" / "history.db"
    with Recorder(history, load_spec(study), project=str(study), now=2000.0) as recorder:
        return [list(study.trials) for study in recorder.earlier]


def random_params(study: Path, count: int, seed: int = 0) -> list[dict[str, object]]:
    space = load_spec(study).space
    rng = np.random.default_rng(seed)
    return [dict(space.from_unit(rng.random(len(space)).tolist())) for _ in range(count)]


def write_csv(path: Path, study: Path, count: int = 20) -> Path:
    names = ["learning_rate", "hidden_size", "layers", "dropout", "batch_size", "norm", "optimizer", "momentum"]
    lines = [",".join(["Name", "State", *names, "val_loss"])]
    for number, params in enumerate(random_params(study, count)):
        cells = [str(params.get(name, "")) for name in load_spec(study).space.names]
        lines.append(",".join([f"run-{number}", "finished", *cells, repr(loss(params))]))  # type: ignore[arg-type]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_table_is_mapped_by_name_and_the_mapping_is_shown(study: Path, tmp_path: Path) -> None:
    table = write_csv(tmp_path / "wandb.csv", study)
    result = run("import", table, "--study", study)
    assert result.exit_code == 0, result.output
    assert "lr       <- learning_rate   (guessed; --map changes it)" in result.stdout
    assert "layers   <- layers\n" in result.stdout
    assert "Imported as study digits-from-wandb: 20 complete." in result.stdout
    (trials,) = earlier(study)
    assert {t.proposal.source for t in trials} == {Source.IMPORT}
    expected = random_params(study, 20)
    assert [dict(t.params) for t in trials] == expected
    assert trials[3].values["val_loss"] == pytest.approx(loss(expected[3]))  # type: ignore[arg-type]


def test_imported_trials_are_excluded_from_the_studys_statistics(study: Path, tmp_path: Path) -> None:
    imported(study, write_csv(tmp_path / "a.csv", study))
    fill(study, 3)
    document = json.loads(run("status", study, "--json").stdout)
    assert sum(document["trials"].values()) == 3
    with History.open(study / ".tunesmith" / "history.db") as history:
        assert history.study("digits").spent.trials == 3
        (event,) = history.events(history.study("digits-from-a").id)
        assert event.kind == "imported"
        assert event.detail["for"] == "digits"


def test_a_given_mapping_has_priority(study: Path, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("lr,rate,hidden,score,val_loss\n0.5,0.01,64,1.0,9\n0.5,0.02,64,2.0,9\n", encoding="utf-8")
    document = imported(study, table, "--map", "rate=lr", "--map", "score=val_loss")
    assert document["columns"] == {"lr": "rate", "hidden": "hidden", "val_loss": "score"}
    (trials,) = earlier(study)
    assert [(t.params["lr"], t.values["val_loss"]) for t in trials] == [(0.01, 1.0), (0.02, 2.0)]


def test_a_dry_run_writes_nothing(study: Path, tmp_path: Path) -> None:
    before = sorted(p.name for p in study.rglob("*"))
    assert imported(study, write_csv(tmp_path / "a.csv", study), "--dry-run")["written"] is False
    assert sorted(p.name for p in study.rglob("*")) == before


def test_rows_that_do_not_fit_are_counted_by_reason(study: Path, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    rows = [
        "lr,opt,norm,val_loss,state",
        *("0.1,adam,true,1,complete", "5,adam,true,1,complete", "0.1,lion,true,1,complete", "x,adam,true,1,complete"),
        *("0.1,adam,perhaps,1,complete", "0.1,adam,true,,complete", "0.1,adam,true,nan,", "0.1,adam,true,,failed"),
        *("0.1,adam,true,,running", ",adam,true,1,complete"),
    ]
    table.write_text("\n".join(rows), encoding="utf-8")
    document = imported(study, table)
    assert document["imported"] == 3
    assert document["left_out"] == {
        "lr is out of range; expected a number from 1e-05 to 1.0": 1,
        'opt is not one of ["adam", "sgd"]': 1,
        "lr is not a finite number; expected one from 1e-05 to 1.0": 1,
        "norm is not valid here; expected true or false": 1,
        "val_loss has no value": 1,
        "not finished": 1,
        "lr has no value": 1,
    }
    (trials,) = earlier(study)
    assert [t.state for t in trials] == [TrialState.COMPLETE, TrialState.FAILED, TrialState.FAILED]


def optuna_study(storage: str, *, count: int = 15, direction: str = "minimize", names: int = 1) -> None:
    for index in range(names):
        made = optuna.create_study(storage=storage, study_name=f"there-{index}", direction=direction)
        made.optimize(optuna_objective, n_trials=count)


def optuna_objective(trial: optuna.Trial) -> float:
    lr = trial.suggest_float("lr", 1e-5, 1, log=True)
    opt = trial.suggest_categorical("optimizer", ["adam", "sgd"])
    momentum = trial.suggest_float("momentum", 0, 0.9) if opt == "sgd" else 0.0
    if trial.number == 3:
        raise optuna.TrialPruned
    return abs(math.log10(lr) + 2) + 0.1 * momentum


@pytest.mark.parametrize("kind", ["url", "file", "journal"])
def test_an_optuna_storage_is_read(kind: str, study: Path, tmp_path: Path) -> None:
    if kind == "journal":
        source = str(tmp_path / "j.journal")
        backend = optuna.storages.journal.JournalFileBackend(source)
        made = optuna.create_study(storage=optuna.storages.JournalStorage(backend), study_name="there-0")
        made.optimize(optuna_objective, n_trials=15)
    else:
        optuna_study(f"sqlite:///{tmp_path}/o.db")
        source = f"sqlite:///{tmp_path}/o.db" if kind == "url" else str(tmp_path / "o.db")
    document = imported(study, source)
    assert document["imported"] == 15
    assert document["columns"] == {"lr": "lr", "opt": "optimizer", "momentum": "momentum", "val_loss": "value.value"}
    assert document["without_column"] == ["hidden", "layers", "dropout", "batch", "norm"]
    (trials,) = earlier(study)
    assert sum(t.state is TrialState.STOPPED for t in trials) == 1


def test_of_several_studies_one_must_be_named(study: Path, tmp_path: Path) -> None:
    optuna_study(f"sqlite:///{tmp_path}/o.db", names=2, count=3)
    result = run("import", tmp_path / "o.db", "--study", study)
    assert result.exit_code == 2
    assert "has several studies (there-0, there-1); select one with --named NAME" in result.stderr
    assert imported(study, tmp_path / "o.db", "--named", "there-1")["study"] == "digits-from-there-1"


def test_the_opposite_direction_is_refused(study: Path, tmp_path: Path) -> None:
    optuna_study(f"sqlite:///{tmp_path}/o.db", count=3, direction="maximize")
    result = run("import", tmp_path / "o.db", "--study", study)
    assert result.exit_code == 2
    assert "val_loss  is minimized in this study, but value.value is maximized in the source" in result.stderr


def test_another_history_is_read(study: Path, tmp_path: Path) -> None:
    other = write_study(tmp_path / "other", when="")
    fill(other, 12, failures=2)
    document = imported(study, other / ".tunesmith" / "history.db", "--name", "from-there")
    # Where momentum was always active, it is dropped with adam.
    assert document["imported"] == 12
    (trials,) = earlier(study)
    assert all(("momentum" in t.params) == (t.params["opt"] == "sgd") for t in trials)


@pytest.mark.parametrize("target", ["csv", "jsonl", "optuna"])
def test_an_export_can_be_imported_again(target: str, study: Path, tmp_path: Path) -> None:
    fill(study, 12, failures=2)
    out = tmp_path / {"csv": "x.csv", "jsonl": "x.jsonl", "optuna": "x.db"}[target]
    assert run("export", study, "--to", target, "-o", out, "--points", "2").exit_code == 0
    document = imported(study, out, "--name", "back")
    assert (document["imported"], document["left_out"]) == (12, {"not finished": 2})
    with History.open(study / ".tunesmith" / "history.db") as history:
        own, back = (history.trials(history.study(name).id) for name in ("digits", "back"))
    assert [dict(t.params) for t in own] == [dict(t.params) for t in back]
    assert [t.values.get("val_loss") for t in own] == [t.values.get("val_loss") for t in back]
    assert [t.state for t in own] == [t.state for t in back]


def test_a_ray_tune_folder_is_read(study: Path, tmp_path: Path) -> None:
    for number, params in enumerate(random_params(study, 6)):
        folder = tmp_path / "ray" / f"trial_{number}"
        folder.mkdir(parents=True)
        (folder / "params.json").write_text(json.dumps(params))
        lines = [{"training_iteration": i, "val_loss": loss(params) + 1 / i, "config": params} for i in (1, 2)]  # type: ignore[arg-type]
        (folder / "result.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "ray" / "trial_5" / "error.txt").write_text("CUDA out of memory")
    assert imported(study, tmp_path / "ray")["imported"] == 6
    (trials,) = earlier(study)
    assert [t.state for t in trials].count(TrialState.FAILED) == 1
    first = dict(trials[0].params)
    assert trials[0].values["val_loss"] == pytest.approx(loss(first) + 0.5)


@pytest.mark.filterwarnings("default")  # MLflow's own
@pytest.mark.parametrize("store", ["database", "files"])
def test_mlflow_runs_are_read(store: str, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    address = f"sqlite:///{tmp_path}/mlflow.db" if store == "database" else f"file:{tmp_path}/mlruns"
    try:
        client = mlflow.MlflowClient(tracking_uri=address)
        experiment = client.create_experiment("digits")
    except mlflow.exceptions.MlflowException as error:
        pytest.skip(f"mlflow has no such store any more: {error}")
    for params in random_params(study, 5):
        found = client.create_run(experiment).info.run_id
        for name, value in params.items():
            client.log_param(found, name, value)
        client.log_metric(found, "val_loss", loss(params))  # type: ignore[arg-type]
        client.set_terminated(found)
    assert imported(study, tmp_path / ("mlflow.db" if store == "database" else "mlruns"))["imported"] == 5


@pytest.mark.filterwarnings("default")  # TensorBoard's own
def test_tensorboard_logs_are_read(study: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from torch.utils.tensorboard import SummaryWriter

    for number in range(4):
        with SummaryWriter(str(tmp_path / "runs")) as writer:
            writer.add_hparams({"lr": 10.0 ** -(number + 1), "opt": "adam"}, {"val_loss": float(number)})
    assert imported(study, tmp_path / "runs")["imported"] == 4
    (trials,) = earlier(study)
    assert sorted(float(t.params["lr"]) for t in trials) == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1])  # type: ignore[arg-type]


def test_an_import_improves_the_first_proposal(study: Path, tmp_path: Path) -> None:
    from tunesmith.agent.sampler.bayes import BayesSampler
    from tunesmith.study.trials.earlier import EarlierStudy
    from tunesmith.study.trials.view import StudyView

    imported(study, write_csv(tmp_path / "a.csv", study, 60))
    spec = load_spec(study)
    view = StudyView(
        space=spec.space, objectives=spec.objectives, earlier=(EarlierStudy(name="a", trials=earlier(study)[0]),)
    )
    best = min(loss(t.params) for t in earlier(study)[0])
    assert loss(BayesSampler().suggest(view).params) <= best + 0.3
    assert loss(BayesSampler().suggest(StudyView(space=spec.space, objectives=spec.objectives)).params) > best + 0.3


def test_a_run_starts_from_imported_trials(tmp_path: Path) -> None:
    project = make_project(tmp_path / "toy", trials=4, sampler="bayes")
    lines = [f"{x / 50},{y},{(x / 50 - 0.3) ** 2 + abs(y - 4)}" for x in range(50) for y in range(1, 9)]
    (tmp_path / "t.csv").write_text("x,y,loss\n" + "\n".join(lines))
    assert command("import", str(tmp_path / "t.csv"), "--study", str(project), cwd=tmp_path).returncode == 0
    done = command("run", str(project), "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with History.open(project / ".tunesmith" / "history.db") as history:
        own = history.trials(history.study("toy").id)
    assert len(own) == 4
    assert any(t.proposal.rationale.startswith("among the best of") for t in own)
    assert min(abs(float(t.params["x"]) - 0.3) + abs(int(t.params["y"]) - 4) for t in own[1:3]) < 0.1  # type: ignore[arg-type]


def damaged_csv(path: Path) -> None:
    path.write_bytes(b"lr,val_loss\n0.1,\xff\xfe\x00\n")


def ragged_csv(path: Path) -> None:
    path.write_text("lr,val_loss\n0.1,2,3\n")


def foreign_db(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("create table cats (name text)")
    db.close()


def old_optuna(path: Path) -> None:
    optuna_study(f"sqlite:///{path}", count=2)
    with sqlite3.connect(path) as db:
        db.execute("update version_info set schema_version = 3")
        db.execute("update alembic_version set version_num = 'v0.9.0.a'")
    db.close()


def newer_history(path: Path) -> None:
    other = write_study(path.parent / "other")
    fill(other, 3)
    with sqlite3.connect(other / ".tunesmith" / "history.db") as db:
        db.execute("alter table trials rename column params to parameters")
    db.close()
    (other / ".tunesmith" / "history.db").replace(path)


def cut_database(path: Path) -> None:
    optuna_study(f"sqlite:///{path}", count=30)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def other_space(path: Path) -> None:
    path.write_text("lr,val_loss\n100,2\n200,3\n")


def no_columns(path: Path) -> None:
    path.write_text("a,b\n1,2\n")


@pytest.mark.parametrize(
    ("name", "damage", "says"),
    [
        ("a.csv", damaged_csv, "cannot be read as text: it is damaged or a binary file"),
        ("a.csv", ragged_csv, "1 left out: it has more cells than the header"),
        ("a.csv", lambda p: p.write_text(""), "has no header with at least two columns"),
        ("a.csv", lambda p: p.write_text("lr,lr,val_loss\n1,0.1,1\n"), "lr  has several columns"),
        ("a.csv", other_space, "no complete trial fits the study's space"),
        ("a.csv", no_columns, "has no column of a similar name; give one with --map COLUMN=val_loss"),
        ("a.jsonl", lambda p: p.write_text('{"lr": \n{"lr": \n'), "has no JSON object such as {...}; line 1: "),
        ("a.jsonl", lambda p: p.write_text("[1, 2]"), "has no JSON object such as {...}"),
        ("a.jsonl", lambda p: p.write_text("[" * 100_000), "has no JSON object such as {...}"),
        ("a.db", foreign_db, "is a database, but not one of Optuna, MLflow or Tunesmith"),
        ("a.db", old_optuna, "cannot be opened as an Optuna storage"),
        ("a.db", cut_database, "cannot be "),
        ("a.db", newer_history, "cannot be read as a history"),
        ("a.db", lambda p: p.write_text("no database"), "is damaged or of an unknown kind"),
        ("a.journal", lambda p: p.write_text("no journal\n" * 3), "cannot be opened as an Optuna storage"),
        ("folder", lambda p: p.mkdir(), "has no trials"),
        ("a.csv", lambda p: None, "does not exist"),
    ],
)
def test_a_source_that_cannot_be_imported_is_refused_and_nothing_is_written(
    name: str, damage: Callable[[Path], object], says: str, study: Path, tmp_path: Path
) -> None:
    source = tmp_path / "there" / name
    source.parent.mkdir()
    damage(source)
    before = sorted(p.name for p in study.rglob("*"))
    result = run("import", source, "--study", study)
    assert result.exit_code == 2, result.output
    assert says in result.stderr
    assert "Traceback" not in result.output
    assert sorted(p.name for p in study.rglob("*")) == before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--map", "lr"], "is not valid; expected COLUMN=NAME, for example --map learning_rate=lr"),
        (["--map", "nothing=lr"], "'nothing' is not a column"),
        (["--map", "val_loss=hiden"], "'hiden' is neither a parameter nor a metric of the study; did you mean hidden?"),
    ],
)
def test_a_wrong_option_is_refused_with_the_reason(options: list[str], says: str, study: Path, tmp_path: Path) -> None:
    result = run("import", write_csv(tmp_path / "a.csv", study), "--study", study, *options)
    assert result.exit_code == 2
    assert says in result.stderr


def test_the_same_name_twice_is_refused(study: Path, tmp_path: Path) -> None:
    table = write_csv(tmp_path / "a.csv", study)
    imported(study, table)
    result = run("import", table, "--study", study)
    assert result.exit_code == 2
    assert "give the imported study another name with --name" in result.stderr


def test_an_import_that_fails_midway_writes_nothing(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tunesmith.history.bulk as bulk

    fill(study, 3)
    rows = bulk.proposal_row

    def breaks(trial_id: int, proposal: object) -> dict[str, object]:
        if trial_id > 10:
            raise sqlite3.OperationalError("disk I/O error")
        return rows(trial_id, proposal)  # type: ignore[arg-type]

    monkeypatch.setattr(bulk, "proposal_row", breaks)
    result = run("import", write_csv(tmp_path / "a.csv", study), "--study", study)
    assert result.exit_code == 2
    assert "the history cannot be written: disk I/O error; nothing was imported" in result.stderr
    with History.open(study / ".tunesmith" / "history.db") as history:
        assert history.names() == ["digits"]
        assert history.integrity() == "ok"


@pytest.mark.parametrize("count", [5_000, pytest.param(100_000, marks=pytest.mark.nightly)])
def test_long_tables_are_imported_whole(study: Path, tmp_path: Path, count: int) -> None:
    table = tmp_path / "big.csv"
    rng = np.random.default_rng(0)
    rates, sizes = 10 ** rng.uniform(-5, 0, count), rng.integers(8, 512, count)
    lines = [
        f"{lr!r},{size},adam,{float(abs(np.log10(lr) + 2))}"
        for lr, size in zip(rates.tolist(), sizes.tolist(), strict=True)
    ]
    table.write_text("lr,hidden,opt,val_loss\n" + "\n".join(lines), encoding="utf-8")
    assert imported(study, table)["imported"] == count
    (trials,) = earlier(study)
    assert len(trials) == count


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(extra=st.lists(NAMES, max_size=6))
def test_a_column_of_the_same_name_always_has_priority(extra: list[str], study: Path) -> None:
    spec = load_spec(study)
    own = [*spec.space.names, "val_loss"]
    rows = [ImportedRow({name: 1 for name in [*extra, *own]})]
    mapping = map_columns(ImportedTable("x", "x", rows).columns, spec, {})
    assert {**mapping.parameters, **mapping.metrics} == {name: name for name in own}


def test_seconds_of_another_program_are_a_measured_resource() -> None:
    spec = make_spec(study={"metric": ["loss", "run/seconds", "run/usd"]}, run={"usd_per_hour": 36})
    cells = {"lr": 0.1, "hidden": 64, "optimizer": "adam", "loss": 0.5}
    rows = [
        ImportedRow(cells, seconds=100.0),
        ImportedRow(cells),
        ImportedRow({**cells, "run/seconds": 7}, seconds=9.0),
    ]
    table = ImportedTable("x", "x", rows)
    found = fit(table, map_columns(table.columns, spec, {}), spec)
    assert [t.values["run/seconds"] for t in found.trials] == [100.0, 7.0]
    assert found.trials[0].values["run/usd"] == pytest.approx(1.0)
    assert list(found.skipped) == ["run/seconds has no value"]
