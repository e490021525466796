"""Two tasks that train a model: a small network on digits (torch) and boosted trees on diabetes (scikit-learn).

About half a second and a tenth of a second per evaluation on one core. `best` is the best value of 400 runs (see
docs/benchmark.md), so a planner may reach a regret slightly below 0.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from tunesmith.bench.task import Task
from tunesmith.study.errors import ProjectError
from tunesmith.study.space.parameters import Bool, Choice, Float, Int, Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import Failure, FailureKind
from tunesmith.study.trials.view import Objective

EPOCHS = 8


@cache
def _split(name: str) -> tuple[np.ndarray, ...]:
    """Return train and validation inputs, then train and validation targets; a fixed quarter validates."""
    from sklearn import datasets  # 0.6 s
    from sklearn.model_selection import train_test_split

    inputs, targets = getattr(datasets, f"load_{name}")(return_X_y=True)
    return tuple(train_test_split(inputs, targets, test_size=0.25, random_state=0))


def _require(*packages: str) -> None:
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise ProjectError(
            "it trains with torch and scikit-learn; install them with `pip install 'tunesmith[examples]'`"
        )


def _train_digits(params: Mapping[str, Any], seed: int) -> float | Failure:
    import torch  # 1.3 s

    torch.manual_seed(seed)
    x, x_valid, y, y_valid = (torch.as_tensor(part) for part in _split("digits"))
    x, x_valid = x.float() / 16, x_valid.float() / 16
    widths = [64, *[params["hidden"]] * params["layers"]]
    blocks = [
        torch.nn.Sequential(torch.nn.Linear(a, b), torch.nn.ReLU(), torch.nn.Dropout(params["dropout"]))
        for a, b in zip(widths, widths[1:], strict=False)
    ]
    model = torch.nn.Sequential(*blocks, torch.nn.Linear(widths[-1], 10))
    optimizer: torch.optim.Optimizer
    if params["optimizer"] == "adam":
        optimizer = torch.optim.AdamW(model.parameters(), params["lr"], weight_decay=params["weight_decay"])
    else:
        options = {"momentum": params["momentum"], "weight_decay": params["weight_decay"]}
        optimizer = torch.optim.SGD(model.parameters(), params["lr"], **options)
    for _ in range(EPOCHS):
        for rows in torch.split(torch.randperm(len(x)), params["batch_size"]):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()  # type: ignore[no-untyped-call]  # torch has it so
            optimizer.step()
    model.eval()
    with torch.no_grad():
        loss = float(torch.nn.functional.cross_entropy(model(x_valid), y_valid))
    return (
        loss
        if math.isfinite(loss)
        else Failure(kind=FailureKind.NAN, reason="the validation loss is not a finite number")
    )


def _digits_mlp() -> Task:
    _require("torch", "sklearn")
    space: dict[str, Parameter] = {
        "lr": Float(1e-5, 10.0, log=True, default=1e-3),
        "hidden": Int(8, 256, log=True, default=64),
        "layers": Int(1, 3, default=1),
        "batch_size": Choice([16, 32, 64, 128], ordered=True, default=64),
        "dropout": Float(0.0, 0.7, default=0.0),
        "weight_decay": Float(1e-6, 1.0, log=True, default=1e-2),
        "optimizer": Choice(["adam", "sgd"], default="adam"),
        "momentum": Float(0.0, 0.99, when="optimizer == 'sgd'", default=0.9),
    }
    return Task(
        name="live_digits_mlp",
        space=SearchSpace(space),
        objective=Objective("val_loss"),
        evaluate=_train_digits,
        best=0.0627,
        median_random=1.2,
        description="A multilayer perceptron on 8x8 images of digits, 8 epochs; validation cross entropy.",
    )


def _boost(params: Mapping[str, Any], seed: int) -> float:
    from sklearn.ensemble import HistGradientBoostingRegressor  # 0.8 s

    x, x_valid, y, y_valid = _split("diabetes")
    subset = {**params, "max_depth": params["max_depth"] if params["limit_depth"] else None}
    del subset["limit_depth"]
    model = HistGradientBoostingRegressor(early_stopping=False, random_state=seed, **subset).fit(x, y)
    return float(np.sqrt(np.mean((model.predict(x_valid) - y_valid) ** 2)))


def _boosting() -> Task:
    _require("sklearn")
    space: dict[str, Parameter] = {
        "learning_rate": Float(0.003, 1.0, log=True, default=0.1),
        "max_iter": Int(5, 150, log=True, default=100),
        "max_leaf_nodes": Int(2, 64, log=True, default=31),
        "min_samples_leaf": Int(1, 100, log=True, default=20),
        "l2_regularization": Float(1e-4, 1e3, log=True, default=1e-4),
        "max_features": Float(0.1, 1.0, default=1.0),
        "limit_depth": Bool(default=False),
        "max_depth": Int(1, 8, when="limit_depth == true", default=3),
    }
    return Task(
        name="live_boosting",
        space=SearchSpace(space),
        objective=Objective("val_rmse"),
        evaluate=_boost,
        best=53.0,
        median_random=62.0,
        description="Boosted trees on the diabetes data (442 rows, 10 features); validation root mean squared error.",
    )


MAKERS = {"live_digits_mlp": _digits_mlp, "live_boosting": _boosting}
