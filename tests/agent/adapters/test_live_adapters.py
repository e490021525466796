"""Tunesmith in other frameworks: Ray Tune, scikit-learn, Transformers, Lightning; each with the real package."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import SkipTest

import numpy as np
import pytest
from fakes.projects import environment

import tunesmith as ts
from tunesmith.study.errors import SpecError

NOISY = pytest.mark.filterwarnings("default")  # the frameworks raise warnings of their own
SPACE: dict[str, Any] = {
    "lr": ts.Float(1e-5, 1, log=True, default=1e-4),
    "opt": ts.Choice(["adam", "sgd"]),
    "momentum": ts.Float(0, 0.99, when="opt == 'sgd'"),
}


def loss(config: dict[str, Any]) -> float:
    return abs(math.log10(config["lr"]) + 2) + (0.1 if config["opt"] == "sgd" else 0.0)


# Ray Tune


def searched(search: Any, count: int, *, start: int = 0) -> list[dict[str, Any]]:
    asked = []
    for number in range(start, start + count):
        config = search.suggest(f"t{number}")
        asked.append(config)
        search.on_trial_complete(f"t{number}", {"loss": loss(config), "time_total_s": 1.0})
    return asked


@NOISY
def test_ray_starts_at_the_default_of_a_tunesmith_space() -> None:
    pytest.importorskip("ray.tune", reason="ray[tune] is not installed")
    asked = searched(ts.ray.TunesmithSearch(SPACE, metric="loss", mode="min", seed=0), 15)
    assert asked[0]["lr"] == 1e-4
    assert all(("momentum" in config) == (config["opt"] == "sgd") for config in asked)
    assert min(map(loss, asked)) < 0.15 < loss(asked[0])


@NOISY
def test_a_restored_ray_search_continues_like_an_uninterrupted_one(tmp_path: Path) -> None:
    pytest.importorskip("ray.tune", reason="ray[tune] is not installed")
    whole = searched(ts.ray.TunesmithSearch(SPACE, metric="loss", mode="min", seed=3), 9)
    first = ts.ray.TunesmithSearch(SPACE, metric="loss", mode="min", seed=3)
    searched(first, 6)
    first.save(str(tmp_path / "s.pkl"))
    second = ts.ray.TunesmithSearch(SPACE, metric="loss", mode="min")
    second.restore(str(tmp_path / "s.pkl"))
    assert searched(second, 3, start=6) == whole[6:]


@NOISY
def test_a_ray_search_uses_points_failures_and_added_results() -> None:
    pytest.importorskip("ray.tune", reason="ray[tune] is not installed")
    point = {"lr": 0.5, "opt": "sgd", "momentum": 0.5}
    search = ts.ray.TunesmithSearch(SPACE, metric="loss", mode="min", points=[point], seed=0)
    for lr in (0.02, 0.01, 0.011, 0.2, 1e-4):
        config = {"lr": lr, "opt": "adam"}
        search.add_evaluated_point(config, loss(config))
    assert search.suggest("a") == point
    search.on_trial_complete("a", None, error=True)
    asked = searched(search, 5)
    assert min(map(loss, asked)) < 0.1
    with pytest.raises(SpecError, match=r"points\.0\.lr"):
        ts.ray.TunesmithSearch(SPACE, metric="loss", mode="min", points=[{**point, "lr": 5.0}])


@NOISY
def test_a_ray_tuner_runs_a_ray_space_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tune = pytest.importorskip("ray.tune", reason="ray[tune] is not installed")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    def train(config: dict[str, Any]) -> None:
        assert config["fixed"] == 7
        tune.report({"score": -abs(config["x"] - 0.3) - abs(config["n"] - 5)})

    param_space = {"x": tune.uniform(0, 1), "n": tune.randint(1, 9), "fixed": 7}
    setting = tune.TuneConfig(
        search_alg=ts.ray.TunesmithSearch(seed=0), metric="score", mode="max", num_samples=6, max_concurrent_trials=1
    )
    try:
        run = tune.RunConfig(storage_path=str(tmp_path), verbose=0)
        results = tune.Tuner(train, param_space=param_space, tune_config=setting, run_config=run).fit()
    finally:
        ray.shutdown()
    assert len(results) == 6
    assert all(1 <= r.config["n"] <= 8 for r in results)
    assert not results.errors


@NOISY
@pytest.mark.parametrize("kind", ["loguniform", "quniform", "lograndint", "qrandint", "choice"])
def test_a_ray_domain_becomes_the_same_kind_of_parameter(kind: str) -> None:
    tune = pytest.importorskip("ray.tune", reason="ray[tune] is not installed")
    made = {
        "loguniform": (tune.loguniform(1e-4, 1), ts.Float(1e-4, 1, log=True)),
        "quniform": (tune.quniform(0, 1, 0.25), ts.Float(0, 1, step=0.25)),
        "lograndint": (tune.lograndint(1, 100), ts.Int(1, 99, log=True)),
        "qrandint": (tune.qrandint(0, 10, 2), ts.Int(0, 10, step=2)),
        "choice": (tune.choice(["a", "b"]), ts.Choice(["a", "b"])),
    }
    domain, parameter = made[kind]
    search = ts.ray.TunesmithSearch(metric="loss", mode="min", seed=0)
    assert search.set_search_properties("loss", "min", {"p": domain, "fixed": 1})
    assert dict(search._space.parameters) == {"p": parameter}
    assert parameter.invalid_reason(search.suggest("a")["p"]) is None


@NOISY
def test_a_domain_without_bounds_is_named_in_the_error() -> None:
    tune = pytest.importorskip("ray.tune", reason="ray[tune] is not installed")
    search = ts.ray.TunesmithSearch(metric="loss", mode="min")
    with pytest.raises(SpecError, match=r"param_space has 1 mistake:\n  p  "):
        search.set_search_properties("loss", "min", {"p": tune.randn(0, 1)})


# scikit-learn


@NOISY
def test_a_cross_validated_search_finds_good_parameters() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    from sklearn.base import clone
    from sklearn.datasets import load_iris
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    data, target = load_iris(return_X_y=True)
    space = {
        "svc__C": ts.Float(1e-4, 1e4, log=True, default=1e-4),
        "svc__kernel": ts.Choice(["rbf", "linear"]),
        "svc__gamma": ts.Float(1e-6, 1e2, log=True, when="svc__kernel == 'rbf'"),
    }
    pipeline = make_pipeline(StandardScaler(), SVC())
    search = ts.sklearn.TunesmithSearchCV(pipeline, space, n_iter=12, batch=2, cv=3, random_state=0)
    fitted = clone(search).fit(data, target)
    assert len(fitted.cv_results_["params"]) == 12
    assert fitted.cv_results_["params"][0]["svc__C"] == 1e-4
    assert fitted.best_score_ > 0.95
    assert fitted.score(data, target) > 0.95
    again = search.fit(data, target)
    assert again.cv_results_["params"] == fitted.cv_results_["params"]


@pytest.mark.nightly
@NOISY
def test_the_estimator_checks_of_scikit_learn_pass() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    from sklearn.linear_model import LogisticRegression
    from sklearn.utils.estimator_checks import estimator_checks_generator

    search = ts.sklearn.TunesmithSearchCV(
        LogisticRegression(), {"C": ts.Float(1e-2, 1e2, log=True)}, n_iter=1, cv=2, error_score="raise", random_state=0
    )
    failed = []
    for estimator, check in estimator_checks_generator(search):
        try:
            check(estimator)
        except SkipTest:
            continue
        except Exception as error:  # noqa: BLE001  # a check may fail with anything
            failed.append(f"{check}: {error}"[:300])
    assert failed == []


@NOISY
def test_the_search_survives_failing_fits_and_reports_wrong_options() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    from sklearn.datasets import load_iris
    from sklearn.svm import SVC

    data, target = load_iris(return_X_y=True)
    space = {"C": ts.Float(-1.0, 10.0)}  # SVC refuses C <= 0
    search = ts.sklearn.TunesmithSearchCV(SVC(), space, n_iter=10, cv=2, random_state=0).fit(data, target)
    scores = search.cv_results_["mean_test_score"]
    assert search.best_params_["C"] > 0
    assert np.isfinite(scores).any()
    with pytest.raises(SpecError, match="n_iter  is 0; give a whole number of at least 1"):
        ts.sklearn.TunesmithSearchCV(SVC(), space, n_iter=0).fit(data, target)


# Transformers and Lightning


@pytest.fixture
def reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "report.jsonl"
    path.touch()
    monkeypatch.setenv("TUNESMITH_REPORT", str(path))
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def small_trainer(folder: Path, *callbacks: Any, steps: int = 6) -> Any:
    import torch
    from transformers import PretrainedConfig, PreTrainedModel, Trainer, TrainingArguments

    class Line(PreTrainedModel):
        config_class = PretrainedConfig

        def __init__(self, config: PretrainedConfig) -> None:
            super().__init__(config)
            self.layer = torch.nn.Linear(2, 1)
            self.post_init()

        def forward(self, x: Any, labels: Any) -> dict[str, Any]:
            return {"loss": ((self.layer(x)[:, 0] - labels) ** 2).mean()}

    rows = [{"x": torch.tensor([i / 8, 1.0]), "labels": torch.tensor(i / 4)} for i in range(8)]
    arguments = TrainingArguments(
        output_dir=str(folder), max_steps=steps, eval_steps=2, eval_strategy="steps", logging_steps=2, report_to=[],
        save_strategy="no", use_cpu=True, disable_tqdm=True, per_device_train_batch_size=2,
    )  # fmt: skip
    return Trainer(
        Line(PretrainedConfig()), arguments, train_dataset=rows, eval_dataset=rows, callbacks=list(callbacks)
    )


@NOISY
def test_metrics_that_a_transformers_trainer_logs_are_reported(tmp_path: Path, reported: Path) -> None:
    pytest.importorskip("transformers", reason="transformers is not installed")
    pytest.importorskip("accelerate", reason="accelerate is not installed")
    before = signal.getsignal(signal.SIGTERM)
    try:
        small_trainer(tmp_path, ts.hf.TunesmithCallback(["eval_loss", "loss"])).train()
    finally:
        signal.signal(signal.SIGTERM, before)
    found = lines(reported)
    evaluated = [(line["step"], line["values"]["eval_loss"]) for line in found if "eval_loss" in line["values"]]
    assert [step for step, _ in evaluated] == [2, 4, 6]
    assert all(math.isfinite(value) for _, value in evaluated)
    assert {name for line in found for name in line["values"]} == {"eval_loss", "loss"}


@NOISY
def test_a_trainer_stops_after_its_step_on_sigterm(tmp_path: Path, reported: Path) -> None:
    pytest.importorskip("transformers", reason="transformers is not installed")
    pytest.importorskip("accelerate", reason="accelerate is not installed")
    from transformers import TrainerCallback

    class Ends(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 2:
                os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    try:
        trainer = small_trainer(tmp_path, ts.hf.TunesmithCallback(), Ends(), steps=50)
        trainer.train()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert trainer.state.global_step == 3
    assert reported.exists()


@NOISY
def test_validation_metrics_of_lightning_are_reported(tmp_path: Path, reported: Path) -> None:
    pytest.importorskip("lightning", reason="lightning is not installed")
    import lightning
    import torch

    class Line(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def training_step(self, batch: Any, index: int) -> Any:
            return (self.layer(batch[0]) ** 2).mean()

        def validation_step(self, batch: Any, index: int) -> None:
            self.log("val_loss", (self.layer(batch[0]) ** 2).mean())
            self.log("other", 1.0)

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.01)

    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(4, 1)), batch_size=2)
    trainer = lightning.Trainer(
        max_epochs=3, callbacks=[ts.lightning.TunesmithCallback(["val_loss"])], accelerator="cpu", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(Line(), data, data)
    found = lines(reported)
    assert [line["step"] for line in found] == [1, 2, 3]
    assert all(set(line["values"]) == {"val_loss"} for line in found)


@pytest.mark.parametrize(
    ("module", "package"),
    [("ray", "ray"), ("sklearn", "sklearn"), ("hf", "transformers"), ("lightning", "lightning")],
)
def test_a_missing_package_is_named_with_the_extra_to_install(module: str, package: str) -> None:
    script = f"import sys; sys.modules[{package!r}] = None; import tunesmith as ts; ts.{module}"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment(), check=False
    )
    assert f"tunesmith.{module} needs {package}" in done.stderr
    assert f"tunesmith[{module}]" in done.stderr
