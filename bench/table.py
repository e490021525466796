"""Reads a table of results from NAME.json and its data file, and evaluates configurations with it.

The format is described in docs/benchmark.md. Knows no planner.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tunesmith.bench.epochs.task import CurveTask
from tunesmith.bench.task import Task
from tunesmith.study.errors import Mistake, ProjectError, SpecError
from tunesmith.study.names import did_you_mean
from tunesmith.study.optional_packages import require
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import Choice, Float, Int, Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import Failure, FailureKind
from tunesmith.study.trials.view import Direction, Objective

Entry: TypeAlias = Mapping[str, Any]
Answer: TypeAlias = Callable[[Mapping[str, Value]], float]
Row: TypeAlias = NDArray[np.float32]
WIDEST_INT = 10**18
LENGTHS = ("epoch", "epochs", "boosting_iterations", "iterations", "steps")
"""Names of fidelities that are training lengths: a run at the full fidelity passes the lower ones."""


def read_table(path: Path, *, level: int = -1) -> Task:
    """Return the task that NAME.json describes, at one of its fidelities: by its index, the full one by default.

    Raises:
        SpecError: a key is missing or has a value that is not valid.
        ProjectError: a file cannot be read, or kind onnx without onnxruntime.
    """
    meta = _document(path)
    try:
        space = space_of(meta["space"], meta.get("default", {}))
        objective = Objective(meta["metric"]["name"], Direction(meta["metric"]["direction"]))
        data = path.parent / meta["data_file"]
        answer = _kind(meta["kind"], path)(meta, data, level)
        best, median = float(meta["stats"]["best"]), float(meta["stats"]["median_random"])
    except KeyError as error:
        # numpy says "val is not a file in the archive".
        missing = str(error.args[0]).partition(" is not a file")[0]
        raise SpecError([Mistake(missing, "is missing")], where=str(path)) from None
    except (TypeError, ValueError) as error:
        raise SpecError([Mistake("", f"is not valid: {error}")], where=str(path)) from None
    except OSError as error:
        raise ProjectError(f"{path}: its data file {meta['data_file']} cannot be read: {error}") from None
    if best == median:
        raise SpecError(
            [Mistake("stats", "best and median_random are equal, so regret has no scale; they must differ")],
            where=str(path),
        )
    return Task(
        name=str(meta.get("name", path.stem)),
        space=space,
        objective=objective,
        evaluate=_evaluation(answer),
        best=best,
        median_random=median,
        description=str(meta.get("description", "")),
        noise=float(meta.get("noise", 0.0)),
    )


def read_curves(path: Path) -> CurveTask | None:
    """Return the task with learning curves that NAME.json describes; None when its fidelity is not a training length.

    Raises:
        SpecError: a key is missing or has a value that is not valid.
        ProjectError: a file cannot be read, or kind onnx without onnxruntime.
    """
    full = read_table(path)
    meta = _document(path)
    graded = meta.get("fidelity") or {}
    if graded.get("name") not in LENGTHS:
        return None
    levels = range(len(graded["values"]))
    answers = [_kind(meta["kind"], path)(meta, path.parent / meta["data_file"], level) for level in levels]
    return CurveTask(
        name=full.name,
        space=full.space,
        objective=full.objective,
        steps=tuple(float(step) for step in graded["values"]),
        values=lambda params: [answer(params) for answer in answers],
        best=full.best,
        median_random=full.median_random,
    )


def space_of(entries: Iterable[Entry], default: Mapping[str, Value] = MappingProxyType({})) -> SearchSpace:
    """Return the search space that a table's entries describe, with the default configuration, if there is one.

    A parameter that is inactive in the default starts in the middle of its range.
    """
    return SearchSpace({entry["name"]: _parameter(entry, default) for entry in entries})


def _document(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProjectError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise SpecError([Mistake("", f"is not valid JSON: {error}")], where=str(path)) from None
    if not isinstance(found, dict):
        raise SpecError([Mistake("", "is not a JSON object; docs/benchmark.md has an example")], where=str(path))
    return found


def _evaluation(answer: Answer) -> Callable[[Mapping[str, Value], int], float | Failure]:
    risk: Answer = answer.p_failure if isinstance(answer, Forest) else (lambda params: 0.0)  # noqa: ARG005

    def evaluate(params: Mapping[str, Value], seed: int) -> float | Failure:  # noqa: ARG001  # tables hold means
        if risk(params) > 0.5:  # noqa: PLR2004  # more likely than not
            return Failure(kind=FailureKind.OOM, reason="most runs near this configuration failed when it was measured")
        value = answer(params)
        if np.isfinite(value):
            return value
        return Failure(kind=FailureKind.CRASH, reason="this configuration failed when the table was measured")

    return evaluate


def _parameter(entry: Entry, default: Mapping[str, Value]) -> Parameter:
    when = " and ".join(f"{name} in {list(values)!r}" for name, values in entry.get("condition", {}).items()) or None
    log = bool(entry.get("log"))
    more: dict[str, Any] = {"when": when}
    if entry["name"] in default:
        more["default"] = default[entry["name"]]
    match entry["type"]:
        case "float":
            return Float(float(entry["low"]), float(entry["high"]), log=log and entry["low"] > 0, **more)
        case "int":
            low, high = int(entry["low"]), int(entry["high"])
            # A log scale cannot start at 0 or below; a linear range has the same values.
            return Int(low, min(high, low + WIDEST_INT), log=log and low > 0, **more)
        case "categorical" | "ordinal" as kind:
            return Choice(entry["choices"], ordered=kind == "ordinal", **more)
    raise ValueError(f"type {entry['type']!r}{did_you_mean(entry['type'], ('float', 'int', 'categorical', 'ordinal'))}")


def _kind(name: str, path: Path) -> Callable[..., Answer]:
    kinds: dict[str, Callable[..., Answer]] = {"grid": Grid, "forest": Forest, "onnx": Network}
    if name not in kinds:
        raise SpecError([Mistake("kind", f"{name!r} is unknown{did_you_mean(name, kinds)}")], where=str(path))
    return kinds[name]


class Grid:
    """A full measured grid: returns the value of the nearest measured point; nan is a failed run.

    `level`, here and in the other kinds, is an index of the table's fidelities; the last is the full one.
    """

    def __init__(self, meta: Mapping[str, Any], data: Path, level: int = -1) -> None:
        self._entries: list[Entry] = meta["space"]
        values = np.load(data, allow_pickle=False)["val"]
        # ([fidelity,] one axis per parameter, repetitions); the last fidelity is the full one.
        self._values = np.mean(values[level] if meta.get("fidelity") else values, axis=-1)

    def __call__(self, params: Mapping[str, Value]) -> float:
        """Return the metric in its own direction."""
        return float(self._values[tuple(_nearest(entry, params[entry["name"]]) for entry in self._entries)])


def _nearest(entry: Entry, value: Any) -> int:
    if entry["type"] == "categorical":
        return int(entry["choices"].index(value))
    points = np.array(entry.get("grid") or entry["choices"], dtype=float)
    if entry.get("log"):
        points, value = np.log(points), np.log(value)
    return int(np.abs(points - float(value)).argmin())


class Forest:
    """A random forest fitted to measurements: returns the mean of its leaves, or exp of it when fitted to logs."""

    def __init__(self, meta: Mapping[str, Any], data: Path, level: int = -1) -> None:
        self._entries: list[Entry] = meta["space"]
        self._log = meta["surrogate"]["target"] == "log"
        arrays = np.load(data, allow_pickle=False)
        is_full = level in (-1, len((meta.get("fidelity") or {"values": [1]})["values"]) - 1)
        self._value = _Trees(arrays, "" if is_full else f"fid{level}_")
        self._failure = _Trees(arrays, "failure_") if "failure_root" in arrays else None
        self._seconds = _Trees(arrays, "seconds_") if "seconds_root" in arrays else None

    def __call__(self, params: Mapping[str, Value]) -> float:
        """Return the metric in its own direction."""
        mean = self._value.mean(self._row(params))
        return float(np.exp(mean)) if self._log else mean

    def p_failure(self, params: Mapping[str, Value]) -> float:
        """Return the probability that a run fails; 0 where the table has no forest for it."""
        return 0.0 if self._failure is None else self._failure.mean(self._row(params))

    def seconds(self, params: Mapping[str, Value]) -> float:
        """Return the seconds of a run; nan where the table has no forest for them."""
        return float("nan") if self._seconds is None else float(np.exp(self._seconds.mean(self._row(params))))

    def _row(self, params: Mapping[str, Value]) -> Row:
        return np.array([x for entry in self._entries for x in entry_features(entry, params)], dtype=np.float32)


class _Trees:
    """One forest's arrays, whose names in the file begin with `prefix`."""

    def __init__(self, arrays: Mapping[str, Any], prefix: str) -> None:
        names = (f"{prefix}{name}" for name in ("feat", "thr", "val", "root"))
        self._feature, self._threshold, self._value, self._root = (arrays[name] for name in names)
        there = f"{prefix}child" in arrays
        self._child = arrays[f"{prefix}child"] if there else breadth_first_children(self._feature, self._root)

    def mean(self, row: Row) -> float:
        """Return the mean of the leaves that a row of features falls into."""
        node = self._root.copy()
        while (inner := self._feature[node] >= 0).any():
            right = row[np.where(inner, self._feature[node], 0)] > self._threshold[node]
            # A node's left child is at index `child`, its right child at the next index.
            node = np.where(inner, self._child[node] + right, node)
        return float(self._value[node].astype(float).mean())


def breadth_first_children(feature: Any, root: Any) -> Any:
    """Return the left child of each node of trees that are listed breadth first; meaningless for leaves, feature -1.

    A tree of n inner nodes has 2 n + 1 nodes, and its k-th inner node's children follow those of the one before.
    """
    inner = feature >= 0
    earlier = np.cumsum(inner) - inner
    tree = np.searchsorted(root, np.arange(len(feature)), side="right") - 1
    return 2 * earlier + 1 + tree


def entry_features(entry: Entry, params: Mapping[str, Any]) -> list[float]:
    """Return an entry's columns: one per category, else one number that runs from 0 to 1, -1 where inactive."""
    value = params.get(entry["name"])
    if entry["type"] == "categorical":
        return [float(value == choice) for choice in entry["choices"]]
    if value is None:
        return [-1.0]
    ends = entry["choices"] if entry["type"] == "ordinal" else (entry["low"], entry["high"])
    low, high = ends[0], ends[-1]
    if not entry.get("log"):
        return [(value - low) / (high - low)]
    shift = 1.0 - low if low <= 0 else 0.0
    span = np.log(high + shift) - np.log(low + shift)
    return [float((np.log(value + shift) - np.log(low + shift)) / span)]


class Network:
    """A published surrogate network in ONNX format."""

    def __init__(self, meta: Mapping[str, Any], data: Path, level: int = -1) -> None:
        self._session = _session(data)
        self._onnx: Mapping[str, Any] = meta["onnx"]
        self._clip: tuple[float, float] = tuple(meta.get("clip", (-np.inf, np.inf)))
        self._fixed = dict(self._onnx["constants"])
        if meta.get("fidelity"):
            self._fixed[meta["fidelity"]["name"]] = meta["fidelity"]["values"][level]

    def __call__(self, params: Mapping[str, Value]) -> float:
        """Return the metric in its own direction."""
        known: dict[str, Any] = {**params, **self._fixed}
        choices = [self._onnx["encoding"][name][known.get(name, "#na#")] for name in self._onnx["cat_names"]]
        numbers = [float(known.get(name, 0.0)) for name in self._onnx["cont_names"]]
        first, second = self._session.get_inputs()
        feed = {first.name: np.array([choices], np.int32), second.name: np.array([numbers], np.float32)}
        answer = self._session.run(None, feed)[0]
        return float(np.clip(float(answer[0, self._onnx["output"]]), *self._clip))


@cache
def _session(data: Path) -> Any:
    """Open a network once; all fidelities of a table share it."""
    require("onnxruntime", purpose="a table of kind onnx")
    import onnxruntime  # 0.2 s

    if not data.is_file():
        raise FileNotFoundError(f"no file {data}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(data), options, providers=["CPUExecutionProvider"])
