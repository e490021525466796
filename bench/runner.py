"""Runs planners on tasks, each run in a worker process with one thread, and keeps every run as soon as it is done."""

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
    """A run that a planner did not survive; it is not kept, so the next call tries it again."""

    key: RunKey
    reason: str


def run_once(task: Task, planner: Planner, key: RunKey) -> Run:
    """Ask, evaluate and tell `key.trials` times; fewer when the space is exhausted. Planners' exceptions pass."""
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
            planner.tell(result)
    return Run(key, tuple(values), dict(failures), tuple(round(s, 6) for s in ask_s))


def run_all(
    keys: Iterable[RunKey],
    results: ResultsFile,
    *,
    folders: Sequence[Path] = (),
    jobs: int = 1,
    on_done: Callable[[RunKey, str], None] = lambda key, reason: None,
) -> list[Crash]:
    """Run what the results file lacks, `jobs` at a time; return the runs that crashed.

    Args:
        keys: what is wanted; a run that the results file has is not run again.
        results: gets every run as soon as it is done, so an interruption loses only the runs under way.
        folders: where the tables of tasks stand that are not bundled.
        jobs: worker processes, each with one thread.
        on_done: called with each key and why its run crashed, "" when it did not.

    Raises:
        KeyboardInterrupt: after the workers were ended.
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
                reason = _kept(done, results)
                if reason:
                    crashes.append(Crash(waiting[done], reason))
                on_done(waiting[done], reason)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in set(multiprocessing.active_children()) - before:
                worker.terminate()
            raise
    return crashes


def _kept(done: Future[Run | str], results: ResultsFile) -> str:
    try:
        outcome = done.result()
    except BrokenProcessPool:
        return "a worker process died; the same command again goes on with what is missing"
    if isinstance(outcome, str):
        return outcome
    results.append(outcome)
    return ""


def _work(key: RunKey, folders: tuple[Path, ...]) -> Run | str:
    """Run one key in a worker; what went wrong is text, since not every exception survives the way back."""
    try:
        task = _task(key.task, folders)
        return run_once(task, find_planner(key.planner)(task, key.seed), key)
    except Exception as error:  # noqa: BLE001  # a planner may raise anything; it ends that run alone
        return f"{type(error).__name__}: {error}"


@cache
def _task(name: str, folders: tuple[Path, ...]) -> Task:
    return task_makers(folders)[name]()


def _evaluated(task: Task, params: Mapping[str, Value], seed: int) -> float | Failure:
    try:
        return task.evaluate(params, seed)
    except Exception as error:  # noqa: BLE001  # a task is somebody's code; its exception is a failed trial
        return Failure(kind=FailureKind.CRASH, reason=f"{type(error).__name__}: {error}")


def ignore_interrupts() -> None:
    """Ctrl-C reaches the whole group of processes; the parent decides what becomes of the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let workers inherit one thread each: numeric libraries read these only when they are loaded."""
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
