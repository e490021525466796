"""Which free slot a trial may take where trials share a GPU: so that their memory fits, and a second attempt is alone.

Plain functions of what runs. Knows no process and measures nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunesmith.evaluator.executors.slots import Slot
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import FailureKind, Trial

FULL = 0.92
"""Of a GPU's memory so much is given away; drivers and fragmentation take the rest."""
SPARE = 1.15
"""A trial is expected to need so much more than its neighbours did."""
NEIGHBOURS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuJob:
    """A trial on a GPU: what memory it is expected to need, None for unknown, and whether it must be alone there."""

    slot: Slot
    expected_gib: float | None = None
    is_alone: bool = False


def expected_gib(trial: Trial, trials: Sequence[Trial], space: SearchSpace) -> float | None:
    """Return the GPU memory that a trial will need at its peak, in GiB, from what its nearest neighbours did.

    The most that the nearest three needed, and some more. None while fewer were measured. Infinite when one of them ran
    out of memory: nobody knows what it would have needed.
    """
    here = space.to_unit(trial.params)
    measured = [(math.dist(here, space.to_unit(other.params)), _needed_gib(other)) for other in trials]
    nearest = sorted((distance, gib) for distance, gib in measured if gib is not None)[:NEIGHBOURS]
    return SPARE * max(gib for _, gib in nearest) if len(nearest) == NEIGHBOURS else None


def fits(new: GpuJob, others: Sequence[GpuJob], memory_gib: Mapping[str, float | None] | None) -> bool:
    """Tell whether a trial may start on its slot beside those that run.

    Args:
        new: the trial on a slot that is free.
        others: what runs, wherever.
        memory_gib: how much memory each GPU has; None where GPUs are divided by number and not by memory.
    """
    beside = [other for other in others if set(other.slot.gpus) & set(new.slot.gpus)]
    if not beside:
        return True
    if new.is_alone or any(other.is_alone for other in beside):
        return False
    if memory_gib is None:
        return True
    return all(_fits(gpu, [new, *beside], memory_gib[gpu]) for gpu in new.slot.gpus)


def _fits(gpu: str, tenants: Sequence[GpuJob], memory_gib: float | None) -> bool:
    needs = [tenant.expected_gib for tenant in tenants if gpu in tenant.slot.gpus]
    known = [need for need in needs if need is not None]
    return memory_gib is not None and len(known) == len(needs) and sum(known) <= FULL * memory_gib


def _needed_gib(trial: Trial) -> float | None:
    """Return what a finished trial needed, None when that is not known."""
    if trial.outcome is None:
        return None
    if trial.failure is not None and trial.failure.kind is FailureKind.OOM:
        return math.inf
    return None if trial.failure is not None else trial.outcome.usage.gpu_mem_gib
