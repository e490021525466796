"""The figures of a comparison of epochs: how much regret is left when, how many epochs to little of it, and ratios.

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
        until: mean full runs until the regret was at most a target, the whole budget where it never was, by target.
        missed: the share of runs that never came to a target, by target.
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
    """Return after how many full runs' epochs a run came to a target of regret; its budget when it never did."""
    return min((epochs for epochs, regret in run.reached if regret <= target), default=float(full_runs))


def regret_at(run: EpochRun, full_runs: float) -> float:
    """Return the regret of the best configuration that had run to the end by then, 10 while there is none."""
    return min((regret for epochs, regret in run.reached if epochs <= full_runs), default=WORST_REGRET)


def ratio(runs: Mapping[EpochKey, EpochRun], planner: str, peer: str, target: float, full_runs: int) -> Interval:
    """Return by which factor a planner needs the epochs of a peer to come to a target, over all tasks alike.

    The mean epochs of one over those of the other on each task, and of these the geometric mean; its 95% interval by
    drawing tasks and then seeds. A run that never came there counts with its budget, so that the ratio is one-sided: a
    peer that misses is taken to have been just in time.
    """
    times = {
        name: {t: np.array([epochs_to(r, target, full_runs) for r in some]) for t, some in by_task(runs, name).items()}
        for name in (planner, peer)
    }
    tasks = [task for task in times[planner] if task in times[peer]]
    rng = np.random.default_rng(0)

    def drawn(seeds: Array) -> float:
        return float(seeds[rng.integers(len(seeds), size=len(seeds))].mean())

    def mean_ratio(logs: Sequence[float]) -> float:
        return float(np.exp(np.mean(logs)))

    whole = mean_ratio([float(np.log(times[planner][t].mean() / times[peer][t].mean())) for t in tasks])
    resampled = []
    for _ in range(RESAMPLES):
        some = [tasks[i] for i in rng.integers(len(tasks), size=len(tasks))]
        resampled.append(mean_ratio([float(np.log(drawn(times[planner][t]) / drawn(times[peer][t]))) for t in some]))
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Interval(whole, float(low), float(high))
