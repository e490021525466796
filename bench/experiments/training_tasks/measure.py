"""Runs training tasks and keeps every run as a line of JSON, so that the same command resumes.

    python bench/experiments/training_tasks/measure.py --family lm --runs 2500 --out build/runs

The first eight runs are the default on eight seeds. Of the others a third are random; a third change a few
parameters of the default, and a third those of one of the twenty best configurations so far, so that a surrogate is
accurate where optimizers search. Every twentieth run repeats an earlier configuration on another seed, which
measures noise.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.bench.experiments.training_tasks.task_family import Entry, Family, Params

PACKAGE = "tunesmith.bench.experiments.training_tasks"
FAMILIES = ("lm", "vision", "rl", "boosting", "pipeline")
DEFAULT_SEEDS = 8
REPEAT_EVERY = 20
LEADERS = 20
"""Number of best configurations that further ones are made from."""


def is_active(entry: Entry, params: Mapping[str, Any]) -> bool:
    """Tell whether a parameter is active under the values of its parents."""
    return all(params.get(name) in values for name, values in entry.get("condition", {}).items())


def random_value(entry: Entry, rng: np.random.Generator) -> Any:
    """Draw a value uniformly, on the log scale where the entry says so."""
    return _value_at(entry, float(rng.random()))


def _value_at(entry: Entry, unit: float) -> Any:
    if "choices" in entry:
        return entry["choices"][min(int(unit * len(entry["choices"])), len(entry["choices"]) - 1)]
    low, high = float(entry["low"]), float(entry["high"])
    value = math.exp(math.log(low) + unit * math.log(high / low)) if entry["log"] else low + unit * (high - low)
    return min(max(round(value), round(low)), round(high)) if entry["type"] == "int" else value


def _unit_of(entry: Entry, value: Any) -> float:
    if "choices" in entry:
        return (int(entry["choices"].index(value)) + 0.5) / len(entry["choices"])
    low, high = float(entry["low"]), float(entry["high"])
    return math.log(value / low) / math.log(high / low) if entry["log"] else (value - low) / (high - low)


def random_configuration(family: Family, rng: np.random.Generator) -> dict[str, Any]:
    """Draw every active parameter."""
    return completed(family, {}, rng)


def completed(family: Family, values: Params, rng: np.random.Generator) -> dict[str, Any]:
    """Return the configuration with `values`, random where an active parameter has none. Parents precede children."""
    params: dict[str, Any] = {}
    for entry in family.entries:
        if is_active(entry, params):
            params[entry["name"]] = values.get(entry["name"], random_value(entry, rng))
    return params


def changed(family: Family, params: Params, rng: np.random.Generator) -> dict[str, Any]:
    """Return a configuration with one or more parameters changed, a little or entirely."""
    active = [entry for entry in family.entries if entry["name"] in params]
    count = min(1 + int(rng.geometric(0.45)), len(active)) if rng.random() < 0.8 else max(len(active) // 2, 1)
    values = dict(params)
    for index in rng.choice(len(active), size=count, replace=False):
        entry = active[index]
        categorical = entry["type"] == "categorical"
        if categorical or rng.random() < 0.3:
            values[entry["name"]] = random_value(entry, rng)
        else:
            unit = _unit_of(entry, params[entry["name"]]) + rng.normal(0, 0.15)
            values[entry["name"]] = _value_at(entry, min(max(unit, 0.0), 1.0 - 1e-12))
    return completed(family, values, rng)


def next_run(family: Family, runs: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], int, str]:
    """Return configuration, seed and kind of run number `len(runs)`: a pure function of the runs before it."""
    number = len(runs)
    rng = np.random.default_rng([7, number])
    if number < DEFAULT_SEEDS:
        return dict(family.default), number, "default"
    if number % REPEAT_EVERY == 0:
        earlier = runs[int(rng.integers(DEFAULT_SEEDS, number)) if number > DEFAULT_SEEDS else 0]
        return dict(earlier["params"]), number, "repeat"
    kind = ("random", "default", "leader")[number % 3]
    if kind == "random":
        return random_configuration(family, rng), number, kind
    complete = sorted((run for run in runs if not run["failure"]), key=lambda run: float(run["value"]))
    if kind == "default" or len(complete) < LEADERS:
        return changed(family, family.default, rng), number, "near default"
    return changed(family, complete[int(rng.integers(LEADERS))]["params"], rng), number, "near best"


def measure(family: Family, count: int, path: Path) -> None:
    """Append runs to `path` until it holds `count`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    runs = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    with path.open("a", encoding="utf-8") as out:
        while len(runs) < count:
            params, seed, kind = next_run(family, runs)
            result = family.train(params, seed)
            value = None if result.failure else result.value
            runs.append(
                {
                    "params": params,
                    "seed": seed,
                    "kind": kind,
                    "value": value,
                    "failure": result.failure,
                    "seconds": result.seconds,
                }
            )
            out.write(json.dumps(runs[-1]) + "\n")
            out.flush()


def load_family(name: str) -> Family:
    """Return a family by name; its module is imported only here, since some need torch."""
    family: Family = importlib.import_module(f"{PACKAGE}.{name}").FAMILY
    return family


def main() -> None:
    """Measure one family."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--family", required=True, choices=FAMILIES)
    parser.add_argument("--runs", type=int, default=2500)
    parser.add_argument("--out", type=Path, default=Path("build/runs"))
    args = parser.parse_args()
    measure(load_family(args.family), args.runs, args.out / f"{args.family}.jsonl")


if __name__ == "__main__":
    main()
