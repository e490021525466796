"""Which of six algorithms, each with its parameters (33 in all), on 8x8 digits of which few are shown.

Every run fits on 500 images and is judged by the mean log loss on 700 others, over two splits.
"""

from __future__ import annotations

import math
import warnings
from functools import cache
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import ShuffleSplit
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

from tunesmith.bench.experiments.training_tasks.task_family import Family, Params, Result, choice, number

SPLITS = 2


def only(algorithm: str, **more: list[str]) -> dict[str, list[str]]:
    """Return the condition of a parameter that one algorithm has."""
    return {"algorithm": [algorithm], **more}


ENTRIES = [
    choice("scaling", "standard", "minmax", "none"),
    choice("pca", "no", "yes"),
    number("components", 4, 60, log=True, kind="int", condition={"pca": ["yes"]}),
    choice("algorithm", "logistic", "knn", "svm", "mlp", "trees", "hgb"),
    number("logistic_c", 1e-4, 1e3, log=True, condition=only("logistic")),
    number("logistic_iterations", 20, 300, log=True, kind="int", condition=only("logistic")),
    choice("logistic_weights", "none", "balanced", condition=only("logistic")),
    number("knn_neighbors", 1, 50, log=True, kind="int", condition=only("knn")),
    choice("knn_weights", "uniform", "distance", condition=only("knn")),
    number("knn_p", 1.0, 4.0, condition=only("knn")),
    number("svm_c", 1e-3, 1e3, log=True, condition=only("svm")),
    choice("svm_kernel", "rbf", "poly", "sigmoid", "linear", condition=only("svm")),
    number("svm_gamma", 1e-5, 10.0, log=True, condition=only("svm", svm_kernel=["rbf", "poly", "sigmoid"])),
    number("svm_degree", 2, 5, kind="int", condition=only("svm", svm_kernel=["poly"])),
    number("svm_coef0", -1.0, 2.0, condition=only("svm", svm_kernel=["poly", "sigmoid"])),
    number("mlp_lr", 1e-4, 0.1, log=True, condition=only("mlp")),
    number("mlp_alpha", 1e-6, 10.0, log=True, condition=only("mlp")),
    number("mlp_hidden", 8, 128, log=True, kind="int", condition=only("mlp")),
    number("mlp_layers", 1, 3, kind="int", condition=only("mlp")),
    choice("mlp_batch", 16, 32, 64, 128, ordered=True, condition=only("mlp")),
    choice("mlp_activation", "relu", "tanh", "logistic", condition=only("mlp")),
    number("mlp_epochs", 5, 40, log=True, kind="int", condition=only("mlp")),
    number("trees_count", 10, 150, log=True, kind="int", condition=only("trees")),
    number("trees_depth", 2, 24, kind="int", condition=only("trees")),
    number("trees_leaf", 1, 30, log=True, kind="int", condition=only("trees")),
    number("trees_features", 0.03, 1.0, log=True, condition=only("trees")),
    choice("trees_criterion", "gini", "entropy", condition=only("trees")),
    number("hgb_lr", 0.01, 1.0, log=True, condition=only("hgb")),
    number("hgb_iterations", 5, 40, log=True, kind="int", condition=only("hgb")),
    number("hgb_leaves", 3, 32, log=True, kind="int", condition=only("hgb")),
    number("hgb_min_leaf", 1, 50, log=True, kind="int", condition=only("hgb")),
    number("hgb_l2", 1e-6, 100.0, log=True, condition=only("hgb")),
    number("hgb_features", 0.1, 1.0, condition=only("hgb")),
]
DEFAULT = {
    "scaling": "standard", "pca": "no", "algorithm": "logistic", "logistic_c": 1.0, "logistic_iterations": 100,
    "logistic_weights": "none",
}  # fmt: skip


def train(params: Params, seed: int) -> Result:
    """Fit on each split; return the mean log loss in nats, clipped at 10."""
    x, y = load_data()
    losses = []
    for fit, judge in ShuffleSplit(SPLITS, train_size=500, test_size=700, random_state=seed).split(x):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                model = _pipeline(params, seed).fit(x[fit], y[fit])
                found = _probabilities(model, x[judge], params)
            except ValueError:
                return Result(math.nan, "nan", 0.05)
        found = np.clip(np.nan_to_num(found, nan=0.1), 1e-4, 1)
        losses.append(log_loss(y[judge], found / found.sum(1, keepdims=True)))
    return Result(min(float(np.mean(losses)), 10.0), "", seconds(params))


def _probabilities(model: Any, x: Any, params: Params) -> Any:
    """Return class probabilities (n, 10); those of an SVM are the softmax of its decision values."""
    if params["algorithm"] != "svm":
        return model.predict_proba(x)
    scores = 2 * model.decision_function(x)
    scores = np.exp(scores - scores.max(1, keepdims=True))
    return scores / scores.sum(1, keepdims=True)


def seconds(params: Params) -> float:
    """Return the model's seconds for a run, fitted to measured runs."""
    algorithm = params["algorithm"]
    if algorithm == "mlp":
        return SPLITS * (0.02 + int(params["mlp_epochs"]) * (500 / int(params["mlp_batch"])) * 6e-4)
    if algorithm == "trees":
        return SPLITS * (0.02 + 1e-3 * int(params["trees_count"]))
    if algorithm == "hgb":
        return SPLITS * (0.02 + 2e-3 * int(params["hgb_iterations"]) * float(params["hgb_leaves"] ** 0.8))
    return SPLITS * {"logistic": 0.05, "knn": 0.04, "svm": 0.05}[algorithm]


@cache
def load_data() -> tuple[Any, Any]:
    """Return images (n, 64) and labels (n,)."""
    x, y = load_digits(return_X_y=True)
    return x, y


def _pipeline(params: Params, seed: int) -> Any:
    steps: list[Any] = {"standard": [StandardScaler()], "minmax": [MinMaxScaler()], "none": []}[params["scaling"]]
    if params["pca"] == "yes":
        steps.append(PCA(int(params["components"]), random_state=seed))
    return make_pipeline(*steps, MODELS[params["algorithm"]](params, seed))


def _logistic(params: Params, seed: int) -> Any:  # noqa: ARG001  # as the others
    weights = None if params["logistic_weights"] == "none" else "balanced"
    return LogisticRegression(C=params["logistic_c"], max_iter=params["logistic_iterations"], class_weight=weights)


def _knn(params: Params, seed: int) -> Any:  # noqa: ARG001  # as the others
    return KNeighborsClassifier(params["knn_neighbors"], weights=params["knn_weights"], p=params["knn_p"])


def _svm(params: Params, seed: int) -> Any:
    rest = {
        name: params.get(f"svm_{name}", fallback)
        for name, fallback in (("gamma", "scale"), ("degree", 3), ("coef0", 0.0))
    }
    return SVC(C=params["svm_c"], kernel=params["svm_kernel"], **rest, max_iter=5000, random_state=seed)


def _mlp(params: Params, seed: int) -> Any:
    return MLPClassifier(
        (int(params["mlp_hidden"]),) * int(params["mlp_layers"]),
        activation=params["mlp_activation"],
        alpha=params["mlp_alpha"],
        batch_size=int(params["mlp_batch"]),
        learning_rate_init=params["mlp_lr"],
        max_iter=int(params["mlp_epochs"]),
        random_state=seed,
    )


def _trees(params: Params, seed: int) -> Any:
    return ExtraTreesClassifier(
        params["trees_count"],
        max_depth=params["trees_depth"],
        min_samples_leaf=params["trees_leaf"],
        max_features=params["trees_features"],
        criterion=params["trees_criterion"],
        random_state=seed,
    )


def _hgb(params: Params, seed: int) -> Any:
    return HistGradientBoostingClassifier(
        learning_rate=params["hgb_lr"],
        max_iter=params["hgb_iterations"],
        max_leaf_nodes=params["hgb_leaves"],
        min_samples_leaf=params["hgb_min_leaf"],
        l2_regularization=params["hgb_l2"],
        max_features=params["hgb_features"],
        early_stopping=False,
        random_state=seed,
    )


MODELS = {"logistic": _logistic, "knn": _knn, "svm": _svm, "mlp": _mlp, "trees": _trees, "hgb": _hgb}

FAMILY = Family(
    name="pipeline",
    entries=ENTRIES,
    default=DEFAULT,
    train=train,
    description="Which of six scikit-learn algorithms, and how it is set, for 500 digits. Minimize the log loss.",
    source="LogisticRegression after StandardScaler, as in scikit-learn's user guide",
)
