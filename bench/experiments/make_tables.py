"""Makes tables for `tunesmith bench` by training scikit-learn models on its bundled data sets.

    python bench/experiments/make_tables.py --family forest --dataset digits --configurations 400 --out DIR

Every configuration of a Sobol sequence is trained on three splits. A random forest over the logs of their mean losses
predicts the loss of all other configurations. Writes NAME.json and NAME.npz in the format of docs/benchmark.md.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from scipy.stats import qmc
from sklearn import datasets
from sklearn.ensemble import ExtraTreesRegressor, RandomForestClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_predict, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

from tunesmith.bench.table import entry_features, space_of
from tunesmith.study.space.space import SearchSpace

SPLITS = 3
WORST = 10.0
"""Loss of a model that could not be trained; larger losses are clipped to it."""

Entry = dict[str, Any]
Params = Mapping[str, Any]


def _number(name: str, low: float, high: float, *, log: bool = True, kind: str = "float", **more: Any) -> Entry:
    return {"name": name, "type": kind, "low": low, "high": high, "log": log, **more}


def _choice(name: str, *choices: str) -> Entry:
    return {"name": name, "type": "categorical", "choices": list(choices)}


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of model: its parameters, its constructor from a configuration and a seed, and its name for users."""

    entries: Sequence[Entry]
    make: Callable[[Params, int], Any]
    title: str


def _forest(params: Params, seed: int) -> Any:
    return RandomForestClassifier(**params, random_state=seed)


def _svm(params: Params, seed: int) -> Any:
    rest = {name: value for name, value in params.items() if name not in ("scaler", "class_weight")}
    weight = None if params["class_weight"] == "none" else "balanced"
    model = SVC(**rest, class_weight=weight, max_iter=20_000, random_state=seed)
    scaler = {"standard": StandardScaler, "minmax": MinMaxScaler, "none": None}[params["scaler"]]
    return make_pipeline(scaler(), model) if scaler else model


def _network(params: Params, seed: int) -> Any:
    rest = {name: value for name, value in params.items() if name not in ("n_layers", "hidden_units")}
    layers = (params["hidden_units"],) * params["n_layers"]
    return make_pipeline(StandardScaler(), MLPClassifier(layers, **rest, max_iter=20, random_state=seed))


FAMILIES = {
    "forest": Family(
        [
            _number("n_estimators", 4, 200, kind="int"),
            _number("max_depth", 1, 20, log=False, kind="int"),
            _number("min_samples_leaf", 1, 60, kind="int"),
            _number("max_features", 0.03, 1.0),
            _number("max_samples", 0.05, 1.0, log=False),
            _number("ccp_alpha", 1e-5, 0.1),
            _choice("criterion", "gini", "entropy"),
        ],
        _forest,
        "a random forest",
    ),
    "svm": Family(
        [
            _choice("scaler", "standard", "minmax", "none"),
            _choice("kernel", "rbf", "poly", "sigmoid", "linear"),
            _number("C", 1e-3, 1e4),
            _number("gamma", 1e-6, 10.0, condition={"kernel": ["rbf", "poly", "sigmoid"]}),
            _number("degree", 2, 5, log=False, kind="int", condition={"kernel": ["poly"]}),
            _number("coef0", -1.0, 2.0, log=False, condition={"kernel": ["poly", "sigmoid"]}),
            _choice("class_weight", "none", "balanced"),
        ],
        _svm,
        "a support vector machine",
    ),
    "mlp": Family(
        [
            _choice("solver", "adam", "sgd"),
            _number("learning_rate_init", 1e-4, 0.5),
            _number("batch_size", 16, 256, kind="int"),
            _number("n_layers", 1, 3, log=False, kind="int"),
            _number("hidden_units", 4, 128, kind="int"),
            _choice("activation", "relu", "tanh", "logistic"),
            _number("alpha", 1e-6, 3.0),
            _number("momentum", 0.0, 0.99, log=False, condition={"solver": ["sgd"]}),
        ],
        _network,
        "a multilayer perceptron (20 epochs)",
    ),
}
DATASETS = {
    "digits": datasets.load_digits,
    "breast_cancer": datasets.load_breast_cancer,
    "wine": datasets.load_wine,
    "iris": datasets.load_iris,
}


def measure(family: Family, load: Callable[..., Any], params: Params) -> float:
    """Return the mean validation loss over the splits: log loss, or the error rate where there are no probabilities."""
    x, y = load(return_X_y=True)
    losses = []
    for seed in range(SPLITS):
        x_train, x_valid, y_train, y_valid = train_test_split(x, y, test_size=0.25, random_state=seed, stratify=y)
        try:
            model = family.make(params, seed).fit(x_train, y_train)
        except ValueError:
            losses.append(WORST)
            continue
        if hasattr(model, "predict_proba"):
            loss = log_loss(y_valid, np.clip(model.predict_proba(x_valid), 1e-6, 1.0), labels=np.unique(y))
        else:
            loss = float((model.predict(x_valid) != y_valid).mean())
        losses.append(min(float(np.nan_to_num(loss, nan=WORST)), WORST))
    return float(np.mean(losses))


def make_table(family_name: str, dataset: str, count: int, out: Path) -> Path:
    """Measure `count` configurations and write the table; return the path of its JSON file."""
    family = FAMILIES[family_name]
    space = space_of(family.entries)
    points = qmc.Sobol(len(space), seed=7).random(count)
    configurations = [space.from_unit(point.tolist()) for point in points]
    losses = np.array([measure(family, DATASETS[dataset], params) for params in configurations])
    rows = _rows(family.entries, configurations)
    logs = np.log(np.maximum(losses, 1e-6))
    forest = ExtraTreesRegressor(60, random_state=0)
    agreement = _rank_agreement(cross_val_predict(forest, rows, logs, cv=5), logs)
    forest.fit(rows, logs)
    name = f"skl_{family_name}_{dataset}"
    np.savez_compressed(out / f"{name}.npz", **flattened(forest))
    meta = {
        "name": name,
        "kind": "forest",
        "space": list(family.entries),
        "metric": {"name": "valid_loss", "direction": "minimize"},
        "fidelity": None,
        "description": f"scikit-learn: {family.title} on the {dataset} data. Minimize the loss on held-out quarters.",
        "source": f"bench/experiments/make_tables.py, scikit-learn {sklearn.__version__}, numpy {np.__version__}",
        "data_file": f"{name}.npz",
        "n_points": count,
        "surrogate": {"model": "ExtraTreesRegressor trees=60", "target": "log", "cv": {"spearman": agreement}},
        "stats": _statistics(space, family.entries, forest),
    }
    path = out / f"{name}.json"
    path.write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")
    return path


def _rows(entries: Sequence[Entry], configurations: Sequence[Params]) -> np.ndarray:
    return np.array([[x for e in entries for x in entry_features(e, c)] for c in configurations], dtype=np.float32)


def _rank_agreement(a: np.ndarray, b: np.ndarray) -> float:
    first, second = (np.argsort(np.argsort(v)).astype(float) for v in (a, b))
    return round(float(np.corrcoef(first, second)[0, 1]), 4)


def flattened(forest: ExtraTreesRegressor) -> dict[str, Any]:
    """Return all trees as one set of arrays, breadth first, so that a right child follows its left one."""
    feature: list[int] = []
    threshold: list[float] = []
    child: list[int] = []
    value: list[float] = []
    root: list[int] = []
    for estimator in forest.estimators_:
        tree = estimator.tree_
        root.append(len(feature))
        order = [0]
        for node in order:
            leaf = tree.children_left[node] < 0
            feature.append(-1 if leaf else tree.feature[node])
            threshold.append(tree.threshold[node])
            value.append(tree.value[node, 0, 0])
            child.append(-1 if leaf else root[-1] + len(order))
            if not leaf:
                order += [tree.children_left[node], tree.children_right[node]]
    types = {"feat": np.int8, "thr": np.float32, "child": np.int32, "val": np.float32, "root": np.int32}
    return {
        k: np.array(v, dtype=types[k]) for k, v in zip(types, (feature, threshold, child, value, root), strict=True)
    }


def _statistics(space: SearchSpace, entries: Sequence[Entry], forest: ExtraTreesRegressor) -> dict[str, float]:
    """Return the scale of regret: the best of many random configurations and their median."""
    rng = np.random.default_rng(0)
    drawn = [space.from_unit(rng.random(len(space)).tolist()) for _ in range(20_000)]
    losses = np.exp(forest.predict(_rows(entries, drawn)))
    return {"best": float(losses.min()), "median_random": float(np.median(losses))}


def main() -> None:
    """Make the table that the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--family", required=True, choices=sorted(FAMILIES))
    parser.add_argument("--dataset", required=True, choices=sorted(DATASETS))
    parser.add_argument("--configurations", type=int, default=400)
    parser.add_argument("--out", type=Path, required=True, help="folder for NAME.json and NAME.npz")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # Networks stop after 20 epochs and support vector machines after 20,000 iterations on purpose.
        warnings.simplefilter("ignore")
        print(make_table(args.family, args.dataset, args.configurations, args.out))


if __name__ == "__main__":
    main()
