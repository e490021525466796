"""Opens the executor that a study asks for, and plans the slots it has there.

Each executor is imported only when it is asked for: Ray and submitit are extras.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tunesmith.evaluator.executors.base import Executor
from tunesmith.evaluator.executors.local import LocalExecutor
from tunesmith.evaluator.executors.slots import Slot, pin_to_cores, plan_cluster_slots, plan_slots
from tunesmith.evaluator.gpu.gpus import GpuInventory, find_gpus
from tunesmith.evaluator.gpu.measurable import require_measurable
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import ProjectError
from tunesmith.study.optional_packages import require

DEFAULT_JOB_S = 86400.0
"""Time limit of a Slurm job whose study sets neither [executor].time nor [run].timeout."""
JOB_MARGIN_S = 600.0
"""Time limit of a Slurm job beyond the trial's own timeout, which ends the trial more gently."""


class ExecutorHandle:
    """The executor of one study, and what its slots are planned from.

    Args:
        spec: the study.
        folder: the study's own folder.
        cpus: number of this machine's cores that trials may use.
        wake: called from another thread when a trial's command has ended.

    Raises:
        ProjectError: a package, a GPU or the cluster is missing; the message says what to do.
    """

    def __init__(self, spec: StudySpec, *, folder: Path, cpus: int, wake: Callable[[], None]) -> None:
        self._cpus = cpus
        is_local = spec.run.executor == "local"
        self.inventory = find_gpus() if spec.run.gpu_count and is_local else GpuInventory()
        if spec.run.packs and any(gpu.memory_gib is None for gpu in self.inventory.gpus):
            message = '[run].gpus = "auto", but how much memory the GPUs have cannot be read'
            raise ProjectError(f'{message}; pip install "tunesmith[gpu]", or give a number such as 0.5')
        if is_local:
            require_measurable(spec.resources, self.inventory.gpus)
            self.slots(spec)  # a missing GPU is reported before anything is written
        self.executor = open_executor(spec, folder=folder, wake=wake)

    def slots(self, spec: StudySpec) -> list[Slot]:
        """Return one slot per concurrent trial. A cluster's executor must know the project before this is called.

        Raises:
            ProjectError: fewer trials fit than the study asks for, or none.
        """
        if spec.run.executor == "local":
            ids = [gpu.id for gpu in self.inventory.gpus]
            slots = plan_slots(spec.run, ids, self._cpus, note=self.inventory.note)
            cores = sorted(os.sched_getaffinity(0)) if spec.run.pin and hasattr(os, "sched_getaffinity") else []
            return pin_to_cores(slots, cores if len(cores) == self._cpus else [])
        capacity = self.executor.capacity(gpus=spec.run.gpu_count, cpus=spec.executor.cpus)
        return plan_cluster_slots(spec.run, cpus=spec.executor.cpus, capacity=capacity)


def open_executor(spec: StudySpec, *, folder: Path, wake: Callable[[], None]) -> Executor:
    """Return the executor of [run].executor.

    Args:
        spec: the study.
        folder: the study's own folder.
        wake: called from another thread when a command has ended.

    Raises:
        ProjectError: its package or the cluster is missing; the message says what to do.
    """
    match spec.run.executor:
        case "slurm":
            return _open_slurm(spec, folder, wake)
        case "ray":
            return _open_ray(spec, folder, wake)
        case _:
            return LocalExecutor(wake)


def _open_ray(spec: StudySpec, folder: Path, wake: Callable[[], None]) -> Executor:
    require("ray", purpose='[run].executor = "ray"', extra="ray")
    from tunesmith.evaluator.executors.ray import RayExecutor, RayResources

    resources = RayResources(cpus=spec.executor.cpus, resources=spec.executor.resources)
    return RayExecutor(spec.executor.address, resources, scratch=folder.absolute() / "ray", wake=wake)


def _open_slurm(spec: StudySpec, folder: Path, wake: Callable[[], None]) -> Executor:
    require("submitit", purpose='[run].executor = "slurm"', extra="slurm")
    from tunesmith.evaluator.executors.slurm import SlurmExecutor, SlurmResources

    run, table = spec.run, spec.executor
    resources = SlurmResources(
        cluster=table.cluster,
        time_s=table.time or (run.timeout + JOB_MARGIN_S if run.timeout else DEFAULT_JOB_S),
        cpus=table.cpus,
        gpus=int(run.gpu_count),
        memory_bytes=run.memory,
        partition=table.partition,
        account=table.account,
        options=table.options,
    )
    try:
        return SlurmExecutor(folder.absolute(), resources, wake)
    except (RuntimeError, ValueError, NameError, OSError) as error:
        raise ProjectError(f'[run].executor = "slurm": {error}') from None
