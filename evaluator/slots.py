"""The places in which trials run at once, and the GPUs that belong to each."""

from __future__ import annotations

import math
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.study.errors import ProjectError
from tunesmith.study.spec import RunTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One place. `gpus` are CUDA's ids; `cpus` is how many threads a trial in it should use."""

    index: int
    gpus: tuple[str, ...] = ()
    cpus: int = 1


def find_gpus() -> list[str]:
    """Return the ids of the NVIDIA GPUs that this process may use; CUDA_VISIBLE_DEVICES decides where it is set."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [part.strip() for part in visible.split(",") if part.strip() not in ("", "-1")]
    try:
        command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
        listed = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in listed.stdout.splitlines() if line.strip().isdigit()]


def plan_slots(run: RunTable, gpus: Sequence[str], cpus: int) -> list[Slot]:
    """Return one slot for each trial that may run at once.

    Whole GPUs are given to one trial each; of a fraction f, floor(1 / f) trials share one GPU. Without GPUs and
    without `parallel`, every second core gets a trial.

    Raises:
        ProjectError: there are fewer GPUs than one trial, or than `parallel` trials, need.
    """
    if run.gpus == 0:
        count = run.parallel or max(1, cpus // 2)
        return [Slot(index=index, cpus=max(1, cpus // count)) for index in range(count)]
    places = _gpu_places(run.gpus, gpus)
    if not places:
        found = f"{len(gpus)} NVIDIA GPU{'s' if len(gpus) > 1 else ''} found" if gpus else "no NVIDIA GPU was found"
        raise ProjectError(f"[run].gpus = {run.gpus:g}, but {found} on this machine; set gpus = 0 or run elsewhere")
    if run.parallel is not None and run.parallel > len(places):
        raise ProjectError(
            f"[run].parallel = {run.parallel}, but {len(gpus)} GPUs have room for {len(places)} trials of "
            f"{run.gpus:g} GPU; set parallel = {len(places)}, or leave it out"
        )
    chosen = places[: run.parallel]
    return [Slot(index=i, gpus=place, cpus=max(1, cpus // len(chosen))) for i, place in enumerate(chosen)]


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
        needed = f"{run.gpus:g} GPUs and {cpus} CPUs" if run.gpus else f"{cpus} CPUs"
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
