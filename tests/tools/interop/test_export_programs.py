"""Programs of `tunesmith export`, run with the real optimizers: they have the results and continue in the space."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fakes.filled_study import fill, loss, write_study
from typer.testing import CliRunner

from tunesmith.cli.main import app
from tunesmith.study.config.load import load_spec
from tunesmith.study.space.condition import Value

RESULTS, FAILED, POINTS = 9, 1, 2


def exported(folder: Path, target: str, *options: str) -> Path:
    out = folder / f"program_{target.replace('-', '_')}.py"
    result = CliRunner().invoke(app, ["export", str(folder), "--to", target, "-o", str(out), *options])
    assert result.exit_code == 0, result.output
    return out


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = write_study(tmp_path / "digits", python=sys.executable)
    fill(folder, RESULTS + FAILED, failures=FAILED)
    return folder


def _nevergrad(program: Any) -> tuple[int, object]:
    found = program.optimizer(50)
    return found.num_tell, program.active(found.ask().value)["lr"]


def _smac(program: Any) -> tuple[int, object]:
    found = program.optimizer(5)
    assert sorted(int(v.status) for v in found.runhistory.values())[-FAILED:] == [2] * FAILED
    return len(found.runhistory) - FAILED, program.plain(found.ask().config)["lr"]


def _ax(program: Any) -> tuple[int, object]:
    trials = program.client()._experiment.trials.values()
    assert sum(t.status.is_failed for t in trials) == FAILED
    return sum(t.status.is_completed for t in trials), program.POINTS[0]["lr"]


def _hyperopt(program: Any) -> tuple[int, object]:
    trials = program.history()
    return sum(t["state"] == 2 for t in trials.trials), trials.trials[RESULTS]["misc"]["vals"]["lr"][0]


def _ray(program: Any) -> tuple[int, object]:
    found = program.searcher()
    return sum(t.state.is_finished() for t in found._ot_study.trials), found.suggest("one")["lr"]


def _flaml(program: Any) -> tuple[int, object]:
    return len(program.RESULTS), program.POINTS[0]["lr"]


def _syne_tune(program: Any) -> tuple[int, object]:
    found = program.scheduler()
    return len(found.searcher.trial_configs), found.suggest().config["lr"]


def _botorch(program: Any) -> tuple[int, object]:
    inputs, _ = program.data(program.RESULTS)
    return len(inputs), program.POINTS[0]["lr"]


KNOWN: Mapping[str, tuple[str, Callable[[Any], tuple[int, object]]]] = {
    "nevergrad": ("nevergrad", _nevergrad),
    "smac": ("smac", _smac),
    "ax": ("ax", _ax),
    "hyperopt": ("hyperopt", _hyperopt),
    "ray": ("ray.tune", _ray),
    "flaml": ("flaml", _flaml),
    "syne-tune": ("syne_tune.optimizer.baselines", _syne_tune),
    "botorch": ("botorch", _botorch),
}
NOISY = pytest.mark.filterwarnings("default")  # their own deprecations are theirs


def require(target: str) -> None:
    package = KNOWN[target][0]
    pytest.importorskip(package, reason=f"{package} is not installed", exc_type=ImportError)


@NOISY
@pytest.mark.parametrize("target", KNOWN)
def test_the_optimizer_has_the_results_and_runs_the_points_first(target: str, study: Path) -> None:
    require(target)
    program = loaded(exported(study, target, "--points", str(POINTS)))
    results, first = KNOWN[target][1](program)
    assert results == RESULTS
    assert first == pytest.approx(program.POINTS[0]["lr"])


@NOISY
@pytest.mark.parametrize("target", KNOWN)
def test_the_optimizer_continues_within_the_space(target: str, study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require(target)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    program = loaded(exported(study, target, "--points", str(POINTS)))
    space = load_spec(study).space
    ran: list[Mapping[str, Value]] = []

    def train(config: Mapping[str, Value]) -> float:
        ran.append(config)
        return loss(config)

    done = program.main(4, program.train if target == "ray" else train)
    configurations = [config for config, _ in done]
    assert len(done) == 4
    assert all(not space.check(space.clip(config)) for config in configurations)
    for config in configurations:
        assert space.active(config) == tuple(n for n in space.names if n in config)
        assert {n: space.parameters[n].invalid_reason(_near(space, n, v)) for n, v in config.items()} == dict.fromkeys(
            config
        )
    points = [round(float(p["lr"]), 9) for p in program.POINTS]
    assert [round(float(c["lr"]), 9) for c in configurations][: len(points)] == points
    before = [_rounded(config) for config, _ in program.RESULTS]
    again = [config for config in configurations if _rounded(config) in before]
    assert target == "nevergrad" or not again  # Nevergrad asks for its best point again, as it does with its own


def _rounded(config: Mapping[str, Value]) -> dict[str, Value]:
    return {n: round(v, 9) if isinstance(v, float) else v for n, v in config.items()}


def _near(space: Any, name: str, value: Any) -> Any:
    """Return the value on our grid when it is that but for rounding in the last digits; else the value itself."""
    clipped = space.parameters[name].clip(value)
    same = isinstance(value, float) and not isinstance(clipped, bool) and value == pytest.approx(clipped, rel=1e-9)
    return clipped if same else value


@NOISY
def test_wandb_logs_a_run_per_result(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    program = loaded(exported(study, "wandb"))
    program.RESULTS = program.RESULTS[:2]
    assert len(set(program.log_results())) == 2
    assert len(list((tmp_path / "wandb").glob("offline-run-*"))) == 2
    space = load_spec(study).space
    assert set(program.SWEEP["parameters"]) == set(space.names)
    assert program.SWEEP["parameters"]["lr"] == {"distribution": "log_uniform_values", "min": 1e-5, "max": 1.0}


@NOISY
def test_mlflow_has_a_run_per_trial(study: Path, tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    out = tmp_path / "m.db"
    result = CliRunner().invoke(app, ["export", str(study), "--to", "mlflow", "-o", str(out)])
    assert result.exit_code == 0, result.output
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{out}")
    runs = client.search_runs([client.get_experiment_by_name("digits").experiment_id])
    trials = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    assert len(trials) == RESULTS + FAILED
    assert sum(run.info.status == "FAILED" for run in trials) == FAILED
    assert all("val_loss" in run.data.metrics for run in trials if run.info.status == "FINISHED")


def test_the_program_runs_the_studys_command(study: Path) -> None:
    pytest.importorskip("nevergrad", reason="nevergrad is not installed")
    import subprocess

    done = subprocess.run(
        [sys.executable, exported(study, "nevergrad"), "3"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("best val_loss ")


@pytest.mark.parametrize(("aggregate", "value"), [("mean", 3.5), ("worst", 9.0), ("p95", 9.0)])
def test_the_program_of_a_study_on_instances_runs_them_all(tmp_path: Path, aggregate: str, value: float) -> None:
    pytest.importorskip("nevergrad", reason="nevergrad is not installed")
    tables = f'[instances]\nvalues = [1, 2, 2.5, 3, 9]\naggregate = "{aggregate}"\n'
    folder = write_study(tmp_path / "new", tables=tables)
    file = folder / "study.toml"
    file.write_text(file.read_text().replace("train.py ", "train.py --fold {instance} "))
    program: Any = loaded(exported(folder, "nevergrad"))
    asked: list[float] = []

    def run(config: object, instance: Mapping[str, float]) -> float:
        asked.append(instance["instance"])
        return instance["instance"]

    program.run = run
    assert program.train({}) == pytest.approx(value)
    assert sorted(asked) == [1, 2, 2.5, 3, 9]


def test_a_study_without_trials_exports_points_only(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "new")
    text = exported(folder, "nevergrad", "--points", "3").read_text()
    assert text.count("'lr':") >= 3
    assert "'lr': 0.001" in text.partition("POINTS")[2].splitlines()[1]


@pytest.mark.parametrize("target", ["ray", "flaml", "hyperopt", "ax"])
def test_a_grid_that_does_not_consist_of_multiples_is_refused_with_the_reason(target: str, tmp_path: Path) -> None:
    folder = write_study(tmp_path / "steps", tables='odd = { type = "float", low = 0.05, high = 1.05, step = 0.1 }')
    fill(folder, 4)
    out = tmp_path / "x.py"
    result = CliRunner().invoke(app, ["export", str(folder), "--to", target, "-o", str(out)])
    assert result.exit_code == 2
    assert "space.odd  steps by 0.1 from 0.05" in result.stderr
    assert not out.exists()


def test_several_metrics_are_refused_by_name(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "two")
    path = folder / "study.toml"
    path.write_text(path.read_text().replace('metric = "val_loss"', 'metric = ["val_loss", "ms"]'))
    fill(folder, 4)
    result = CliRunner().invoke(app, ["export", str(folder), "--to", "smac", "-o", str(tmp_path / "x.py")])
    assert result.exit_code == 2
    assert "has several metrics (val_loss, ms), but smac takes one" in result.stderr


@NOISY
@pytest.mark.parametrize(
    "when",
    [
        "layers > 2",
        "layers <= 2",
        "layers != 3",
        "lr >= 0.01 and opt != 'adam'",
        "norm or batch in [16, 32]",
        "dropout > 0.15",
    ],
)
def test_smac_keeps_the_conditions(when: str, tmp_path: Path) -> None:
    pytest.importorskip("smac", reason="smac is not installed")
    folder = write_study(tmp_path / "digits", when=f', when = "{when}"')
    fill(folder, 6)
    program = loaded(exported(folder, "smac"))
    space = load_spec(folder).space
    drawn = [program.plain(c) for c in program.space(3).sample_configuration(40)]
    assert 0 < sum("momentum" in c for c in drawn) < 40
    assert all(("momentum" in c) == ("momentum" in space.active({**c, "momentum": 0.5})) for c in drawn)
