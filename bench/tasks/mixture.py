"""Data mixtures: the validation loss on Pile-CC of a small language model over the shares of 17 domains of the Pile.

The function is a model of 768 published runs (../data/regmix_1m.json says whose): the mean of gradient-boosted trees,
as in RegMix. Trees see the order of shares only, so that no scale of shares, such as their logarithm, is the right one.
In cross-validation by five folds one of them explains 98% of the variance, and its ranks correlate by .99 with the
measured ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.bench.task import Task
from tunesmith.study.space.condition import Value
from tunesmith.study.space.mixtures.shares import Shares
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.view import Objective

Array = NDArray[np.float64]

DATA = Path(__file__).resolve().parent.parent / "data" / "regmix_1m.json"
NAME = "mix"
_MODELS = 3
BEST, MEDIAN_RANDOM = 5.065, 5.59
"""Loss at the best known mixture, and the median over 6,000 mixtures that are uniform on the simplex."""


def pile_mixture(*, has_default: bool = True) -> Task:
    """Return the task; the default has equal shares."""
    document = _document()
    domains = document["domains"]
    default = dict.fromkeys(domains, 1.0 / len(domains)) if has_default else None
    predict = _surrogate()

    def evaluate(params: Mapping[str, Value], seed: int) -> float:  # noqa: ARG001  # no noise
        return float(predict(np.array([[params[f"{NAME}.{domain}"] for domain in domains]], dtype=float))[0])

    return Task(
        name="pile_mixture",
        space=SearchSpace({NAME: Shares(domains, default=default)}),
        objective=Objective("loss"),
        evaluate=evaluate,
        best=BEST,
        median_random=MEDIAN_RANDOM,
        description="The shares of 17 domains of the Pile in the training data of a language model with 1M parameters; "
        "the validation loss on Pile-CC, text of web pages.",
    )


def runs() -> tuple[Array, Array]:
    """Return (768, 17) shares that sum to 1, and the losses (768,) of the published runs."""
    rows = np.array(_document()["runs"], dtype=float)
    shares = rows[:, :-1]
    return shares / shares.sum(axis=1, keepdims=True), rows[:, -1]


@cache
def _document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DATA.read_text(encoding="utf-8"))
    return found


@cache
def _surrogate() -> Callable[[Array], Array]:
    from sklearn.ensemble import GradientBoostingRegressor  # 1 s

    shares, losses = runs()
    models = [
        GradientBoostingRegressor(
            n_estimators=600, max_depth=4, learning_rate=0.05, subsample=0.7, random_state=seed
        ).fit(shares, losses)
        for seed in range(_MODELS)
    ]
    return lambda x: np.asarray(np.mean([model.predict(x) for model in models], axis=0))


MAKERS: Mapping[str, Callable[[], Task]] = {"pile_mixture": pile_mixture}
