"""Compares samplers on tables of measured results: mean normalized regret after 10, 20 and 50 trials.

    python benchmarks/sampler_tables.py --data DIR [--data DIR ...] --planner bayes --planner random --seeds 8

DIR holds, for each task, NAME.json with the space, the metric, statistics of random configurations and the kind of
table; the data lie beside it. A `grid` is a fully measured table whose nearest point answers, nan where the run failed;
a `forest` is a random forest over collected measurements, stored as arrays; an `onnx` is a published surrogate network
and needs onnxruntime. Regret is (best so far - best) / (median random configuration - best): 0 is the optimum, 1 a
median random configuration. It is capped at the 90% quantile of random configurations, which a failure counts, too.
Where DIR/../reference.csv exists (task, optimizer, seed, trial, regret), its optimizers are shown beside ours.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.agent.samplers import make_sampler
from tunesmith.agent.sources import Sampler
from tunesmith.study.parameters import Choice, Float, Int, Parameter
from tunesmith.study.space import SearchSpace
from tunesmith.study.trial import Failure, FailureKind, Outcome, Proposal, Source, Trial, TrialState
from tunesmith.study.view import Direction, Objective, StudyView

MARKS = (10, 20, 50)


class Table:
    """One task. `measure(params)` answers with the metric, nan for a failure."""

    def __init__(self, path: Path) -> None:
        self.meta: dict[str, Any] = json.loads(path.read_text())
        self.name: str = self.meta["name"]
        self.entries: list[dict[str, Any]] = self.meta["space"]
        self.space = SearchSpace({entry["name"]: _parameter(entry) for entry in self.entries})
        self.objective = Objective("metric", Direction(self.meta["metric"]["direction"]))
        stats = self.meta["stats"]
        self._best, self._median = stats["best"], stats["median_random"]
        self.cap = min(10.0, self.regret(stats["quantiles_from_best"]["0.9"]))
        data = path.parent / self.meta["data_file"]
        self._answer = {"grid": _Grid, "forest": _Forest, "onnx": _Network}[self.meta["kind"]](self.meta, data)

    def measure(self, params: Mapping[str, Any]) -> float:
        """Return the metric in its own direction, at full fidelity."""
        return self._answer(params)

    def regret(self, value: float) -> float:
        """Return the normalized regret of a metric's value."""
        return float((value - self._best) / (self._median - self._best))


def _parameter(entry: Mapping[str, Any]) -> Parameter:
    when = " and ".join(f"{name} in {list(values)!r}" for name, values in entry.get("condition", {}).items()) or None
    log = bool(entry.get("log"))
    if entry["type"] == "float":
        return Float(entry["low"], entry["high"], log=log, when=when)
    if entry["type"] == "int":
        return Int(int(entry["low"]), int(entry["high"]), log=log, when=when)
    return Choice(entry["choices"], ordered=entry["type"] == "ordinal", when=when)


class _Grid:
    def __init__(self, meta: Mapping[str, Any], data: Path) -> None:
        self._entries = meta["space"]
        values = np.load(data)["val"]
        # The last fidelity is the full one; the last axis holds repetitions.
        self._values = np.mean(values[-1] if meta.get("fidelity") else values, axis=-1)

    def __call__(self, params: Mapping[str, Any]) -> float:
        return float(self._values[tuple(_nearest(entry, params[entry["name"]]) for entry in self._entries)])


def _nearest(entry: Mapping[str, Any], value: Any) -> int:
    if entry["type"] == "categorical":
        return int(entry["choices"].index(value))
    points = np.array(entry.get("grid") or entry["choices"], dtype=float)
    if entry.get("log"):
        points, value = np.log(points), np.log(value)
    return int(np.abs(points - value).argmin())


class _Forest:
    def __init__(self, meta: Mapping[str, Any], data: Path) -> None:
        self._entries, self._log = meta["space"], meta["surrogate"]["target"] == "log"
        arrays = np.load(data)
        self._feature, self._threshold, self._child, self._value, self._root = (
            arrays[key] for key in ("feat", "thr", "child", "val", "root")
        )

    def __call__(self, params: Mapping[str, Any]) -> float:
        row = np.array([x for entry in self._entries for x in _features(entry, params)], dtype=np.float32)
        node = self._root.copy()
        while (self._feature[node] >= 0).any():
            inner = self._feature[node] >= 0
            right = row[np.where(inner, self._feature[node], 0)] > self._threshold[node]
            node = np.where(inner, self._child[node] + right, node)
        mean = float(self._value[node].astype(float).mean())
        return float(np.exp(mean)) if self._log else mean


def _features(entry: Mapping[str, Any], params: Mapping[str, Any]) -> list[float]:
    value = params.get(entry["name"])
    if entry["type"] == "categorical":
        return [float(value == choice) for choice in entry["choices"]]
    if value is None:
        return [-1.0]
    ends = entry["choices"] if entry["type"] == "ordinal" else (entry["low"], entry["high"])
    low, high = ends[0], ends[-1]
    if not entry.get("log"):
        return [(value - low) / (high - low)]
    shift = max(0.0, 1.0 - low) if low <= 0 else 0.0
    return [float(np.log((value + shift) / (low + shift)) / np.log((high + shift) / (low + shift)))]


class _Network:
    def __init__(self, meta: Mapping[str, Any], data: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(data), options, providers=["CPUExecutionProvider"])
        self._onnx, self._clip = meta["onnx"], meta.get("clip", (-np.inf, np.inf))
        self._fixed = {**self._onnx["constants"], meta["fidelity"]["name"]: meta["fidelity"]["values"][-1]}

    def __call__(self, params: Mapping[str, Any]) -> float:
        known = {**params, **self._fixed}
        choices = [self._onnx["encoding"][name][known.get(name, "#na#")] for name in self._onnx["cat_names"]]
        numbers = [float(known.get(name, 0.0)) for name in self._onnx["cont_names"]]
        first, second = self._session.get_inputs()
        feed = {first.name: np.array([choices], np.int32), second.name: np.array([numbers], np.float32)}
        answer = self._session.run(None, feed)[0]
        return float(np.clip(float(answer[0, self._onnx["output"]]), *self._clip))


@dataclass(frozen=True, slots=True)
class Run:
    """One sampler on one task with one seed: regret of the best so far after each trial, failures, s per suggestion."""

    regret: tuple[float, ...]
    failures: int
    seconds: float


def run(table: Table, sampler: Sampler, *, trials: int, seed: int) -> Run:
    """Ask and tell `trials` times."""
    told: list[Trial] = []
    regret: list[float] = []
    asked_s = 0.0
    for number in range(trials):
        view = StudyView(space=table.space, objectives=(table.objective,), trials=tuple(told), number=number, seed=seed)
        began = time.perf_counter()
        params = sampler.suggest(view).params
        asked_s += time.perf_counter() - began
        value = table.measure(params)
        ran = bool(np.isfinite(value))
        failure = None if ran else Failure(kind=FailureKind.CRASH, reason="no value in the table")
        state = TrialState.COMPLETE if ran else TrialState.FAILED
        outcome = Outcome(state=state, values={"metric": value} if ran else {}, failure=failure)
        proposal = Proposal(params=params, source=Source.SAMPLER, seed=seed)
        told.append(Trial(number=number, proposal=proposal, state=state, outcome=outcome))
        regret.append(min([table.regret(value) if ran else table.cap, table.cap, *regret[-1:]]))
    return Run(tuple(regret), sum(t.failure is not None for t in told), asked_s / trials)


def references(folders: Sequence[Path]) -> dict[tuple[str, str], list[list[float]]]:
    """Return regret curves by task and optimizer from the reference.csv beside the folders."""
    curves: dict[tuple[str, str, str], list[float]] = {}
    for path in dict.fromkeys(folder.resolve().parent / "reference.csv" for folder in folders):
        if path.exists():
            with path.open() as lines:
                for row in csv.DictReader(lines):
                    curves.setdefault((row["task"], row["optimizer"], row["seed"]), []).append(float(row["regret"]))
    grouped: dict[tuple[str, str], list[list[float]]] = {}
    for (task, optimizer, _), curve in curves.items():
        grouped.setdefault((task, optimizer), []).append(curve)
    return grouped


def main() -> None:
    """Run every planner on every table, and print what each reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, action="append", required=True, help="folder of tables; may be repeated")
    parser.add_argument("--planner", action="append", required=True, help="a sampler's name; may be repeated")
    parser.add_argument("--task", action="append", help="only these tasks")
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--json", type=Path, help="also write all curves here")
    args = parser.parse_args()
    paths = [path for folder in args.data for path in sorted(folder.glob("*.json"))]
    tables = [table for table in map(Table, paths) if not args.task or table.name in args.task]
    marks = [mark for mark in MARKS if mark <= args.trials]
    rows: dict[str, dict[str, list[float]]] = {}
    curves: dict[str, dict[str, list[Run]]] = {}
    for table in tables:
        for planner in args.planner:
            runs = [run(table, make_sampler(planner), trials=args.trials, seed=seed) for seed in range(args.seeds)]
            curves.setdefault(planner, {})[table.name] = runs
            means = [float(np.mean([r.regret[mark - 1] for r in runs])) for mark in marks]
            rows.setdefault(planner, {})[table.name] = means
            failures, seconds = np.mean([r.failures for r in runs]), np.mean([r.seconds for r in runs])
            print(_line(table.name, planner, means), f"  {failures:4.1f} failed  {seconds:.3f} s each", flush=True)
    for (task, optimizer), known in references(args.data).items():
        if any(task == table.name for table in tables):
            rows.setdefault(f"({optimizer})", {})[task] = [
                float(np.mean([curve[mark - 1] for curve in known])) for mark in marks
            ]
    for count, tasks in _groups(rows):
        for planner, means_of in rows.items():
            if tasks <= means_of.keys():
                print(_line(f"mean of {count}", planner, list(np.mean([means_of[t] for t in tasks], axis=0))))
    if args.json:
        plain = {p: {t: [list(r.regret) for r in runs] for t, runs in by.items()} for p, by in curves.items()}
        args.json.write_text(json.dumps(plain))


def _groups(rows: Mapping[str, Mapping[str, Any]]) -> list[tuple[int, set[str]]]:
    """Return the sets of tasks over which at least one planner has figures, the largest first."""
    groups = {frozenset(means) for means in rows.values()}
    return [(len(group), set(group)) for group in sorted(groups, key=len, reverse=True)]


def _line(task: str, planner: str, means: Sequence[float]) -> str:
    return f"{task:26s} {planner:12s} " + " ".join(f"{mean:.3f}" for mean in means)


if __name__ == "__main__":
    main()
