"""Tunesmith's sampler in Optuna: Optuna's tests for samplers, resuming, pruners, the dashboard."""

from __future__ import annotations

import importlib.util
import itertools
import json
import math
import os
import pickle
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.testing.pytest_samplers import BasicSamplerTestCase, MultiObjectiveSamplerTestCase, RelativeSamplerTestCase

import tunesmith as ts
from tunesmith.study.errors import SpecError

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


class _TunesmithSampler:
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: ts.optuna.TunesmithSampler(seed=0)


class TestBasic(_TunesmithSampler, BasicSamplerTestCase):
    pass


class TestRelative(_TunesmithSampler, RelativeSamplerTestCase):
    pass


class TestMultiObjective(_TunesmithSampler, MultiObjectiveSamplerTestCase):
    pass


def bowl(trial: optuna.Trial) -> float:
    return sum((trial.suggest_float(f"x{i}", 0.0, 1.0) - 0.3 * (i + 1)) ** 2 for i in range(3))


def best_of(sampler: BaseSampler, objective: Callable[[optuna.Trial], float] = bowl, trials: int = 20) -> float:
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=trials)
    return float(study.best_value)


def test_it_is_much_better_than_random_search() -> None:
    own = [best_of(ts.optuna.TunesmithSampler(seed=seed)) for seed in range(3)]
    random = [best_of(RandomSampler(seed=seed)) for seed in range(3)]
    assert statistics.mean(own) < 0.2 * statistics.mean(random)


@pytest.mark.parametrize("objective_name", ["bowl", "branches"])
def test_a_study_that_is_loaded_again_continues_like_an_uninterrupted_one(tmp_path: Path, objective_name: str) -> None:
    def run(name: str, *parts: int) -> list[dict[str, float]]:
        for trials in parts:
            study = optuna.create_study(
                study_name=name,
                storage=f"sqlite:///{tmp_path}/{name}.db",
                sampler=ts.optuna.TunesmithSampler(seed=3),
                load_if_exists=True,
            )
            study.optimize(globals()[objective_name], n_trials=trials)
        return [t.params for t in study.trials]

    assert run("whole", 13) == run("cut", 6, 1, 6)


def test_equal_seeds_repeat_a_study_and_reseeding_changes_it() -> None:
    first = [best_of(ts.optuna.TunesmithSampler(seed=seed), trials=7) for seed in (1, 1, 2)]
    assert first[0] == first[1] != first[2]
    sampler = ts.optuna.TunesmithSampler(seed=1)
    sampler.reseed_rng()
    assert best_of(sampler, trials=7) != first[0]


SPACE = {
    "optimizer": ts.Choice(["adam", "sgd"], default="adam"),
    "lr": ts.Float(1e-5, 1.0, log=True, default=1e-4),
    "momentum": ts.Float(0.0, 0.99, when="optimizer == 'sgd'", default=0.5),
    "layers": ts.Int(1, 8, default=2),
    "norm": ts.Bool(default=False),
}


def conditional(trial: optuna.Trial) -> float:
    sgd = trial.suggest_categorical("optimizer", ["adam", "sgd"]) == "sgd"
    lr = trial.suggest_float("lr", 1e-5, 1.0, log=True)
    loss = abs(lr - 0.1) + abs(trial.suggest_int("layers", 1, 8) - 5) / 8
    loss += 0.2 * (not trial.suggest_categorical("norm", [False, True]))
    return loss + (abs(trial.suggest_float("momentum", 0.0, 0.99) - 0.9) if sgd else 1.0)


def test_a_tunesmith_space_has_its_default_and_conditions() -> None:
    study = optuna.create_study(sampler=ts.optuna.TunesmithSampler(SPACE, seed=0))
    study.optimize(conditional, n_trials=25)
    assert study.trials[0].params == {"optimizer": "adam", "lr": 1e-4, "layers": 2, "norm": False}
    assert study.best_value < 0.2
    assert study.best_params["optimizer"] == "sgd"


def test_it_learns_from_failed_pruned_and_enqueued_trials() -> None:
    study = optuna.create_study(sampler=ts.optuna.TunesmithSampler(seed=0), pruner=optuna.pruners.MedianPruner())

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0.0, 1.0)
        y = trial.suggest_float("y", 0.0, 1.0)
        if x > 0.5:
            raise MemoryError("too large")
        for step in range(3):
            trial.report((y - 0.2) ** 2 + 1 / (step + 1), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return (y - 0.2) ** 2 + (0.5 - x) ** 2

    study.enqueue_trial({"x": 0.1, "y": 0.9})
    study.optimize(objective, n_trials=40, catch=(MemoryError,))
    states = [t.state for t in study.trials]
    assert study.trials[0].params == {"x": 0.1, "y": 0.9}
    assert states.count(optuna.trial.TrialState.PRUNED) >= 1
    assert states[20:].count(optuna.trial.TrialState.FAIL) <= 5
    assert study.best_value < 0.01


def test_constraints_are_respected() -> None:
    def objective(trial: optuna.Trial) -> float:
        x, y = trial.suggest_float("x", 0.0, 1.0), trial.suggest_float("y", 0.0, 1.0)
        trial.set_constraint("sum", x + y - 1.0)
        return -x - 0.5 * y

    study = optuna.create_study(sampler=ts.optuna.TunesmithSampler(seed=0))
    study.optimize(objective, n_trials=25)
    kept = [t for t in study.trials[10:] if t.constraints["sum"] <= 0.0]
    assert len(kept) >= 8  # the best lies on the border
    assert study.best_value < -0.85


def test_names_and_categories_that_only_optuna_allows_work() -> None:
    def objective(trial: optuna.Trial) -> float:
        lr = trial.suggest_float("optim.lr", 1e-5, 1.0, log=True)
        again = trial.suggest_float("model.lr", 1e-5, 1.0, log=True)
        kind = trial.suggest_categorical("kind", [None, 1, "1", True])
        return lr + again + (kind is None)

    study = optuna.create_study(sampler=ts.optuna.TunesmithSampler(seed=0))
    study.optimize(objective, n_trials=8)
    assert {t.state for t in study.trials} == {optuna.trial.TrialState.COMPLETE}


def test_threads_get_different_points_and_the_default_runs_once() -> None:
    def slow(trial: optuna.Trial) -> float:
        x, y = trial.suggest_float("x", 0.0, 1.0), trial.suggest_float("y", 0.0, 1.0)
        time.sleep(0.03)
        return x + y

    for space in (None, {"x": ts.Float(0.0, 1.0, default=0.5), "y": ts.Float(0.0, 1.0)}):
        study = optuna.create_study(sampler=ts.optuna.TunesmithSampler(space, seed=0))
        study.optimize(slow, n_trials=12, n_jobs=4)
        points = [(t.params["x"], t.params["y"]) for t in study.trials]
        assert len(set(points)) == 12
        assert space is None or points.count((0.5, 0.5)) == 1


def test_a_worker_sees_the_suggestion_of_another_before_its_script_asks_for_it(tmp_path: Path) -> None:
    space = {"x": ts.Float(0.0, 1.0, default=0.5), "y": ts.Float(0.0, 1.0)}
    storage = f"sqlite:///{tmp_path}/shared.db"
    optuna.create_study(study_name="shared", storage=storage)
    workers = [
        optuna.load_study(study_name="shared", storage=storage, sampler=ts.optuna.TunesmithSampler(space, seed=0))
        for _ in range(3)
    ]
    trials = [worker.ask() for worker in workers]
    for trial in trials:
        trial.suggest_float("beyond", 0.0, 1.0)
    # The first points about a default change few coordinates, so two of them may share an x.
    points = [(trial.suggest_float("x", 0.0, 1.0), trial.suggest_float("y", 0.0, 1.0)) for trial in trials]
    assert points[0][0] == 0.5
    assert len(set(points)) == 3


def branches(trial: optuna.Trial) -> float:
    kind = trial.suggest_categorical("kind", ["near", "far"])
    wanted = enumerate((0.2, 0.9, 0.4))
    loss = sum((trial.suggest_float(f"{kind}.x{i}", 0.0, 1.0) - middle) ** 2 for i, middle in wanted)
    return loss + 0.1 * (kind == "far")


def test_parameters_of_a_branch_are_sampled_together() -> None:
    own = [best_of(ts.optuna.TunesmithSampler(seed=seed), branches, 30) for seed in range(3)]
    random = [best_of(RandomSampler(seed=seed), branches, 30) for seed in range(3)]
    assert statistics.mean(own) < 0.5 * statistics.mean(random)


def test_parameters_with_the_same_range_get_different_values() -> None:
    study = optuna.create_study(sampler=ts.optuna.TunesmithSampler(seed=0))
    study.optimize(branches, n_trials=8)
    later = [list(t.params.values())[1:] for t in study.trials[1:]]
    assert all(len(set(values)) > 1 for values in later)


def test_a_parameter_that_the_script_never_asks_for_does_no_harm() -> None:
    space = {"x": ts.Float(0.0, 1.0, default=0.9), "unused": ts.Float(0.0, 1.0)}
    study = optuna.create_study(sampler=ts.optuna.TunesmithSampler(space, seed=0))
    study.optimize(lambda trial: (trial.suggest_float("x", 0.0, 1.0) - 0.3) ** 2, n_trials=14)
    assert study.best_value < 0.001


def test_none_can_be_a_category_of_a_tunesmith_space() -> None:
    space = {"kind": ts.Choice([None, "a"]), "x": ts.Float(0.0, 1.0)}

    def objective(trial: optuna.Trial) -> float:
        loss = trial.suggest_float("x", 0.0, 1.0)
        return loss - (trial.suggest_categorical("kind", [None, "a"]) is None)

    study = optuna.create_study(sampler=ts.optuna.TunesmithSampler(space, seed=0))
    study.optimize(objective, n_trials=15)
    assert study.best_params["kind"] is None
    assert study.best_value < -0.95


def test_ranges_that_only_optuna_allows_are_drawn_uniformly() -> None:
    def objective(trial: optuna.Trial) -> float:
        trial.suggest_int("wide", 0, 2**62)
        trial.suggest_float("narrow", 1.0, 1.0 + 2e-16)
        trial.suggest_float("tiny", 0.0, 5e-324)
        return trial.suggest_float("x", 0.0, 1.0)

    study = optuna.create_study(sampler=ts.optuna.TunesmithSampler(seed=0))
    study.optimize(objective, n_trials=14)
    assert len({t.params["wide"] for t in study.trials}) == 14
    assert study.best_value < 0.05


def test_it_learns_from_added_trials_that_fit_the_space() -> None:
    wanted = {f"x{i}": FloatDistribution(0.0, 1.0) for i in range(2)}
    other = {name: FloatDistribution(0.0, 9.0) for name in wanted}
    space = {name: ts.Float(0.0, 1.0, default=0.0) for name in wanted}
    study = optuna.create_study(sampler=ts.optuna.TunesmithSampler(space, seed=0), direction="maximize")
    for x0, x1 in itertools.product((0.1, 0.35, 0.6, 0.9), repeat=2):
        value = -((x0 - 0.6) ** 2) - (x1 - 0.3) ** 2
        study.add_trial(optuna.create_trial(params={"x0": x0, "x1": x1}, distributions=wanted, value=value))
    study.add_trial(optuna.create_trial(params={"x0": 5.0, "x1": 5.0}, distributions=other, value=100.0))
    trials = [study.ask() for _ in range(2)]
    given = [[trial.suggest_float(name, 0.0, 1.0) for name in wanted] for trial in trials]
    assert any(math.dist(point, (0.6, 0.3)) < 0.1 for point in given)


def test_two_objectives_give_a_wide_front() -> None:
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        x, y = trial.suggest_float("x", 0.0, 1.0), trial.suggest_float("y", 0.0, 1.0)
        return (x - 0.2) ** 2 + y, -((x - 0.8) ** 2) - y

    study = optuna.create_study(directions=["minimize", "maximize"], sampler=ts.optuna.TunesmithSampler(seed=0))
    study.optimize(objective, n_trials=25)
    front = [t.params["x"] for t in study.best_trials if t.params["y"] < 0.05]
    assert len(front) >= 6
    assert min(front) < 0.4
    assert max(front) > 0.6


def test_a_range_that_differs_from_the_space_is_named() -> None:
    study = optuna.create_study(sampler=ts.optuna.TunesmithSampler({"x": ts.Float(0.0, 1.0)}, seed=0))
    trial = study.ask()
    with pytest.warns(UserWarning, match=r"x: the space given to TunesmithSampler says .*low=0.0.* asks for .*low=2.0"):
        assert 2.0 <= trial.suggest_float("x", 2.0, 3.0) <= 3.0


@pytest.mark.parametrize("space", [{"lr": 0.1}, {"lr": FloatDistribution(0.0, 1.0)}, [("lr", 0.1)], {}])
def test_a_value_that_is_not_a_space_is_refused_with_what_to_write(space: Any) -> None:
    with pytest.raises(SpecError, match=r"write ts\.Float|ts\.Float\(1e-5|expected at least one parameter"):
        ts.optuna.TunesmithSampler(space)


def test_a_sampler_can_be_pickled() -> None:
    sampler = pickle.loads(pickle.dumps(ts.optuna.TunesmithSampler(SPACE, seed=4)))
    assert best_of(sampler, conditional, 6) == best_of(ts.optuna.TunesmithSampler(SPACE, seed=4), conditional, 6)


def test_optuna_is_imported_on_first_use_only() -> None:
    code = (
        "import sys, tunesmith as ts; assert not {'optuna', 'numpy'} & set(sys.modules); "
        "print(ts.optuna.TunesmithSampler.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=_with_path())
    assert (done.stdout.strip(), done.stderr) == ("TunesmithSampler", "")


def _with_path() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def test_a_finite_space_repeats_configurations_when_all_were_tried() -> None:
    study = optuna.create_study(sampler=ts.optuna.TunesmithSampler(seed=0))
    study.optimize(lambda trial: float(trial.suggest_int("x", 1, 3)), n_trials=8)
    assert len(study.trials) == 8


@pytest.mark.skipif(importlib.util.find_spec("optuna_dashboard") is None, reason="optuna-dashboard is not installed")
def test_the_dashboard_shows_a_study(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/o.db"
    study = optuna.create_study(study_name="ours", storage=storage, sampler=ts.optuna.TunesmithSampler(seed=0))
    study.optimize(bowl, n_trials=6)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = "import sys; from optuna_dashboard._cli import main; sys.exit(main())"
    dashboard = subprocess.Popen(
        [sys.executable, "-c", code, storage, "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert "ours" in _fetched(f"http://127.0.0.1:{port}/api/studies", seconds=40)
    finally:
        dashboard.terminate()
        dashboard.wait(10)


def _fetched(url: str, *, seconds: float) -> str:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return json.dumps(json.load(answer))
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
