"""Measures what a choice by hidden data is worth, on searches that overfit a small validation set.

    python bench/experiments/quality/hidden_selection.py --seeds 20

The task is ridge regression on 40 features of which 8 matter, with 80 rows to train on. A configuration says which of
20 pairs of features are used and how strong the penalty is; 60 rows validate, others are hidden, and 20,000 say what is
true. The search sees only the 60. Then three choices are compared by their true error: the search's best; the one that
`Tuner.choose` takes among the leaders by the hidden rows; and the best of a search that got the hidden rows to validate
on as well, which is what hiding them costs. Errors are mean squared errors; the noise of the task itself is 1.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import tunesmith
from tunesmith.agent.tuner import BestTrial, Tuner

Array = NDArray[np.float64]
PAIRS, INFORMATIVE, TRAIN, VALIDATE, TRUE = 20, 8, 80, 60, 20_000


@dataclass(frozen=True, slots=True)
class Rows:
    """Features (n, 40) and targets (n,)."""

    x: Array
    y: Array

    def __add__(self, other: Rows) -> Rows:
        return Rows(np.concatenate([self.x, other.x]), np.concatenate([self.y, other.y]))


@dataclass(frozen=True, slots=True)
class Task:
    """One draw of the task: rows to train on, to validate on, hidden ones, and those that say what is true."""

    train: Rows
    validate: Rows
    hidden: Rows
    true: Rows

    def error(self, params: Mapping[str, object], rows: Rows) -> float:
        """Return the mean squared error on some rows of the model that a configuration gives."""
        used = np.repeat([bool(params[f"pair{i}"]) for i in range(PAIRS)], 2)
        x = self.train.x[:, used]
        gram = x.T @ x + float(str(params["penalty"])) * np.eye(x.shape[1])
        weights = np.linalg.solve(gram, x.T @ self.train.y)
        return float(np.mean((rows.y - rows.x[:, used] @ weights) ** 2))


@dataclass(frozen=True, slots=True)
class Choice:
    """What a study ended with: the value that it states, and the true error."""

    stated: float
    true: float


def make_task(seed: int, hidden: int) -> Task:
    """Return the task of a seed with that number of hidden rows."""
    rng = np.random.default_rng(seed)
    weights = np.zeros(2 * PAIRS)
    weights[rng.choice(2 * PAIRS, INFORMATIVE, replace=False)] = rng.normal(0.0, 0.5, INFORMATIVE)

    def rows(count: int) -> Rows:
        x = rng.normal(size=(count, 2 * PAIRS))
        return Rows(x, x @ weights + rng.normal(size=count))

    return Task(rows(TRAIN), rows(VALIDATE), rows(hidden), rows(TRUE))


def searched(task: Task, rows: Rows, *, seed: int, trials: int, planner: str) -> Tuner:
    """Return a tuner that searched by the error on some rows."""
    space: dict[str, tunesmith.Bool | tunesmith.Float] = {
        f"pair{i}": tunesmith.Bool(default=True) for i in range(PAIRS)
    }
    space["penalty"] = tunesmith.Float(1e-2, 1e3, log=True, default=1.0)
    tuner = Tuner(space, metric="mse", planner=planner, seed=seed)
    for _ in range(trials):
        trial = tuner.ask()
        tuner.tell(trial, task.error(trial.params, rows))
    return tuner


def choices(seed: int, *, hidden: int, trials: int, top: int, planner: str) -> dict[str, Choice]:
    """Return the three choices on the task of a seed."""
    task = make_task(seed, hidden)
    judge: Callable[[BestTrial], float] = lambda trial: task.error(trial.params, task.hidden)  # noqa: E731
    found: dict[str, Choice] = {}
    with searched(task, task.validate, seed=seed, trials=trials, planner=planner) as tuner:
        found["search only"] = ended(tuner.best, task)
        found["hidden choice"] = ended(tuner.choose(judge, top=top), task)
    with searched(task, task.validate + task.hidden, seed=seed, trials=trials, planner=planner) as tuner:
        found["all rows to validate"] = ended(tuner.best, task)
    return found


def ended(best: BestTrial | None, task: Task) -> Choice:
    """Return what a study ended with: its value on hidden rows where it was chosen by them, else the search's."""
    if best is None:
        raise RuntimeError("no trial completed")
    return Choice(best.value if best.hidden is None else best.hidden, task.error(best.params, task.true))


def interval(values: Sequence[float]) -> str:
    """Return a mean with its 95% bootstrap interval."""
    drawn = np.random.default_rng(0).choice(values, (4000, len(values))).mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{np.mean(values):+.3f} [{low:+.3f}, {high:+.3f}]"


def main() -> None:
    """Print a line for each choice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--hidden", type=int, default=240, help="number of hidden rows")
    parser.add_argument("--top", type=int, default=10)
    parser.add_argument("--planner", default="random")
    args = parser.parse_args()
    options = {"hidden": args.hidden, "trials": args.trials, "top": args.top, "planner": args.planner}
    found = [choices(seed, **options) for seed in range(args.seeds)]
    without = [one["search only"].true for one in found]
    print(f"{args.planner}, {args.trials} trials, {args.hidden} hidden rows, top {args.top}, {args.seeds} seeds")
    for name in found[0]:
        true = [one[name].true for one in found]
        gain = interval([a - b for a, b in zip(true, without, strict=True)]) if name != "search only" else ""
        off = interval([one[name].stated - one[name].true for one in found])
        print(f"{name:22} true {np.mean(true):.3f}  difference {gain:26}  stated less true {off}")


if __name__ == "__main__":
    main()
