"""Summarizes runs: statistics per planner and per task, and regret curves. Prints and draws nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from tunesmith.bench.runs import Run, RunKey
from tunesmith.bench.statistics import Array, Interval, bootstrap, mean_ranks, regret_curve
from tunesmith.bench.task import Task

MARKS = (10, 20, 50)


@dataclass(frozen=True, slots=True)
class PlannerFigures:
    """One planner over all tasks that it has runs on.

    Attributes:
        regret: mean normalized regret by number of trials.
        rank: mean over tasks of its rank by regret at the end; 1 is best, nan when no task has all planners.
        failed_share: failed trials as a fraction of all.
        ask_mean_s: seconds per suggestion; ask_p90_s its 90% quantile.
        worse_than_random: tasks on which its mean regret at the end is above that of planner `random`; None when
            `random` did not take part.
    """

    planner: str
    tasks: int
    runs: int
    regret: Mapping[int, Interval]
    rank: float
    failed_share: float
    ask_mean_s: float
    ask_p90_s: float
    worse_than_random: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class TaskFigures:
    """One planner on one task: mean regret over seeds by number of trials."""

    task: str
    planner: str
    seeds: int
    regret: Mapping[int, float]
    failed_share: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """All statistics; `curves[planner][task]` is (seeds, trials), the regret of the best value so far."""

    trials: int
    planners: tuple[PlannerFigures, ...]
    tasks: tuple[TaskFigures, ...]
    curves: Mapping[str, Mapping[str, Array]]

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values, every curve included."""
        return {
            "trials": self.trials,
            "planners": [asdict(figures) for figures in self.planners],
            "tasks": [asdict(figures) for figures in self.tasks],
            "curves": {p: {t: curve.tolist() for t, curve in by.items()} for p, by in self.curves.items()},
        }


def marks_for(trials: int) -> tuple[int, ...]:
    """Return the numbers of trials at which regret is reported: those of 10, 20, 50 that are reached, and the last."""
    return tuple(sorted({*(mark for mark in MARKS if mark < trials), trials}))


def compare(
    runs: Mapping[RunKey, Run], *, tasks: Sequence[Task], planners: Sequence[str], seeds: Sequence[int], trials: int
) -> Comparison:
    """Compare planners by the existing runs; a planner without runs is left out."""
    found: dict[str, dict[str, list[Run]]] = {}
    for planner in planners:
        for task in tasks:
            keys = [RunKey(task.name, planner, seed, trials) for seed in seeds]
            there = [runs[key] for key in keys if key in runs]
            if there:
                found.setdefault(planner, {})[task.name] = there
    by_name = {task.name: task for task in tasks}
    curves = {
        planner: {name: _curves(by_name[name], there, trials) for name, there in by.items()}
        for planner, by in found.items()
    }
    ends = {planner: {name: float(c[:, -1].mean()) for name, c in by.items()} for planner, by in curves.items()}
    ranks = mean_ranks(ends)
    return Comparison(
        trials,
        tuple(_planner(name, found[name], curves[name], ranks[name], _worse(name, ends)) for name in found),
        tuple(
            _task(t.name, p, found[p][t.name], curves[p][t.name]) for t in tasks for p in found if t.name in found[p]
        ),
        curves,
    )


def _curves(task: Task, runs: Sequence[Run], trials: int) -> Array:
    scale = partial(regret_curve, best=task.best, median_random=task.median_random, trials=trials)
    return np.array([scale(run.values) for run in runs])


def _worse(planner: str, ends: Mapping[str, Mapping[str, float]]) -> tuple[str, ...] | None:
    if "random" not in ends:
        return None
    random = ends["random"]
    return tuple(task for task, regret in ends[planner].items() if task in random and regret > random[task])


def _planner(
    planner: str,
    by_task: Mapping[str, Sequence[Run]],
    curves: Mapping[str, Array],
    rank: float,
    worse: tuple[str, ...] | None,
) -> PlannerFigures:
    runs = [run for there in by_task.values() for run in there]
    ask_s = [seconds for run in runs for seconds in run.ask_s]
    trials = next(iter(curves.values())).shape[1]
    return PlannerFigures(
        planner=planner,
        tasks=len(by_task),
        runs=len(runs),
        regret={mark: bootstrap([c[:, mark - 1] for c in curves.values()]) for mark in marks_for(trials)},
        rank=rank,
        failed_share=_failed_share(runs),
        ask_mean_s=float(np.mean(ask_s)) if ask_s else 0.0,
        ask_p90_s=float(np.quantile(ask_s, 0.9)) if ask_s else 0.0,
        worse_than_random=worse,
    )


def _task(task: str, planner: str, runs: Sequence[Run], curves: Array) -> TaskFigures:
    regret = {mark: float(curves[:, mark - 1].mean()) for mark in marks_for(curves.shape[1])}
    return TaskFigures(task, planner, len(runs), regret, _failed_share(runs))


def _failed_share(runs: Sequence[Run]) -> float:
    trials = sum(len(run.values) for run in runs)
    return sum(sum(run.failures.values()) for run in runs) / trials if trials else 0.0
