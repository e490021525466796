"""The places in which trials run at once, and the GPUs and cores that belong to each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tunesmith.study.config.spec import RunTable
from tunesmith.study.errors import ProjectError


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One place. `gpus` are CUDA's ids; `cpus` is how many threads a trial in it should use; `cores` are those that it
    keeps to, none for any.
    """

    index: int
    gpus: tuple[str, ...] = ()
    cpus: int = 1
    cores: tuple[int, ...] = ()


PACKED = 4
"""Of trials that are packed by their memory, at most so many share a GPU; more would mostly wait for each other."""


def plan_slots(run: RunTable, gpus: Sequence[str], cpus: int, *, note: str = "") -> list[Slot]:
    """Return one slot for each trial that may run at once.

    Whole GPUs are given to one trial each; of a fraction f, floor(1 / f) trials share one GPU. Without GPUs and
    without `parallel`, every second core gets a trial.

    Args:
        run: the study's [run].
        gpus: the GPUs that there are, by CUDA's ids.
        cpus: how many cores there are for all trials.
        note: what else is known of this machine's GPUs.

    Raises:
        ProjectError: there are fewer GPUs than one trial, or than `parallel` trials, need.
    """
    if run.gpu_count == 0:
        count = run.parallel or max(1, cpus // 2)
        return [Slot(index=index, cpus=max(1, cpus // count)) for index in range(count)]
    places = _gpu_places(1 / PACKED if run.packs else run.gpu_count, gpus)
    if not places:
        found = f"{len(gpus)} NVIDIA GPU{'s' if len(gpus) > 1 else ''} found" if gpus else "no NVIDIA GPU was found"
        why = f" ({note})" if note else ""
        asked = '"auto"' if run.packs else f"{run.gpu_count:g}"
        raise ProjectError(f"[run].gpus = {asked}, but {found} on this machine{why}; set gpus = 0 or run elsewhere")
    if run.parallel is not None and run.parallel > len(places):
        raise ProjectError(
            f"[run].parallel = {run.parallel}, but {len(gpus)} GPUs have room for {len(places)} trials of "
            f"{run.gpu_count:g} GPU; set parallel = {len(places)}, or leave it out"
        )
    chosen = places[: run.parallel]
    return [Slot(index=i, gpus=place, cpus=max(1, cpus // len(chosen))) for i, place in enumerate(chosen)]


def pinned(slots: Sequence[Slot], cores: Sequence[int]) -> list[Slot]:
    """Return the slots with the cores divided among them; as they are when there is not one for each."""
    count = len(slots)
    if len(cores) < count:
        return list(slots)
    bounds = [index * len(cores) // count for index in range(count + 1)]
    return [replace(slot, cores=tuple(cores[bounds[i] : bounds[i + 1]])) for i, slot in enumerate(slots)]


def plan_slots_elsewhere(run: RunTable, *, cpus: int, room: int | None) -> list[Slot]:
    """Return one slot for each trial that may run at once on other machines, which place them themselves.

    Args:
        run: the study's [run].
        cpus: how many CPUs each trial gets there.
        room: for how many there is room now; None when nobody can tell.

    Raises:
        ProjectError: there is room for none.
    """
    if room == 0:
        needed = f"{run.gpu_count:g} GPUs and {cpus} CPUs" if run.gpu_count else f"{cpus} CPUs"
        raise ProjectError(
            f"no node of the cluster has {needed} for a trial; set [run].gpus, or [executor].cpus, lower"
        )
    return [Slot(index=index, cpus=cpus) for index in range(run.parallel or room or 1)]


def _gpu_places(share: float, gpus: Sequence[str]) -> list[tuple[str, ...]]:
    if share >= 1:
        each = int(share)
        return [tuple(gpus[first : first + each]) for first in range(0, len(gpus) - each + 1, each)]
    # Every GPU gets its first trial before any gets a second.
    return [(gpu,) for _ in range(math.floor(1 / share + 1e-9)) for gpu in gpus]
