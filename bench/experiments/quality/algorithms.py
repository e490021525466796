"""Which of nine scikit-learn models: our sampler, the same without arms, and MaxUCB over one sampler an arm.

    python bench/experiments/quality/algorithms.py [--seeds 8] [--trials 45] [--data iris ...] [--jobs 2] [--out FILE]

Every model starts at scikit-learn's defaults. A trial's value is the share of errors on held-out rows. MaxUCB (Balef et
al. 2025, "Put CASH on Bandits") gives each trial to the model with the highest bound, and a sampler that knows only
the parameters of this model proposes it.
"""

from __future__ import annotations

import argparse
import json
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import datasets
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import AdaBoostClassifier, ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.agent.sampler.settings import SamplerSettings
from tunesmith.agent.tuner import Tuner
from tunesmith.bench.runner import one_thread
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import Choice, Float, Int, Parameter

MARKS = (15, 30, 45)
SPLITS = 2
EXPLORATION = 0.5
"""The weight of MaxUCB's bonus in its paper."""

Params = Mapping[str, Value]


def _log(low: float, high: float, default: float) -> Float:
    return Float(low, high, log=True, default=default)


MODELS: Mapping[str, tuple[Callable[..., Any], Mapping[str, Parameter]]] = {
    "logistic": (LogisticRegression, {"C": _log(1e-4, 1e4, 1.0)}),
    "lda": (LinearDiscriminantAnalysis, {"tol": _log(1e-6, 1e-1, 1e-4)}),
    "knn": (
        KNeighborsClassifier,
        {
            "n_neighbors": Int(1, 50, log=True, default=5),
            "weights": Choice(["uniform", "distance"], default="uniform"),
            "p": Float(1.0, 4.0, default=2.0),
        },
    ),
    "svm": (
        SVC,
        {
            "C": _log(1e-3, 1e3, 1.0),
            "gamma": _log(1e-4, 10.0, 0.1),
            "kernel": Choice(["rbf", "poly", "sigmoid"], default="rbf"),
        },
    ),
    "tree": (
        DecisionTreeClassifier,
        {"max_depth": Int(1, 20, default=20), "min_samples_leaf": Int(1, 50, log=True, default=1)},
    ),
    "forest": (
        RandomForestClassifier,
        {"max_features": Float(0.05, 1.0, default=0.3), "min_samples_leaf": Int(1, 30, log=True, default=1)},
    ),
    "extra": (
        ExtraTreesClassifier,
        {"max_features": Float(0.05, 1.0, default=0.3), "min_samples_leaf": Int(1, 30, log=True, default=1)},
    ),
    "ada": (
        AdaBoostClassifier,
        {"n_estimators": Int(5, 40, log=True, default=20), "learning_rate": _log(1e-2, 3.0, 1.0)},
    ),
    "mlp": (
        MLPClassifier,
        {
            "learning_rate_init": _log(1e-4, 1e-1, 1e-3),
            "hidden_layer_sizes": Int(4, 64, log=True, default=32),
            "alpha": _log(1e-6, 1.0, 1e-4),
        },
    ),
}
FIXED: Mapping[str, Mapping[str, Any]] = {
    "forest": {"n_estimators": 20, "random_state": 0},
    "extra": {"n_estimators": 20, "random_state": 0},
    "ada": {"random_state": 0},
    "tree": {"random_state": 0},
    "mlp": {"max_iter": 40, "random_state": 0},
    "logistic": {"max_iter": 200},
}


def _made(kind: str, **options: Any) -> Callable[[], Any]:
    return lambda: getattr(datasets, kind)(random_state=7, **options)


def _loaded(kind: str, rows: int) -> Callable[[], Any]:
    def load() -> Any:
        x, y = getattr(datasets, kind)(return_X_y=True)
        kept = np.random.default_rng(7).permutation(len(x))[:rows]
        return x[kept], y[kept]

    return load


DATA: Mapping[str, Callable[[], Any]] = {
    "iris": _loaded("load_iris", 150),
    "wine": _loaded("load_wine", 178),
    "cancer": _loaded("load_breast_cancer", 400),
    "digits": _loaded("load_digits", 500),
    "moons": _made("make_moons", n_samples=400, noise=0.3),
    "linear": _made("make_classification", n_samples=400, n_features=20, n_informative=5, flip_y=0.05),
    "clusters": _made(
        "make_classification", n_samples=400, n_features=12, n_informative=6, n_clusters_per_class=3, n_redundant=2
    ),
    "shells": _made("make_gaussian_quantiles", n_samples=400, n_features=6, n_classes=3),
}


@dataclass(frozen=True, slots=True)
class Job:
    """One run of a method on a data set."""

    method: str
    data: str
    seed: int
    trials: int


@cache
def _splits(data: str, seed: int) -> list[Any]:
    x, y = DATA[data]()
    return [train_test_split(x, y, test_size=0.5, random_state=10 * seed + i, stratify=y) for i in range(SPLITS)]


def error_rate(data: str, seed: int, name: str, params: Params) -> float:
    """Return the mean share of errors of a model on the held-out half of each split; 1 where it cannot be fitted."""
    make, _ = MODELS[name]
    given: dict[str, Any] = {**FIXED.get(name, {}), **params}
    wrong = []
    for x, held, y, truth in _splits(data, seed):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = make_pipeline(StandardScaler(), make(**given)).fit(x, y)
            wrong.append(float(np.mean(model.predict(held) != truth)))
    return float(np.mean(wrong))


def joint_space() -> dict[str, Parameter]:
    """Return the space of all models: parameters are named MODEL_PARAMETER and active under their model."""
    space: dict[str, Parameter] = {"model": Choice(list(MODELS), arms=True, default="logistic")}
    for name, (_, own) in MODELS.items():
        space.update({f"{name}_{key}": replace(p, when=f"model == {name!r}") for key, p in own.items()})
    return space


def best_so_far(job: Job) -> list[float]:
    """Return the lowest error after each trial."""
    values = _by_arm(job) if job.method == "maxucb" else _jointly(job)
    return [min(values[: index + 1]) for index in range(len(values))]


def _jointly(job: Job) -> list[float]:
    sampler = BayesSampler(SamplerSettings(arms=job.method == "arms"))
    tuner, found = Tuner(joint_space(), metric="error", direction="minimize", planner=sampler, seed=job.seed), []
    for _ in range(job.trials):
        trial = tuner.ask()
        name = str(trial.params["model"])
        own = {key.removeprefix(f"{name}_"): value for key, value in trial.params.items() if key != "model"}
        found.append(error_rate(job.data, job.seed, name, own))
        tuner.tell(trial, found[-1])
    return found


def _by_arm(job: Job) -> list[float]:
    tuners = {
        name: Tuner(dict(own), metric="error", direction="minimize", planner="bayes", seed=job.seed)
        for name, (_, own) in MODELS.items()
    }
    rewards: dict[str, list[float]] = {name: [] for name in MODELS}
    found = []
    for number in range(job.trials):
        name = max(MODELS, key=lambda arm: _upper_bound(rewards[arm], number))
        trial = tuners[name].ask()
        error = error_rate(job.data, job.seed, name, trial.params)
        tuners[name].tell(trial, error)
        rewards[name].append(1.0 - error)
        found.append(error)
    return found


def _upper_bound(rewards: Sequence[float], number: int) -> float:
    return max(rewards) + (EXPLORATION * math.log(number) / len(rewards)) ** 2 if rewards else math.inf


def main() -> None:
    """Run what the file lacks, and print the mean error of each method at the marks."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seeds", type=int, default=8)
    options.add_argument("--trials", type=int, default=max(MARKS))
    options.add_argument("--data", nargs="*", default=list(DATA))
    options.add_argument("--method", nargs="*", default=["arms", "joint", "maxucb"])
    options.add_argument("--jobs", type=int, default=1)
    options.add_argument("--out", type=Path, default=Path("algorithms.jsonl"))
    given = options.parse_args()
    done = {Job(**run["job"]): run["best"] for run in _stored(given.out)}
    jobs = [
        Job(method, data, seed, given.trials)
        for seed in range(given.seeds)
        for data in given.data
        for method in given.method
    ]
    missing = [job for job in jobs if job not in done]
    with one_thread(), ProcessPoolExecutor(given.jobs) as pool, given.out.open("a", encoding="utf-8") as file:
        for job, best in zip(missing, pool.map(best_so_far, missing), strict=True):
            done[job] = best
            file.write(json.dumps({"job": {name: getattr(job, name) for name in job.__slots__}, "best": best}) + "\n")
            file.flush()
    _print({job: done[job] for job in jobs}, given.method, given.data)


def _stored(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def _print(runs: Mapping[Job, Sequence[float]], methods: Sequence[str], data: Sequence[str]) -> None:
    marks = [mark for mark in MARKS if all(mark <= len(best) for best in runs.values())]
    print("data set".ljust(12), *(f"{method:>8} at {mark}" for method in methods for mark in marks))
    for name in [*data, "mean"]:
        cells = []
        for method in methods:
            own = [best for job, best in runs.items() if job.method == method and name in (job.data, "mean")]
            cells += [f"{np.mean([best[mark - 1] for best in own]):>14.4f}" for mark in marks]
        print(name.ljust(12), *cells)


if __name__ == "__main__":
    main()
