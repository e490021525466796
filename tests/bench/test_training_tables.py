"""Tables of real training runs: a default, failures, noise, conditions; made by the script that ships."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunesmith.bench.experiments.training_tasks.measure import next_run
from tunesmith.bench.experiments.training_tasks.pipeline import FAMILY
from tunesmith.bench.planners import planner_makers
from tunesmith.bench.runner import run_once
from tunesmith.bench.runs import RunKey
from tunesmith.bench.table import breadth_first_children, read_table
from tunesmith.bench.task import Task
from tunesmith.study.trials.trial import Failure

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "bench" / "experiments" / "training_tasks"
TABLES = sorted((ROOT / "bench" / "tables").glob("train_*.json"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 120 invented runs of `pipeline`, which needs no training: those of k-nearest neighbours failed."""
    folder = tmp_path_factory.mktemp("made")
    runs: list[dict[str, Any]] = []
    for _ in range(120):
        params, seed, kind = next_run(FAMILY, runs)
        failure = "oom" if params["algorithm"] == "knn" else ""
        value = None if failure else 1.0 + (params["algorithm"] == "svm") + 0.01 * (seed % 5)
        runs.append({"params": params, "seed": seed, "kind": kind, "value": value, "failure": failure, "seconds": 2.0})
    (folder / "pipeline.jsonl").write_text("".join(json.dumps(run) + "\n" for run in runs))
    done = subprocess.run(
        [sys.executable, str(FOLDER / "fit_tables.py"), "--family", "pipeline", "--runs", str(folder), "--out", folder],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "src", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(done.stdout.strip())


def test_a_made_table_has_the_default_the_failures_and_the_noise_of_its_runs(made: Path) -> None:
    task = read_table(made)
    assert task.space.default is not None
    assert task.space.default["algorithm"] == "logistic"
    assert not isinstance(task.evaluate(task.space.default, 0), Failure)
    failed = {**task.space.default, "algorithm": "knn", "knn_neighbors": 5, "knn_weights": "uniform", "knn_p": 2.0}
    found = task.evaluate(task.space.parse(failed), 0)
    assert isinstance(found, Failure)
    assert found.kind.value == "oom"
    assert 0.001 < task.noise < 0.1


def test_the_error_of_a_made_table_is_in_it(made: Path) -> None:
    figures = json.loads(made.read_text())["surrogate"]["cv"]
    assert figures["r2"] > 0.5
    assert figures["failure_log_loss"] < figures["failure_log_loss_of_share"]


@pytest.mark.parametrize("planner", ["bayes", "random", "optuna-tpe", "cma-es"])
def test_every_planner_starts_with_the_default_and_sees_values_with_noise(made: Path, planner: str) -> None:
    if planner == "cma-es":
        pytest.importorskip("cmaes")
    task = read_table(made)
    asked: list[object] = []
    reported: list[float] = []

    class Watched:
        def __init__(self) -> None:
            self._planner = planner_makers()[planner](task, 3)

        def ask(self) -> object:
            asked.append(self._planner.ask())
            return asked[-1]

        def tell(self, value: float) -> None:
            reported.append(value)
            self._planner.tell(value)

        def fail(self, failure: Failure) -> None:
            self._planner.fail(failure)

    run = run_once(task, Watched(), RunKey(task.name, planner, 3, 6))  # type: ignore[arg-type]  # its parts suffice
    assert asked[0] == task.space.default
    means = [value for value in run.values if value is not None]
    assert all(mean != seen for mean, seen in zip(means, reported, strict=True))


def test_children_follow_from_the_order_of_nodes() -> None:
    arrays = np.load(ROOT / "bench" / "tables" / "skl_rf_digits.npz")
    derived = breadth_first_children(arrays["feat"], arrays["root"])
    inner = arrays["feat"] >= 0
    assert inner.any()
    assert (derived[inner] == arrays["child"][inner]).all()


def test_noise_is_the_same_for_the_same_configuration_and_seed(made: Path) -> None:
    task = read_table(made)
    assert task.measured(1.0, {"a": 1, "b": 2}, 0) == task.measured(1.0, {"b": 2, "a": 1}, 0)
    assert len({task.measured(1.0, {"a": 1}, seed) for seed in range(5)}) == 5


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_a_bundled_table_of_training_runs_is_small_and_its_default_is_neither_best_nor_bad(path: Path) -> None:
    task: Task = read_table(path)
    assert path.with_suffix(".npz").stat().st_size < 300_000
    assert task.space.default is not None
    value = task.evaluate(task.space.default, 0)
    assert not isinstance(value, Failure)
    assert 0.01 < task.regret(value) < 1.0
