"""Functions with known optima: Branin, Hartmann6, Ackley in ten dimensions, a mixed, a conditional and a failing one.

In the last one half of the space fails. Each has a default that is decent but not optimal. `median_random` was measured
with 20,000 uniform draws.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tunesmith.bench.task import Evaluate, Task
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import Bool, Choice, Float, Int, Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import Failure, FailureKind
from tunesmith.study.trials.view import Objective


def _task(name: str, space: Mapping[str, Parameter], evaluate: Evaluate, best: float, median_random: float) -> Task:
    return Task(
        name=name,
        space=SearchSpace(space),
        objective=Objective("value"),
        evaluate=evaluate,
        best=best,
        median_random=median_random,
        description=f"The test function {name}.",
    )


def branin_value(x: float, y: float) -> float:
    """Branin 1972; x in [-5, 10], y in [0, 15], three minima of 0.397887."""
    ridge = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return ridge**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


def _branin() -> Task:
    def evaluate(params: Mapping[str, Any], seed: int) -> float:  # noqa: ARG001  # no noise
        return branin_value(params["x"], params["y"])

    space = {"x": Float(-5.0, 10.0, default=0.0), "y": Float(0.0, 15.0, default=5.0)}
    return _task("branin", space, evaluate, 0.39788735772973816, 35.79)


_HARTMANN_A = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
_HARTMANN_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)
_HARTMANN_WEIGHT = np.array([1.0, 1.2, 3.0, 3.2])


def _hartmann6() -> Task:
    names = [f"x{i}" for i in range(6)]

    def evaluate(params: Mapping[str, Any], seed: int) -> float:  # noqa: ARG001  # no noise
        x = np.array([params[name] for name in names])
        inner = (_HARTMANN_A * (x - _HARTMANN_P) ** 2).sum(axis=1)
        return -float(_HARTMANN_WEIGHT @ np.exp(-inner))

    return _task("hartmann6", {n: Float(0.0, 1.0, default=0.5) for n in names}, evaluate, -3.32236801141551, -0.1015)


def ackley_value(x: np.ndarray) -> float:
    """(d,) -> the Ackley function; 0 at the origin."""
    return float(-20 * np.exp(-0.2 * np.sqrt(np.mean(x**2))) - np.exp(np.mean(np.cos(2 * np.pi * x))) + 20 + math.e)


def _ackley10() -> Task:
    names = [f"x{i}" for i in range(10)]

    def evaluate(params: Mapping[str, Any], seed: int) -> float:  # noqa: ARG001  # no noise
        # The optimum is moved off the middle, where samplers like to start.
        return ackley_value(np.array([params[name] for name in names]) - 3.7)

    return _task("ackley10", {n: Float(-16.0, 24.0, default=10.0) for n in names}, evaluate, 0.0, 19.67)


def _mixed() -> Task:
    """A made-up training run: rate and decay on log scales, an ordered size, a method that moves the best rate."""
    best_rate = {"adam": -3.0, "sgd": -1.0, "lion": -4.0}
    offset = {"adam": 0.0, "sgd": 0.1, "lion": 0.05}

    def evaluate(params: Mapping[str, Any], seed: int) -> float:  # noqa: ARG001  # no noise
        method = params["method"]
        miss = (math.log10(params["rate"]) - best_rate[method]) ** 2
        decay = 0.1 * (math.log10(params["decay"]) + 4) ** 2
        size = 0.2 * abs(math.log2(params["size"]) - 6)
        depth = 0.1 * (params["depth"] - 5) ** 2 / 4
        return float(offset[method] + miss + decay + size + depth + (0.15 if not params["norm"] else 0.0))

    space: dict[str, Parameter] = {
        "rate": Float(1e-6, 1.0, log=True, default=1e-2),
        "decay": Float(1e-8, 1.0, log=True, default=1e-2),
        "size": Choice([8, 16, 32, 64, 128, 256], ordered=True, default=32),
        "depth": Int(1, 12, default=3),
        "method": Choice(["adam", "sgd", "lion"], default="sgd"),
        "norm": Bool(default=False),
    }
    return _task("mixed", space, evaluate, 0.0, 3.905)


def _conditional() -> Task:
    """Three methods with parameters of their own; the one with the most of them holds the optimum."""

    def evaluate(params: Mapping[str, Any], seed: int) -> float:  # noqa: ARG001  # no noise
        shared: float = (params["shared"] - 0.3) ** 2
        if params["method"] == "plain":
            return 0.5 + shared
        if params["method"] == "one":
            return shared + float(0.3 + (params["width"] - 0.7) ** 2)
        far = (math.log10(params["rate"]) + 2) ** 2 / 4 + (params["layers"] - 6) ** 2 / 16
        return shared + float(far + (abs(params["momentum"] - 0.9) if params["momentum_on"] else 0.2))

    space: dict[str, Parameter] = {
        "shared": Float(0.0, 1.0, default=0.5),
        "method": Choice(["plain", "one", "many"], default="plain"),
        "width": Float(0.0, 1.0, when="method == 'one'", default=0.5),
        "rate": Float(1e-5, 1.0, log=True, when="method == 'many'", default=1e-3),
        "layers": Int(1, 12, when="method == 'many'", default=2),
        "momentum_on": Bool(when="method == 'many'", default=False),
        "momentum": Float(0.0, 1.0, when="momentum_on == true", default=0.5),
    }
    return _task("conditional", space, evaluate, 0.0, 0.6472)


def _half_fails() -> Task:
    """Hartmann6's neighbour: the sum of six squares, whose optimum lies close to the half that runs out of memory."""
    names = [f"x{i}" for i in range(6)]
    target = np.array([0.62, 0.45, 0.55, 0.4, 0.5, 0.45])

    def evaluate(params: Mapping[str, Value], seed: int) -> float | Failure:  # noqa: ARG001  # no noise
        x = np.array([params[name] for name in names], dtype=float)
        if x.sum() > 3.0:
            return Failure(kind=FailureKind.OOM, reason=f"needs {x.sum():.2f} GB of the 3.00 GB there are")
        return float(((x - target) ** 2).sum())

    return _task("half_fails", {n: Float(0.0, 1.0, default=0.2) for n in names}, evaluate, 0.0, 0.5117)


MAKERS = {
    "branin": _branin,
    "hartmann6": _hartmann6,
    "ackley10": _ackley10,
    "mixed": _mixed,
    "conditional": _conditional,
    "half_fails": _half_fails,
}
