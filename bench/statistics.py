"""Statistics of a comparison: regret, bootstrap intervals and ranks. Arrays in, numbers out; knows no task or file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tunesmith.bench.task import WORST_REGRET

Array: TypeAlias = NDArray[np.float64]
RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its 95% interval."""

    mean: float
    low: float
    high: float


def regret_curve(values: Sequence[float | None], *, best: float, median_random: float, trials: int) -> Array:
    """Return the normalized regret of the best value so far, (trials,); None is a failed trial.

    Regret is (best so far - best) / (median_random - best), also for maximizing; at most 10, and 10 before the first
    success. A run that ended early, because the space was exhausted, keeps its last regret.
    """
    curve = np.full(trials, WORST_REGRET)
    measured = np.array([np.nan if v is None else v for v in values[:trials]], dtype=float)
    regret = np.nan_to_num((measured - best) / (median_random - best), nan=WORST_REGRET)
    so_far = np.minimum.accumulate(np.minimum(regret, WORST_REGRET))
    curve[: len(so_far)] = so_far
    if 0 < len(so_far) < trials:
        curve[len(so_far) :] = so_far[-1]
    return curve


def mean_over_tasks(by_task: Sequence[Array]) -> float:
    """(seeds,) per task -> the mean of the tasks' means; every task has the same weight."""
    return float(np.mean([np.mean(seeds) for seeds in by_task]))


def bootstrap(by_task: Sequence[Array], *, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """(seeds,) per task -> their mean and its 95% interval: tasks are drawn with replacement, then each one's seeds."""
    rng = np.random.default_rng(seed)
    # (resamples, tasks): the mean over drawn seeds of each drawn task.
    drawn = rng.integers(len(by_task), size=(resamples, len(by_task)))
    means = np.empty(drawn.shape)
    for index, seeds in enumerate(by_task):
        where = drawn == index
        picks = rng.integers(len(seeds), size=(int(where.sum()), len(seeds)))
        means[where] = np.asarray(seeds)[picks].mean(axis=1)
    low, high = np.quantile(means.mean(axis=1), [0.025, 0.975])
    return Interval(mean_over_tasks(by_task), float(low), float(high))


def mean_ranks(regrets: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """{planner: {task: mean regret}} -> {planner: mean rank}, 1 the best; ties share a rank.

    Only tasks that every planner has are ranked; nan when there are none.
    """
    from scipy.stats import rankdata  # 0.2 s

    planners = list(regrets)
    shared = [task for task in regrets[planners[0]] if all(task in regrets[p] for p in planners)] if planners else []
    if not shared:
        return dict.fromkeys(planners, float("nan"))
    ranks = np.mean([rankdata([regrets[p][task] for p in planners]) for task in shared], axis=0)
    return dict(zip(planners, map(float, ranks), strict=True))
