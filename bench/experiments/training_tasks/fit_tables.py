"""Makes a benchmark table of a family's measured runs: forests for log value, failure and seconds, and their errors.

    python bench/experiments/training_tasks/fit_tables.py --family lm --runs build/runs --out bench/tables

A forest is judged by five-fold cross-validation in which no configuration is in two folds; the figures are kept in the
table. The noise is the standard deviation of the log of the value between runs of one configuration.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import GroupKFold, cross_val_predict

from tunesmith.bench.experiments.make_tables import flattened
from tunesmith.bench.experiments.training_tasks.measure import FAMILIES, changed, load_family, random_configuration
from tunesmith.bench.experiments.training_tasks.task_family import Family, Params
from tunesmith.bench.table import entry_features

Array = NDArray[np.float64]
Run = Mapping[str, Any]

LEAF_SIZES = (1, 2, 4)
"""Smallest leaves that are compared by cross-validation."""
TREES = 40
FAILURE_TREES = 24
SECONDS_TREES = 8
FOLDS = 5
BEST_SHARE = 0.2
"""The forest must also rank well among this share of best configurations, where optimizers search."""
DRAWS, ROUNDS, CHILDREN = 4000, 25, 400
"""The search for the best value of the forest: random configurations, then rounds of changes to the fifty best."""


@dataclass(frozen=True, slots=True)
class Data:
    """All runs as arrays.

    Attributes:
        rows: (n, c) features.
        group: (n,) number of the configuration, the same for repeated runs.
        log_value: (n,) log of the value; nan where the run failed.
    """

    rows: Array
    group: NDArray[np.intp]
    log_value: Array
    seconds: Array

    @property
    def ran(self) -> NDArray[np.bool_]:
        """(n,) whether the run did not fail."""
        return np.isfinite(self.log_value)


def read_runs(path: Path) -> list[Run]:
    """Return the complete lines of a file that `measure.py` may still be writing."""
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text.rpartition("\n")[0].splitlines()]


def rows_of(family: Family, configurations: Sequence[Params]) -> Array:
    """Return the forests' features of configurations, (n, c)."""
    return np.array([[x for e in family.entries for x in entry_features(e, c)] for c in configurations], dtype=float)


def to_data(family: Family, runs: Sequence[Run]) -> Data:
    """Return runs as arrays."""
    numbers: dict[str, int] = {}
    group = [numbers.setdefault(json.dumps(run["params"], sort_keys=True), len(numbers)) for run in runs]
    log_value = [math.nan if run["failure"] else math.log(max(run["value"], 1e-9)) for run in runs]
    return Data(
        rows_of(family, [run["params"] for run in runs]),
        np.array(group, dtype=np.intp),
        np.array(log_value),
        np.array([run["seconds"] for run in runs], dtype=float),
    )


def noise_of(data: Data) -> float:
    """Return the standard deviation of the log value between runs of one configuration of the better half."""
    by_group: defaultdict[int, list[float]] = defaultdict(list)
    for number, value in zip(data.group[data.ran], data.log_value[data.ran], strict=True):
        by_group[int(number)].append(float(value))
    middle = float(np.median(data.log_value[data.ran]))
    repeated = [values for values in by_group.values() if len(values) > 1 and np.mean(values) <= middle]
    squares = sum(float(np.var(values)) * len(values) for values in repeated)
    return math.sqrt(squares / max(sum(len(values) - 1 for values in repeated), 1))


def rank_correlation(a: Array, b: Array) -> float:
    """Return Spearman's correlation."""
    first, second = (np.argsort(np.argsort(v)).astype(float) for v in (a, b))
    return float(np.corrcoef(first, second)[0, 1])


def predicted(trees: int, leaf: int, rows: Array, target: Array, group: NDArray[np.intp]) -> Array:
    """Return (n,) cross-validated predictions."""
    forest = ExtraTreesRegressor(trees, min_samples_leaf=leaf, random_state=0)
    found = cross_val_predict(forest, rows, target, groups=group, cv=GroupKFold(FOLDS))
    return np.asarray(found, dtype=float)


def choose_leaf(data: Data) -> tuple[int, dict[str, float]]:
    """Return the leaf size with the smallest cross-validated error, and the errors of its forest."""
    rows, target, group = data.rows[data.ran], data.log_value[data.ran], data.group[data.ran]
    found = {leaf: predicted(TREES, leaf, rows, target, group) for leaf in LEAF_SIZES}
    leaf = min(found, key=lambda size: float(((found[size] - target) ** 2).mean()))
    best = np.argsort(target)[: max(int(BEST_SHARE * len(target)), 2)]
    figures = {
        "spearman": rank_correlation(found[leaf], target),
        "spearman_of_best_fifth": rank_correlation(found[leaf][best], target[best]),
        "r2": 1.0 - float(((found[leaf] - target) ** 2).mean() / target.var()),
    }
    return leaf, figures


def failure_figures(data: Data) -> dict[str, float]:
    """Return the share of failures, and the log loss of the forest's probabilities and of that share as a constant."""
    failed = (~data.ran).astype(float)
    share = float(failed.mean())
    if share in (0.0, 1.0):
        return {"failed_share": share}
    p = np.clip(predicted(FAILURE_TREES, 2, data.rows, failed, data.group), 0.02, 0.98)
    loss = -float((failed * np.log(p) + (1 - failed) * np.log(1 - p)).mean())
    constant = -(share * math.log(share) + (1 - share) * math.log(1 - share))
    return {"failed_share": share, "failure_log_loss": loss, "failure_log_loss_of_share": constant,
            "failure_accuracy": float(((p > 0.5) == (failed > 0.5)).mean())}  # fmt: skip


class Forests:
    """The fitted forests of a family."""

    def __init__(self, family: Family, data: Data, leaf: int) -> None:
        self._family = family
        failed = ~data.ran
        self.value = _fitted(TREES, leaf, data.rows[data.ran], data.log_value[data.ran])
        self.failure = _fitted(FAILURE_TREES, 2, data.rows, failed.astype(float)) if failed.any() else None
        self.seconds = _fitted(SECONDS_TREES, 4, data.rows, np.log(data.seconds))

    def values(self, configurations: Sequence[Params]) -> Array:
        """Return (n,) values; nan where a configuration fails."""
        rows = rows_of(self._family, configurations)
        found = np.exp(self.value.predict(rows))
        return found if self.failure is None else np.where(self.failure.predict(rows) > 0.5, np.nan, found)

    def arrays(self) -> dict[str, Any]:
        """Return what the data file holds."""
        parts = {"": self.value, "seconds_": self.seconds, "failure_": self.failure}
        found = {}
        for prefix, forest in parts.items():
            if forest is not None:
                found.update({f"{prefix}{name}": array for name, array in shipped(forest).items()})
        return found


def shipped(forest: ExtraTreesRegressor) -> dict[str, Any]:
    """Return a forest's arrays as they ship: in half precision, without what readers do not need.

    Children follow from the order of the nodes, and inner nodes have no values.
    """
    arrays = flattened(forest)
    del arrays["child"]
    arrays["val"] = np.where(arrays["feat"] < 0, arrays["val"], 0.0)
    return {name: a.astype(np.float16) if name in ("thr", "val") else a for name, a in arrays.items()}


def _fitted(trees: int, leaf: int, rows: Array, target: Array) -> ExtraTreesRegressor:
    """Return a forest whose numbers fit in half precision, in which the table stores them."""
    forest = ExtraTreesRegressor(trees, min_samples_leaf=leaf, random_state=0).fit(rows, target)
    for estimator in forest.estimators_:
        for numbers in (estimator.tree_.threshold, estimator.tree_.value):
            numbers[:] = numbers.astype(np.float16)
    return forest


def scale_of(family: Family, forests: Forests, measured: Sequence[Params]) -> dict[str, float]:
    """Return the scale of regret: the best value that a long search of the forest finds, and a random median.

    A search is needed because optimizers go where random configurations do not.
    """
    rng = np.random.default_rng(0)
    pool: list[Params] = [random_configuration(family, rng) for _ in range(DRAWS)]
    values = forests.values(pool)
    failed, median = float(np.isnan(values).mean()), float(np.nanmedian(values))
    pool += list(measured)
    values = np.concatenate([values, forests.values(measured)])
    for _ in range(ROUNDS):
        leaders = np.argsort(values)[:50]  # nan comes last
        pool, values = [pool[index] for index in leaders], values[leaders]
        children: list[Params] = [changed(family, pool[int(rng.integers(len(pool)))], rng) for _ in range(CHILDREN)]
        pool, values = [*pool, *children], np.concatenate([values, forests.values(children)])
    default = float(forests.values([family.default])[0])
    return {"best": float(np.nanmin(values)), "median_random": median, "default": default, "random_failed": failed}


def make_table(family: Family, runs: Sequence[Run], out: Path) -> Path:
    """Write train_NAME.json and train_NAME.npz; return the path of the former."""
    data = to_data(family, runs)
    leaf, figures = choose_leaf(data)
    figures |= failure_figures(data)
    forests = Forests(family, data, leaf)
    name = f"train_{family.name}"
    np.savez_compressed(out / f"{name}.npz", **forests.arrays())
    meta = {
        "name": name,
        "kind": "forest",
        "space": list(family.entries),
        "default": dict(family.default),
        "metric": {"name": "loss", "direction": "minimize"},
        "description": family.description,
        "source": f"bench/experiments/training_tasks/{family.name}.py; the default: {family.source}",
        "data_file": f"{name}.npz",
        "n_points": len(runs),
        "noise": round(noise_of(data), 5),
        "surrogate": {
            "model": f"ExtraTreesRegressor trees={TREES} min_samples_leaf={leaf}",
            "target": "log",
            "cv": {key: round(value, 4) for key, value in figures.items()},
        },
        "stats": {
            key: round(value, 7) for key, value in scale_of(family, forests, [run["params"] for run in runs]).items()
        },
    }
    path = out / f"{name}.json"
    path.write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")
    return path


def main() -> None:
    """Make one family's table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--family", required=True, choices=FAMILIES)
    parser.add_argument("--runs", type=Path, default=Path("build/runs"))
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    print(make_table(load_family(args.family), read_runs(args.runs / f"{args.family}.jsonl"), args.out))


if __name__ == "__main__":
    main()
