"""Trees on a noisy classification problem: preprocessing, one of three models, and the parameters of each (19 in all).

Every run fits on three splits of 1,200 rows and is judged by the mean log loss on the rest.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.metrics import log_loss
from sklearn.model_selection import ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from tunesmith.bench.experiments.training_tasks.task_family import Family, Params, Result, choice, number

SPLITS = 2
FEATURES = 24

HGB, TREES = {"model": ["hgb"]}, {"model": ["forest", "extra"]}
ENTRIES = [
    choice("scaling", "none", "standard", "quantile"),
    choice("reduction", "none", "select", "pca"),
    number("features", 2, FEATURES, kind="int", condition={"reduction": ["select", "pca"]}),
    choice("model", "hgb", "forest", "extra"),
    number("learning_rate", 0.005, 1.0, log=True, condition=HGB),
    number("max_iter", 10, 300, log=True, kind="int", condition=HGB),
    number("max_leaf_nodes", 2, 64, log=True, kind="int", condition=HGB),
    number("min_samples_leaf", 1, 100, log=True, kind="int", condition=HGB),
    number("l2_regularization", 1e-6, 100.0, log=True, condition=HGB),
    number("column_share", 0.1, 1.0, condition=HGB),
    number("max_bins", 8, 255, log=True, kind="int", condition=HGB),
    number("n_estimators", 10, 120, log=True, kind="int", condition=TREES),
    number("max_depth", 2, 24, kind="int", condition=TREES),
    number("min_leaf", 1, 50, log=True, kind="int", condition=TREES),
    number("max_features", 0.05, 1.0, condition=TREES),
    choice("criterion", "gini", "entropy", condition=TREES),
    choice("bootstrap", "yes", "no", condition=TREES),
]
DEFAULT = {
    "scaling": "none", "reduction": "none", "model": "hgb", "learning_rate": 0.1, "max_iter": 100, "max_leaf_nodes": 31,
    "min_samples_leaf": 20, "l2_regularization": 1e-6, "column_share": 1.0, "max_bins": 255,
}  # fmt: skip


def train(params: Params, seed: int) -> Result:
    """Fit on each split; return the mean log loss in nats."""
    x, y = _data()
    losses = []
    for fit, judge in ShuffleSplit(SPLITS, train_size=1200, test_size=800, random_state=seed).split(x):
        model = _pipeline(params, seed).fit(x[fit], y[fit])
        found = np.clip(model.predict_proba(x[judge]), 1e-6, 1)
        losses.append(log_loss(y[judge], found / found.sum(1, keepdims=True)))
    return Result(float(np.mean(losses)), "", seconds(params))


def seconds(params: Params) -> float:
    """Return the model's seconds for a run, fitted to measured runs."""
    if params["model"] == "hgb":
        return SPLITS * (0.01 + 1.5e-4 * int(params["max_iter"]) * float((2 + params["max_leaf_nodes"]) ** 0.7))
    return SPLITS * (
        0.01 + 3e-4 * int(params["n_estimators"]) * int(params["max_depth"]) * (0.3 + float(params["max_features"]))
    )


@cache
def _data() -> tuple[Any, Any]:
    x, y = make_classification(
        2000,
        FEATURES,
        n_informative=9,
        n_redundant=5,
        n_classes=3,
        n_clusters_per_class=2,
        flip_y=0.08,
        class_sep=0.9,
        random_state=3,
    )
    return x, y


def _pipeline(params: Params, seed: int) -> Any:
    steps: list[Any] = []
    if params["scaling"] == "standard":
        steps.append(StandardScaler())
    elif params["scaling"] == "quantile":
        steps.append(QuantileTransformer(n_quantiles=100, output_distribution="normal", random_state=seed))
    if params["reduction"] == "select":
        steps.append(SelectKBest(f_classif, k=int(params["features"])))
    elif params["reduction"] == "pca":
        steps.append(PCA(int(params["features"]), random_state=seed))
    return make_pipeline(*steps, _model(params, seed))


def _model(params: Params, seed: int) -> Any:
    if params["model"] == "hgb":
        names = ("learning_rate", "max_iter", "max_leaf_nodes", "min_samples_leaf", "l2_regularization", "max_bins")
        rest = {name: params[name] for name in names}
        return HistGradientBoostingClassifier(
            **rest, max_features=params["column_share"], early_stopping=False, random_state=seed
        )
    kind = RandomForestClassifier if params["model"] == "forest" else ExtraTreesClassifier
    rest = {name: params[name] for name in ("n_estimators", "max_depth", "max_features", "criterion")}
    return kind(**rest, min_samples_leaf=params["min_leaf"], bootstrap=params["bootstrap"] == "yes", random_state=seed)


FAMILY = Family(
    name="boosting",
    entries=ENTRIES,
    default=DEFAULT,
    train=train,
    description="Preprocessing and a tree model of scikit-learn on a noisy three-class problem. Minimize the log loss.",
    source="HistGradientBoostingClassifier with scikit-learn's own defaults",
)
