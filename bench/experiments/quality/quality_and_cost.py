"""What 20 and 40 trials find of the front of quality and cost, on four functions where the best quality is dear.

    python -m tunesmith.bench.experiments.quality.quality_and_cost PLANNER SEEDS

Each function has a loss that falls with width and epochs, a learning rate whose optimum depends on both, and seconds
that differ by a factor of ten thousand over the space. Printed, as means over seeds: the hypervolume of the front in
loss and log seconds, as a part of what 40,000 random points reach; how much the best loss is above theirs; and how much
the best loss at half of the default's seconds is above theirs at that cost.

Of 40 trials, mean of four functions and six seeds (hypervolume, best loss, loss at half the default's seconds):

    optuna-tpe (two functions, three seeds)              .74   +.40   +.30
    seconds as they are, any loss is of interest         .91   +.09   +.05
    logarithms of seconds                                .92   +.12   +.04
    and only what is at least as good as the default     .93   +.05   +.06
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import tunesmith as ts

Array = NDArray[np.float64]

MARKS = (20, 40)
POINTS = 40_000
"""Random points that stand for the best possible."""
BATCHES = (16, 32, 64, 128, 256)
DEFAULT = {"lr": 1e-3, "width": 128, "epochs": 16, "batch": 64, "dropout": 0.0, "activation": "relu"}
SPACE: dict[str, ts.Float | ts.Int | ts.Choice | ts.Bool] = {
    "lr": ts.Float(1e-5, 1, log=True, default=1e-3),
    "width": ts.Int(8, 1024, log=True, default=128),
    "epochs": ts.Int(1, 64, log=True, default=16),
    "batch": ts.Choice(list(BATCHES), ordered=True, default=64),
    "dropout": ts.Float(0, 0.7, default=0.0),
    "activation": ts.Choice(["relu", "gelu", "tanh"], default="relu"),
}


@dataclass(frozen=True)
class Training:
    """A made-up training: how fast the loss falls with width and epochs, the weight of dropout, seconds to start."""

    by_width: float
    by_epochs: float
    dropout: float
    start_s: float

    def run(self, params: Mapping[str, object]) -> tuple[float, float]:
        """Return loss and seconds."""
        lr, width, epochs, batch, dropout = (float(str(params[name])) for name in list(SPACE)[:5])
        width, epochs, batch = math.log2(width), math.log2(epochs), math.log2(batch)
        best_lr = -2.5 - 0.25 * (width - 6) + 0.25 * (batch - 5)
        loss = 0.1 + 0.6 * 2 ** (-self.by_width * (width - 3)) + 0.8 * 2 ** (-self.by_epochs * epochs)
        loss += 0.12 * (math.log10(lr) - best_lr) ** 2 + self.dropout * (dropout - 0.2) ** 2
        loss += 0.3 * max(0.0, width - 9) * 2 ** (-0.3 * epochs) + 0.05 * (params["activation"] == "tanh")
        return loss, self.start_s + 0.002 * 2 ** (1.3 * width + epochs - 0.7 * batch)


TRAININGS = (
    Training(0.5, 0.4, 0.3, 0.5),
    Training(0.9, 0.8, 0.3, 0.1),
    Training(0.3, 0.9, 0.6, 0.2),
    Training(1.2, 0.3, 0.1, 0.01),
)


def random_points(training: Training) -> Array:
    """Return (n, 2) losses and seconds of random configurations."""
    rng, found = np.random.default_rng(0), []
    for _ in range(POINTS):
        params = {"lr": 10 ** rng.uniform(-5, 0), "width": int(2 ** rng.uniform(3, 10)),
                  "epochs": int(2 ** rng.uniform(0, 6.02)), "batch": rng.choice(BATCHES),
                  "dropout": rng.uniform(0, 0.7), "activation": "relu"}  # fmt: skip
        found.append(training.run(params))
    return np.array(found)


def hypervolume(points: Array, reference: Array) -> float:
    """Return the area below the reference that (n, 2) points dominate."""
    area, top = 0.0, float(reference[1])
    inside = points[(points < reference).all(axis=1)]
    for loss, cost in inside[np.argsort(inside[:, 0])]:
        if cost < top:
            area += (float(reference[0]) - loss) * (top - cost)
            top = cost
    return area


def tuned(training: Training, planner: str, seed: int) -> Array:
    """Return (n, 2) losses and seconds of a study's trials."""
    rng, found = np.random.default_rng(seed), []
    with ts.Tuner(SPACE, metric=["loss", "run/seconds"], planner=planner, seed=seed) as tuner:
        for _ in range(max(MARKS)):
            trial = tuner.ask()
            loss, seconds = training.run(trial.params)
            loss, seconds = loss * (1 + 0.01 * rng.standard_normal()), seconds * (1 + 0.05 * abs(rng.standard_normal()))
            tuner.tell(trial, {"loss": loss, "run/seconds": seconds})
            found.append((loss, seconds))
    return np.array(found)


def scorer(training: Training) -> Callable[[Array], list[float]]:
    """Return what scores trials against random points; see the module's own words."""
    ideal, (default, default_s) = random_points(training), training.run(DEFAULT)
    reference = np.array([1.5 * default, math.log(ideal[:, 1].max())])

    def in_logs(points: Array) -> Array:
        return np.column_stack([points[:, 0], np.log(points[:, 1])])

    whole = hypervolume(in_logs(ideal), reference)
    best, at_half = ideal[:, 0].min(), ideal[ideal[:, 1] <= default_s / 2, 0].min()

    def score(points: Array) -> list[float]:
        cheap = points[points[:, 1] <= default_s / 2, 0]
        half = cheap.min() if len(cheap) else 1.5 * default
        volume = hypervolume(in_logs(points), reference) / whole
        return [volume, points[:, 0].min() / best - 1, float(half / at_half - 1)]

    return score


def main(planner: str, seeds: int) -> None:
    """Print the scores of a planner on each function."""
    for index, training in enumerate(TRAININGS):
        score = scorer(training)
        studies = [tuned(training, planner, seed) for seed in range(seeds)]
        for mark in MARKS:
            print(index, mark, np.round(np.mean([score(points[:mark]) for points in studies], axis=0), 3), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
