"""Runs planners on tasks with learning curves, each run in a worker process; stores each run as soon as it ends."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from tunesmith.bench.epochs import own, peers
from tunesmith.bench.epochs.meter import Meter
from tunesmith.bench.epochs.task import CurveTask
from tunesmith.bench.runner import ignore_interrupts, one_thread
from tunesmith.bench.table import read_curves
from tunesmith.bench.tasks import TABLES
from tunesmith.study.errors import Mistake, ProjectError, SpecError
from tunesmith.study.names import did_you_mean

MAKERS: dict[str, Callable[[Meter, int], None]] = {**own.MAKERS, **peers.MAKERS}


@dataclass(frozen=True, slots=True, order=True)
class EpochKey:
    """Identifies a run; `full_runs` is its budget of epochs, in full runs."""

    task: str
    planner: str
    seed: int
    full_runs: int


@dataclass(frozen=True, slots=True)
class EpochRun:
    """The results of a run.

    Attributes:
        reached: (epochs spent by then, in full runs; normalized regret) of each configuration that ran to the end.
        started: number of configurations that were started.
    """

    key: EpochKey
    reached: tuple[tuple[float, float], ...]
    started: int


def curve_tasks(names: Sequence[str], folders: Sequence[Path]) -> list[CurveTask]:
    """Return the tasks with curves of these names; "all" means every table in the folders with curves.

    Raises:
        SpecError: a name is unknown, or a table is not valid.
        ProjectError: no table has curves, or onnxruntime is missing.
    """
    found = {name: task for name in _paths(folders) if (task := _task(name, tuple(folders))) is not None}
    unknown = [name for name in names if name != "all" and name not in found]
    if unknown:
        raise SpecError([Mistake(n, f"has no curves here{did_you_mean(n, found)}") for n in unknown], where="--task")
    if not found:
        raise ProjectError("no table has learning curves; give a folder of such tables with --data (docs/benchmark.md)")
    return [task for name, task in found.items() if "all" in names or name in names]


def check_planners(names: Iterable[str]) -> None:
    """Refuse unknown planners.

    Raises:
        SpecError: with every unknown name.
    """
    wrong = [n for n in names if n not in MAKERS]
    if wrong:
        known = ", ".join(MAKERS)
        mistakes = [Mistake(n, f"is not a planner for epochs{did_you_mean(n, MAKERS)}; known: {known}") for n in wrong]
        raise SpecError(mistakes, where="--planner")


def run_one(task: CurveTask, key: EpochKey) -> EpochRun:
    """Spend the budget of a key on a task."""
    meter = Meter(task, budget=task.end * key.full_runs)
    MAKERS[key.planner](meter, key.seed)
    reached = tuple((round(r.epochs / task.end, 6), round(task.regret(r.value), 8)) for r in meter.reached)
    return EpochRun(key, reached, meter.started)


def run_all(
    keys: Sequence[EpochKey], results: Path, *, folders: Sequence[Path], jobs: int, on_done: Callable[[EpochKey], None]
) -> dict[EpochKey, EpochRun]:
    """Run the keys that the results file lacks, `jobs` at a time, and return the runs of all keys."""
    runs = read_runs(results)
    missing = [key for key in keys if key not in runs]
    if missing:
        before = set(multiprocessing.active_children())
        context = multiprocessing.get_context("spawn")
        with one_thread(), ProcessPoolExecutor(jobs, mp_context=context, initializer=ignore_interrupts) as pool:
            waiting = [pool.submit(_work, key, tuple(folders)) for key in missing]
            try:
                for done in as_completed(waiting):
                    run = done.result()
                    runs[run.key] = run
                    with results.open("a", encoding="utf-8") as lines:
                        lines.write(json.dumps(asdict(run)) + "\n")
                    on_done(run.key)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for worker in set(multiprocessing.active_children()) - before:
                    worker.terminate()
                raise
    return {key: runs[key] for key in keys}


def read_runs(results: Path) -> dict[EpochKey, EpochRun]:
    """Return the runs in a results file; empty when the file does not exist.

    Raises:
        SpecError: a line is not such a run.
    """
    if not results.exists():
        return {}
    runs = {}
    for number, line in enumerate(results.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            key = EpochKey(**row["key"])
            started = int(row["started"] if "started" in row else row["begun"])  # "begun" in files before 2026-12
            runs[key] = EpochRun(key, tuple((float(e), float(r)) for e, r in row["reached"]), started)
        except (ValueError, TypeError, KeyError):
            message = "is not a run of a comparison of epochs; give another file with --results"
            raise SpecError([Mistake(f"line {number}", message)], where=str(results)) from None
    return runs


def _work(key: EpochKey, folders: tuple[Path, ...]) -> EpochRun:
    task = _task(key.task, folders)
    assert task is not None  # noqa: S101  # it was there when the keys were made
    return run_one(task, key)


def _paths(folders: Sequence[Path]) -> dict[str, Path]:
    return {path.stem: path for folder in [TABLES, *folders] for path in sorted(folder.glob("*.json"))}


@cache
def _task(name: str, folders: tuple[Path, ...]) -> CurveTask | None:
    return read_curves(_paths(folders)[name])
