"""Damaged, deleted and unusual sources: good trials are imported, the others counted by reason, never a traceback."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from fakes.filled_study import write_study
from typer.testing import CliRunner

from tunesmith.cli.main import app
from tunesmith.study.config.load import load_spec
from tunesmith.tools.interop.importing.fit import fit
from tunesmith.tools.interop.importing.mapping import map_columns
from tunesmith.tools.interop.importing.source import read_source


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return write_study(tmp_path / "digits")


def imported(study: Path, source: Path, named: str | None = None) -> tuple[list[float], Mapping[str, int]]:
    """Return the learning rates that an import would add, and the rows that it would leave out."""
    spec = load_spec(study)
    table = read_source(str(source), named)
    trials = fit(table, map_columns(table.columns, spec, {}), spec)
    return [float(t.params["lr"]) for t in trials.trials], trials.skipped  # type: ignore[arg-type]


def refused(study: Path, source: Path, *options: str) -> str:
    result = CliRunner().invoke(app, ["import", str(source), "--study", str(study), "--dry-run", *options])
    assert result.exit_code == 2, result.output
    return result.stderr


ROWS = [0.1, 0.01]
PLAIN = "lr,val_loss\n0.1,1\n0.01,2\n"


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode(),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("\n", "\r").encode(),
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        PLAIN.encode("utf-16-le"),
        b"\n\n  \n" + PLAIN.encode(),
        PLAIN.replace(",", ";").encode(),
        PLAIN.replace(",", "\t").encode(),
        b"sep=;\r\n" + PLAIN.replace(",", ";").encode(),
        b"\xef\xbb\xbfsep=|\n" + PLAIN.replace(",", "|").encode(),
        b"lr;val_loss\n0,1;1,5\n1,0e-2;2\n",
        b'"lr","val_loss","note"\n"0.1","1","two\nlines"\n"0.01","2","a ""quote"""\n',
        b"lr,val_loss,lr\n0.1,1,0.1\n0.01,2,0.01\n",
        b"lr,val_loss,name\n0.1,1,caf\xe9\n0.01,2,x\n",
        b" lr , val_loss ,,\n0.1,1,,\n0.01,2,,\n",
        PLAIN.replace("val_loss\n", "val_loss,blob\n").replace("1\n", "1," + "x" * 2_000_000 + "\n", 1).encode(),
        ("lr,val_loss," + ",".join(f"c{i}" for i in range(3000)) + "\n0.1,1\n0.01,2\n").encode(),
    ],
)
def test_a_csv_file_is_read_whatever_its_form(content: bytes, study: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    assert imported(study, tmp_path / "a.csv") == (ROWS, {})


@pytest.mark.parametrize(
    ("name", "content", "left_out"),
    [
        ("a.csv", PLAIN + "1,2,3\n", {"it has more cells than the header": 1}),
        ("a.csv", 'lr,note,val_loss\n0.1,x,1\n0.5,"open,1\n0.01,y,2\n', {"its quotes are not closed": 1}),
        ("a.csv", PLAIN + "0.0", {"lr is out of range; expected a number from 1e-05 to 1.0": 1}),
        (
            "a.jsonl",
            '{"lr": 0.1, "val_loss": 1}\n{"lr": 0.\n{"lr": 0.01, "val_loss": 2}\n',
            {"it is not valid JSON": 1},
        ),
        ("a.jsonl", '{"lr": 0.1, "val_loss": 1}\n[1]\n{"lr": 0.01, "val_loss": 2}\n', {"it is not a JSON object": 1}),
        ("a.json", '[{"lr": 0.1, "val_loss": 1}, {"lr": 0.01, "val_loss": 2}, {"lr"', {"it is not valid JSON": 1}),
        ("a.json", '{"trials": [{"lr": 0.1, "val_loss": 1}, {"lr": 0.01, "val_loss": 2}]}', {}),
        ("a.jsonl", '{"lr": 0.1, "val_loss": 1, "s": "x\u2028y"}\n{"lr": 0.01, "val_loss": 2}', {}),
    ],
)
def test_a_damaged_row_is_counted_and_the_others_are_imported(
    name: str, content: str, left_out: dict[str, int], study: Path, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert imported(study, tmp_path / name) == (ROWS, left_out)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("lr,val_loss\n", "has a header, but no rows"),
        ("\n\n", "has no header with at least two columns"),
        (
            "lr,lr,val_loss\n0.1,0.2,1\n",
            "lr  has several columns with different cells; select one, for example --map 'lr [1]=lr'",
        ),
    ],
)
def test_a_table_without_trials_is_refused_with_the_reason(
    content: str, says: str, study: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text(content)
    assert says in refused(study, tmp_path / "a.csv")


def test_a_study_of_a_table_is_selected_by_its_column(study: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Sweep,lr,val_loss\nold,0.5,1\nnew,0.1,1\nnew,0.01,2\n")
    assert imported(study, tmp_path / "a.csv", "new") == (ROWS, {})
    assert "has no study 'nwe'; did you mean new?" in refused(study, tmp_path / "a.csv", "--named", "nwe")
    (tmp_path / "b.csv").write_text(PLAIN)
    assert "is one table without a column of studies" in refused(study, tmp_path / "b.csv", "--named", "new")


def ray_trial(folder: Path, lr: float, result: str | bytes | None) -> None:
    folder.mkdir(parents=True)
    (folder / "params.json").write_text(json.dumps({"lr": lr}))
    if result is not None:
        (folder / "result.json").write_bytes(result if isinstance(result, bytes) else result.encode())


def test_ray_trials_that_are_cut_open_or_damaged_are_counted(study: Path, tmp_path: Path) -> None:
    whole = '{"val_loss": 1.0, "time_total_s": 2.0}\n'
    for number, result in enumerate([whole, whole + '{"val_', whole + "\n", None, "", "\n", '{"val', b"\xff\0\xfe"]):
        ray_trial(tmp_path / "ray" / "deep" / f"t{number}", 0.1 + number / 100, result)
    ray_trial(tmp_path / "ray" / "t8", 0.5, whole)
    (tmp_path / "ray" / "t8" / "params.json").write_text("{")
    rates, left_out = imported(study, tmp_path / "ray")
    assert rates == pytest.approx([0.1, 0.11, 0.12])
    assert left_out == {
        "not finished": 3,
        "its result.json is damaged": 1,
        "its files cannot be read": 1,
        "its params.json is missing or damaged": 1,
    }


def test_of_several_ray_experiments_one_is_named(study: Path, tmp_path: Path) -> None:
    for name, lr in (("old", 0.5), ("new", 0.1)):
        ray_trial(tmp_path / "ray" / name / "abc_1", lr, '{"val_loss": 1.0}\n')
        ray_trial(tmp_path / "ray" / name / "abc_2", 0.2, '{"val_loss": 1.0}\n')
        state = {"trial_data": [[json.dumps({"trial_id": "abc_2", "status": "RUNNING"}), "{}"]]}
        (tmp_path / "ray" / name / "experiment_state-2026.json").write_text(json.dumps(state))
    assert "has several studies (new, old); select one with --named NAME" in refused(study, tmp_path / "ray")
    assert imported(study, tmp_path / "ray", "new") == ([0.1], {"not finished": 1})


def mlflow_run(
    folder: Path, lr: str, *, meta: str = "lifecycle_stage: active\nstatus: 3\n", loss: str = "1 0.5 0\n"
) -> None:
    for part in ("params/optim", "metrics/val"):
        (folder / part).mkdir(parents=True)
    (folder / "meta.yaml").write_text(meta)
    (folder / "params/optim/lr").write_text(lr)
    (folder / "metrics/val/loss").write_text(loss)


def test_mlflow_runs_that_are_deleted_open_or_damaged_are_counted(study: Path, tmp_path: Path) -> None:
    store = tmp_path / "mlruns"
    mlflow_run(store / "1" / "a", "0.1")
    mlflow_run(store / "1" / "b", "0.01", loss="1 9 0\n3 0.4 2\n2 8 1\n4 0.")
    mlflow_run(store / "1" / "c", "0.5", meta="lifecycle_stage: deleted\nstatus: 3\n")
    mlflow_run(store / "1" / "d", "0.5", meta="lifecycle_stage: active\nstatus: 1\n")
    mlflow_run(store / "1" / "e", "0.5")
    (store / "1" / "e" / "params/optim/lr").write_bytes(b"\xff\0")
    (store / "1" / "meta.yaml").write_text("name: digits\n")
    rates, left_out = imported(study, store)
    assert rates == [0.1, 0.01]
    assert left_out == {"it was deleted": 1, "not finished": 1, "its files are damaged": 1}
    mlflow_run(store / "2" / "a", "0.3")
    assert "has several studies (digits, 2); select one with --named NAME" in refused(study, store)
    assert imported(study, store, "2") == ([0.3], {})


@pytest.mark.parametrize("damage", ["cut", "create", "param", "other", "first"])
def test_a_journal_with_a_damaged_line_keeps_its_other_trials(damage: str, study: Path, tmp_path: Path) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = tmp_path / "o.journal"
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    made = optuna.create_study(storage=storage)
    rates = [0.1, 0.2, 0.3, 0.4]
    for rate in rates:
        made.enqueue_trial({"lr": rate})
    made.optimize(lambda trial: trial.suggest_float("lr", 1e-5, 1), n_trials=4)
    lines = path.read_bytes().splitlines(keepends=True)
    creations = [index for index, line in enumerate(lines) if b'"op_code":4,' in line]
    params = [index for index, line in enumerate(lines) if b'"op_code":5,' in line]
    match damage:
        case "cut":
            lines[-1] = lines[-1][:20]
        case "create":
            lines[creations[1]] = b"\0\0\0\n"
        case "param":
            lines[params[1]] = lines[params[1]][:30] + b"\n"
        case "other":
            lines.insert(params[2], b"garbage\n")
        case "first":
            lines.insert(0, b"\xff\xfe\n")
    path.write_bytes(b"".join(lines))
    found, left_out = imported(study, path)
    assert left_out["a line of the journal is damaged"] == 1
    lost = {"cut": rates[3], "param": rates[1]}.get(damage)
    assert found == [rate for rate in rates if rate != lost]


@pytest.mark.filterwarnings("default")  # TensorBoard's own
def test_a_broken_event_file_is_counted(study: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from torch.utils.tensorboard import SummaryWriter

    for number in range(2):
        with SummaryWriter(str(tmp_path / "runs")) as writer:
            writer.add_hparams({"lr": 10.0 ** -(number + 1)}, {"val_loss": float(number)}, run_name=f"run{number}")
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "events.out.tfevents.1.host").write_bytes(b"\x18\0\0\0\0\0\0\0nothing of the kind")
    rates, left_out = imported(study, tmp_path / "runs")
    assert sorted(rates) == pytest.approx([0.01, 0.1])
    assert sum(left_out.values()) == 1
