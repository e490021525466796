"""Plans slots: how many trials run at once, and the GPUs and cores of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tunesmith.study.config.tables.run import RunTable
from tunesmith.study.errors import ProjectError

MAX_TRIALS_PER_GPU = 4
"""Largest number of trials on one GPU when they are packed by memory; more would mostly wait for each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """What one running trial uses.

    Attributes:
        index: number of the slot, from 0.
        gpus: ids as in CUDA_VISIBLE_DEVICES.
        cpus: number of threads that the trial should use.
        cores: CPU cores that it is pinned to; empty for any.
    """

    index: int
    gpus: tuple[str, ...] = ()
    cpus: int = 1
    cores: tuple[int, ...] = ()


def plan_slots(run: RunTable, gpus: Sequence[str], cpus: int, *, note: str = "") -> list[Slot]:
    """Return one slot per concurrent trial on this machine.

    A trial gets whole GPUs for itself; at a fraction f, floor(1 / f) trials share one GPU. Without GPUs and without
    `parallel`, there is one slot per two cores.

    Args:
        run: the study's [run].
        gpus: ids of this machine's GPUs.
        cpus: number of cores for all trials.
        note: a remark on this machine's GPUs, for the error message.

    Raises:
        ProjectError: there are fewer GPUs than one trial, or than `parallel` trials, need.
    """
    if run.gpu_count == 0:
        count = run.parallel or max(1, cpus // 2)
        return [Slot(index=index, cpus=max(1, cpus // count)) for index in range(count)]
    groups = _gpu_groups(1 / MAX_TRIALS_PER_GPU if run.packs else run.gpu_count, gpus)
    if not groups:
        found = f"{len(gpus)} NVIDIA GPU{'s' if len(gpus) > 1 else ''} found" if gpus else "no NVIDIA GPU was found"
        why = f" ({note})" if note else ""
        asked = '"auto"' if run.packs else f"{run.gpu_count:g}"
        raise ProjectError(f"[run].gpus = {asked}, but {found} on this machine{why}; set gpus = 0 or run elsewhere")
    if run.parallel is not None and run.parallel > len(groups):
        raise ProjectError(
            f"[run].parallel = {run.parallel}, but {len(gpus)} GPUs have room for {len(groups)} trials of "
            f"{run.gpu_count:g} GPU; set parallel = {len(groups)}, or leave it out"
        )
    used = groups[: run.parallel]
    return [Slot(index=i, gpus=group, cpus=max(1, cpus // len(used))) for i, group in enumerate(used)]


def pin_to_cores(slots: Sequence[Slot], cores: Sequence[int]) -> list[Slot]:
    """Return the slots with the cores divided among them; unchanged when there are fewer cores than slots."""
    count = len(slots)
    if len(cores) < count:
        return list(slots)
    bounds = [index * len(cores) // count for index in range(count + 1)]
    return [replace(slot, cores=tuple(cores[bounds[i] : bounds[i + 1]])) for i, slot in enumerate(slots)]


def plan_cluster_slots(run: RunTable, *, cpus: int, capacity: int | None) -> list[Slot]:
    """Return one slot per concurrent trial on a cluster, which places the trials itself.

    Args:
        run: the study's [run].
        cpus: number of CPUs per trial.
        capacity: how many trials fit now; None when that is not known.

    Raises:
        ProjectError: no trial fits.
    """
    if capacity == 0:
        needed = f"{run.gpu_count:g} GPUs and {cpus} CPUs" if run.gpu_count else f"{cpus} CPUs"
        raise ProjectError(
            f"no node of the cluster has {needed} for a trial; set [run].gpus, or [executor].cpus, lower"
        )
    return [Slot(index=index, cpus=cpus) for index in range(run.parallel or capacity or 1)]


def _gpu_groups(gpus_per_trial: float, gpus: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the GPUs of each trial, one tuple per trial."""
    if gpus_per_trial >= 1:
        size = int(gpus_per_trial)
        return [tuple(gpus[first : first + size]) for first in range(0, len(gpus) - size + 1, size)]
    # Every GPU gets its first trial before any gets a second.
    return [(gpu,) for _ in range(math.floor(1 / gpus_per_trial + 1e-9)) for gpu in gpus]
