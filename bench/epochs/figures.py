"""Statistics of a comparison of epochs: regret by budget, epochs to a target regret, and their ratios.

Runs in, numbers out. Knows no planner and no file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.bench.epochs.runner import EpochKey, EpochRun
from tunesmith.bench.statistics import RESAMPLES, Array, Interval, bootstrap
from tunesmith.bench.task import WORST_REGRET

TARGETS = (0.10, 0.05, 0.02, 0.01)
MARKS = (5, 10, 20)


@dataclass(frozen=True, slots=True)
class EpochFigures:
    """One planner over all tasks.

    Attributes:
        regret: mean normalized regret of the best configuration that ran to the end, by budget in full runs.
        until: mean full runs until the regret was at most a target, by target; the whole budget where it never was.
        missed: fraction of runs that never reached a target, by target.
    """

    planner: str
    regret: Mapping[int, Interval]
    until: Mapping[float, Interval]
    missed: Mapping[float, float]


def figures(runs: Mapping[EpochKey, EpochRun], planner: str, full_runs: int) -> EpochFigures:
    """Return the figures of one planner."""
    mine = by_task(runs, planner)
    marks = sorted({*(m for m in MARKS if m < full_runs), full_runs})
    times = {t: [np.array([epochs_to(r, t, full_runs) for r in some]) for some in mine.values()] for t in TARGETS}
    flat = [run for some in mine.values() for run in some]
    return EpochFigures(
        planner,
        {m: bootstrap([np.array([regret_at(r, m) for r in some]) for some in mine.values()]) for m in marks},
        {target: bootstrap(each) for target, each in times.items()},
        {target: float(np.mean([all(regret > target for _, regret in r.reached) for r in flat])) for target in TARGETS},
    )


def by_task(runs: Mapping[EpochKey, EpochRun], planner: str) -> dict[str, list[EpochRun]]:
    """Return a planner's runs by task, by seed."""
    found: dict[str, list[EpochRun]] = {}
    for key in sorted(runs):
        if key.planner == planner:
            found.setdefault(key.task, []).append(runs[key])
    return found


def epochs_to(run: EpochRun, target: float, full_runs: int) -> float:
    """Return the full runs' worth of epochs after which a run reached a target regret; its budget when it never did."""
    return min((epochs for epochs, regret in run.reached if regret <= target), default=float(full_runs))


def regret_at(run: EpochRun, full_runs: float) -> float:
    """Return the regret of the best configuration that had run to the end by then; 10 while there is none."""
    return min((regret for epochs, regret in run.reached if epochs <= full_runs), default=WORST_REGRET)


def ratio(runs: Mapping[EpochKey, EpochRun], planner: str, peer: str, target: float, full_runs: int) -> Interval:
    """Return the ratio of the epochs that a planner and a peer need to reach a target, over all tasks.

    It is the geometric mean over tasks of the ratio of mean epochs, with a 95% interval from drawing tasks and then
    seeds. A run that never reached the target counts with its budget, which favours a planner or peer that misses.
    """
    times = {
        name: {t: np.array([epochs_to(r, target, full_runs) for r in some]) for t, some in by_task(runs, name).items()}
        for name in (planner, peer)
    }
    tasks = [task for task in times[planner] if task in times[peer]]
    rng = np.random.default_rng(0)

    def resampled_mean(seeds: Array) -> float:
        return float(seeds[rng.integers(len(seeds), size=len(seeds))].mean())

    def mean_ratio(logs: Sequence[float]) -> float:
        return float(np.exp(np.mean(logs)))

    whole = mean_ratio([float(np.log(times[planner][t].mean() / times[peer][t].mean())) for t in tasks])
    resampled = []
    for _ in range(RESAMPLES):
        some = [tasks[i] for i in rng.integers(len(tasks), size=len(tasks))]
        resampled.append(
            mean_ratio(
                [float(np.log(resampled_mean(times[planner][t]) / resampled_mean(times[peer][t]))) for t in some]
            )
        )
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Interval(whole, float(low), float(high))
