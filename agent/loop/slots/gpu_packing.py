"""Decides which trials may share a GPU: their expected memory must fit, and a second attempt runs exclusively.

Plain functions of the jobs that run. Knows no process and measures nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunesmith.evaluator.executors.slots import Slot
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import FailureKind, Trial

USABLE_MEMORY = 0.92
"""Fraction of a GPU's memory given to trials; drivers and fragmentation take the rest."""
MEMORY_MARGIN = 1.15
"""Expected memory of a trial, relative to the most that its neighbours needed."""
NEIGHBOURS = 3
"""Number of nearest measured trials that predict the memory of a new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuJob:
    """A trial on a slot with GPUs.

    Attributes:
        expected_gib: GPU memory that it is expected to need at its peak, in GiB; None for unknown.
        is_exclusive: whether nothing else may run on its GPUs.
    """

    slot: Slot
    expected_gib: float | None = None
    is_exclusive: bool = False


def expected_gib(trial: Trial, trials: Sequence[Trial], space: SearchSpace) -> float | None:
    """Return the GPU memory that a trial is expected to need at its peak, in GiB.

    The most that the nearest `NEIGHBOURS` trials needed, plus a margin. None while fewer were measured. Infinite when
    one of them ran out of memory: its need is unknown.
    """
    here = space.to_unit(trial.params)
    measured = [(math.dist(here, space.to_unit(other.params)), _peak_gib(other)) for other in trials]
    nearest = sorted((distance, gib) for distance, gib in measured if gib is not None)[:NEIGHBOURS]
    return MEMORY_MARGIN * max(gib for _, gib in nearest) if len(nearest) == NEIGHBOURS else None


def fits(new: GpuJob, running: Sequence[GpuJob], memory_gib: Mapping[str, float | None] | None) -> bool:
    """Return whether a trial may start on its slot while others run.

    Args:
        new: the trial, on a free slot.
        running: the trials that run on any slot.
        memory_gib: memory of each GPU, by id; None where GPUs are shared by count, without a look at memory.
    """
    neighbours = [other for other in running if set(other.slot.gpus) & set(new.slot.gpus)]
    if not neighbours:
        return True
    if new.is_exclusive or any(other.is_exclusive for other in neighbours):
        return False
    if memory_gib is None:
        return True
    return all(_fits_on(gpu, [new, *neighbours], memory_gib[gpu]) for gpu in new.slot.gpus)


def _fits_on(gpu: str, jobs: Sequence[GpuJob], memory_gib: float | None) -> bool:
    needs = [job.expected_gib for job in jobs if gpu in job.slot.gpus]
    known = [need for need in needs if need is not None]
    return memory_gib is not None and len(known) == len(needs) and sum(known) <= USABLE_MEMORY * memory_gib


def _peak_gib(trial: Trial) -> float | None:
    """Return what a finished trial needed; None where it was not measured."""
    if trial.outcome is None:
        return None
    if trial.failure is not None and trial.failure.kind is FailureKind.OOM:
        return math.inf
    return None if trial.failure is not None else trial.outcome.usage.gpu_mem_gib
