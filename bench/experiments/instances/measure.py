"""Measures a support vector machine on each of 20 folds for every point of a grid, once, into tables.

    python bench/experiments/instances/measure.py [--task digits|diabetes] [--steps 21]

Writes svm_TASK.npz next to this file: `loss` (C, gamma, fold) and the values of both parameters. For digits the loss is
the share of test images with a wrong label, for diabetes the mean squared error as a part of the variance of all
targets. Both data sets are scikit-learn's own. simulation.py reads the tables.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes, load_digits
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.preprocessing import scale
from sklearn.svm import SVC, SVR

FOLDS = 20
FOLDER = Path(__file__).parent
TASKS = {"digits": ((1e-2, 1e4), (1e-6, 1e0)), "diabetes": ((1e-2, 1e2), (1e-5, 1e1))}
"""Ranges of C and gamma."""

Array = NDArray[np.float64]


def fold_losses(task: str, costs: Array, gammas: Array) -> Array:
    """Return (C, gamma, fold) test losses."""
    inputs, targets, folds = _data(task)
    squared = euclidean_distances(inputs, squared=True)
    losses = np.empty((len(costs), len(gammas), FOLDS))
    for column, gamma in enumerate(gammas):
        kernel = np.exp(-gamma * squared)
        for row, cost in enumerate(costs):
            for fold, (train, test) in enumerate(folds):
                make: Any = SVC if task == "digits" else SVR
                model = make(C=cost, kernel="precomputed").fit(kernel[np.ix_(train, train)], targets[train])
                predicted = model.predict(kernel[np.ix_(test, train)])
                errors = predicted != targets[test] if task == "digits" else (predicted - targets[test]) ** 2
                losses[row, column, fold] = np.mean(errors)
    return losses


def _data(task: str) -> tuple[Array, Array, list[tuple[Array, Array]]]:
    if task == "diabetes":
        inputs, targets = load_diabetes(return_X_y=True)
        inputs, targets = scale(inputs), scale(targets)
        return inputs, targets, list(KFold(FOLDS, shuffle=True, random_state=0).split(inputs))
    images, labels = load_digits(return_X_y=True)
    chosen = np.random.default_rng(0).permutation(len(images))[:800]
    images, labels = images[chosen], labels[chosen]
    return images, labels, list(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(images, labels))


def main() -> None:
    """Measure and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=TASKS, action="append")
    parser.add_argument("--steps", type=int, default=21)
    options = parser.parse_args()
    for task in options.task or TASKS:
        costs, gammas = (np.geomspace(low, high, options.steps) for low, high in TASKS[task])
        losses = fold_losses(task, costs, gammas)
        np.savez_compressed(FOLDER / f"svm_{task}.npz", loss=losses, C=costs, gamma=gammas)


if __name__ == "__main__":
    main()
