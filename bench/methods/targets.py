"""How soon each method reaches a target, and the performance profile over all tasks and repeats.

A profile shows the share of cases in which a method needed at most a multiple of the fastest method's trials (Dolan and
Moré 2002, "Benchmarking Optimization Software with Performance Profiles"; AlgoPerf compares training algorithms so).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tunesmith.bench.methods.results import MethodResult

MULTIPLES = (1.0, 2.0, 4.0)
"""Multiples of the fastest method's trials that are shown as numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeToTarget:
    """How soon one method reached the target of one task.

    Attributes:
        trials: the median of its tuning trials until then over repeats; inf where most never got there.
        seconds: the same for seconds of training.
        reached: in how many of its `repeats`.
    """

    target: float
    trials: float
    seconds: float
    reached: int
    repeats: int


def targets(
    by_task: Mapping[str, Mapping[str, Sequence[MethodResult]]], given: Mapping[str, float]
) -> dict[str, float]:
    """Return each task's target: the given one of its metric, else the median of the method that ended worst.

    The second is a value that every method reaches about half of the time at least, so that times can be compared.
    """
    found = {}
    for task, methods in by_task.items():
        results = [result for some in methods.values() for result in some]
        objective = results[0].objective
        if objective.metric in given:
            found[task] = given[objective.metric]
            continue
        ends = [[r.tuned for r in some if r.tuned is not None] for some in methods.values()]
        medians = [median(values) for values in ends if values]
        if medians:
            found[task] = max(medians, key=lambda value: objective.sign * value)
    return found


def time_to_target(results: Sequence[MethodResult], target: float) -> TimeToTarget:
    """Return how soon a method reached the target."""
    moments = [result.reached(target) for result in results]
    return TimeToTarget(
        target=target,
        trials=median([m.trials if m else math.inf for m in moments]),
        seconds=median([m.seconds if m else math.inf for m in moments]),
        reached=sum(m is not None for m in moments),
        repeats=len(moments),
    )


def ratios(
    by_task: Mapping[str, Mapping[str, Sequence[MethodResult]]], target: Mapping[str, float]
) -> dict[str, list[float]]:
    """Return each method's trials to the target in multiples of the fastest's, for every task and repeat.

    inf where it did not get there; cases in which no method did are left out.
    """
    found: dict[str, list[float]] = {method: [] for methods in by_task.values() for method in methods}
    for task, methods in by_task.items():
        if task not in target:
            continue
        for repeat in sorted({result.repeat for some in methods.values() for result in some}):
            times = {
                method: next((_trials_to(r, target[task]) for r in some if r.repeat == repeat), math.inf)
                for method, some in methods.items()
            }
            fastest = min(times.values())
            if math.isfinite(fastest):
                for method, needed in times.items():
                    found[method].append(needed / fastest)
    return found


def _trials_to(result: MethodResult, target: float) -> float:
    moment = result.reached(target)
    return math.inf if moment is None else float(moment.trials)


def share_within(found: Sequence[float], multiple: float) -> float:
    """Return the share of cases within a multiple of the fastest; nan without a case."""
    return sum(ratio <= multiple for ratio in found) / len(found) if found else math.nan
