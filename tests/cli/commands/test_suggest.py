"""`tunesmith suggest`: where each point comes from, and the same points for another optimizer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fakes.filled_study import as_json, fill, write_study
from typer.testing import CliRunner, Result

from tunesmith.cli.main import app

SCRIPT = """\
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=1e-3)
parser.add_argument("--hidden", type=int, default=64)
options = parser.parse_args()
print(f"val_loss={options.lr}")
"""


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a study that has not run, in whose history two small ones did."""
    folder = write_study(tmp_path / "digits")
    text = (folder / "study.toml").read_text(encoding="utf-8")
    for seed, width in enumerate((64, 128)):
        named = text.replace('name = "digits"', f'name = "w{width}"')
        (folder / "study.toml").write_text(f"{named}\n[scale]\nwidth = {width}\n", encoding="utf-8")
        fill(folder, 15, seed=seed)
    (folder / "study.toml").write_text(text, encoding="utf-8")
    return folder


def test_points_of_other_studies_say_where_they_come_from(folder: Path) -> None:
    points = json.loads(run("suggest", folder, "--n", "6", "--json").stdout)
    assert len(points) == 6
    assert points[0]["source"] == "default"
    earlier = [p["why"] for p in points if p["source"] == "earlier"]
    assert earlier
    assert all(
        why.startswith(("from w64, where it had val_loss", "from w128, where it had val_loss")) for why in earlier
    )
    assert "sampler" in {p["source"] for p in points}


def test_at_another_scale_the_expected_optimum_is_shown_with_its_range(folder: Path) -> None:
    with (folder / "study.toml").open("a", encoding="utf-8") as file:
        file.write('\n[scale]\nwidth = 1024\n[warm_start]\nfrom = ["w64", "w128"]\n')
    shown = run("suggest", folder, "--n", "3").stdout
    assert "2. scale: where w64 and w128 lead to expect the optimum at width 1024" in shown
    assert "At width 1024 the optimum is expected, with 80% probability, at" in shown
    document = as_json(run("suggest", folder, "--n", "3", "--json").stdout)
    optimum = document["optimum"]
    assert isinstance(optimum, dict)
    low, high = optimum["with_80_percent"]["lr"]
    assert low <= high
    points = document["points"]
    assert isinstance(points, list)
    assert points[1]["params"] == optimum["params"]


def test_points_are_written_for_another_optimizer(folder: Path, tmp_path: Path) -> None:
    done = run("suggest", folder, "--n", "4", "--to", "jsonl", "-o", tmp_path / "p.jsonl")
    assert done.exit_code == 0, done.output
    assert "4 points to try first" in done.stdout
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["state"] for line in lines] == ["waiting"] * 4
    assert lines[0]["params"]["lr"] == 1e-3


def test_optuna_begins_with_them(folder: Path, tmp_path: Path) -> None:
    import optuna

    assert run("suggest", folder, "--n", "3", "--to", "optuna", "-o", tmp_path / "o.journal").exit_code == 0
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "o.journal"))
    study = optuna.load_study(study_name="digits", storage=optuna.storages.JournalStorage(backend))
    assert [t.state.name for t in study.trials] == ["WAITING"] * 3
    assert study.ask().suggest_float("lr", 1e-5, 1.0, log=True) == 1e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--to", "mlflow"], "mlflow cannot take points to try first"),
        (["--to", "optunna"], "did you mean optuna?"),
        (["--n", "0"], "expected 1 or more"),
        (["-o", "x.py"], "names the file that --to writes"),
        (["--script", "train.py"], "replaces the study file"),
    ],
)
def test_what_cannot_be_done_is_refused(folder: Path, options: list[str], message: str) -> None:
    before = sorted(folder.rglob("*"))
    done = run("suggest", folder, *options)
    assert done.exit_code == 2
    assert message in done.stderr
    assert sorted(folder.rglob("*")) == before


def test_a_script_needs_no_study_file(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT, encoding="utf-8")
    points = json.loads(run("suggest", "--script", tmp_path / "train.py", "--n", "4", "--json").stdout)
    assert len(points) == 4
    assert points[0]["params"] == {"lr": 1e-3, "hidden": 64}
    assert [path.name for path in tmp_path.iterdir()] == ["train.py"]
    missing = run("suggest", "--script", tmp_path / "none.py")
    assert missing.exit_code == 2
    assert "none.py" in missing.stderr
