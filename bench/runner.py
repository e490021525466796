"""Runs planners on tasks, each run in a worker process with one thread; stores every run as soon as it ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tunesmith.bench.planners import Planner, find_planner
from tunesmith.bench.runs import ResultsFile, Run, RunKey
from tunesmith.bench.task import Task
from tunesmith.bench.tasks import task_makers
from tunesmith.study.errors import SpaceExhausted
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.trial import Failure, FailureKind

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Crash:
    """A run that ended in an exception; it is not stored, so the next call repeats it."""

    key: RunKey
    reason: str


def run_once(task: Task, planner: Planner, key: RunKey) -> Run:
    """Ask, evaluate and tell `key.trials` times, or until the space is exhausted. Planner exceptions propagate.

    A planner sees the value with its task's noise; the run keeps the value without.
    """
    values: list[float | None] = []
    failures: Counter[str] = Counter()
    ask_s: list[float] = []
    for _ in range(key.trials):
        began = time.perf_counter()
        try:
            params = planner.ask()
        except SpaceExhausted:
            break
        ask_s.append(time.perf_counter() - began)
        result = _evaluated(task, params, key.seed)
        if isinstance(result, Failure):
            failures[result.kind.value] += 1
            values.append(None)
            planner.fail(result)
        else:
            values.append(result)
            planner.tell(task.measured(result, params, key.seed))
    return Run(key, tuple(values), dict(failures), tuple(round(s, 6) for s in ask_s))


def run_all(
    keys: Iterable[RunKey],
    results: ResultsFile,
    *,
    folders: Sequence[Path] = (),
    jobs: int = 1,
    on_done: Callable[[RunKey, str], None] = lambda key, reason: None,
) -> list[Crash]:
    """Run the keys that the results file lacks, `jobs` at a time; return the runs that crashed.

    Args:
        keys: the runs; those that the results file has are not repeated.
        results: stores every run as soon as it ends, so an interruption loses only unfinished runs.
        folders: contain the tables of tasks that are not bundled.
        jobs: worker processes, each with one thread.
        on_done: called with each key and the error text of its run, "" when it did not crash.

    Raises:
        KeyboardInterrupt: raised after the workers were terminated.
    """
    crashes: list[Crash] = []
    missing = [key for key in keys if key not in results.runs]
    if not missing:
        return crashes
    before = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    with one_thread(), ProcessPoolExecutor(jobs, mp_context=context, initializer=ignore_interrupts) as pool:
        waiting = {pool.submit(_work, key, tuple(folders)): key for key in missing}
        try:
            for done in as_completed(waiting):
                reason = _store(done, results)
                if reason:
                    crashes.append(Crash(waiting[done], reason))
                on_done(waiting[done], reason)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in set(multiprocessing.active_children()) - before:
                worker.terminate()
            raise
    return crashes


def _store(done: Future[Run | str], results: ResultsFile) -> str:
    try:
        outcome = done.result()
    except BrokenProcessPool:
        return "a worker process died; repeat the command to run what is missing"
    if isinstance(outcome, str):
        return outcome
    results.append(outcome)
    return ""


def _work(key: RunKey, folders: tuple[Path, ...]) -> Run | str:
    """Run one key in a worker; return the error as text, because not every exception can be pickled."""
    try:
        task = _task(key.task, folders)
        return run_once(task, find_planner(key.planner)(task, key.seed), key)
    except Exception as error:  # noqa: BLE001  # a planner may raise anything; only its run ends
        return f"{type(error).__name__}: {error}"


@cache
def _task(name: str, folders: tuple[Path, ...]) -> Task:
    return task_makers(folders)[name]()


def _evaluated(task: Task, params: Mapping[str, Value], seed: int) -> float | Failure:
    try:
        return task.evaluate(params, seed)
    except Exception as error:  # noqa: BLE001  # a task may raise anything; that trial failed
        return Failure(kind=FailureKind.CRASH, reason=f"{type(error).__name__}: {error}")


def ignore_interrupts() -> None:
    """Ignore Ctrl-C in a worker: it reaches the whole process group, and the parent terminates the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def one_thread() -> Iterator[None]:
    """Set environment variables that limit workers to one thread; numeric libraries read them when they are loaded."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
