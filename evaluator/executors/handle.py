"""Where the trials of a study run: the executor that it asks for, and the places there.

Each executor is imported only when it is asked for: Ray and submitit are extras.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tunesmith.evaluator.executors.base import Executor
from tunesmith.evaluator.executors.local import LocalExecutor
from tunesmith.evaluator.executors.slots import Slot, pinned, plan_slots, plan_slots_elsewhere
from tunesmith.evaluator.gpus import Found, discover
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import ProjectError

DAY_S = 86400.0
SPARE_S = 600.0
"""A job of Slurm may take so much longer than the trial's own timeout, which ends it with more grace."""


class Site:
    """Where one study's trials run.

    Args:
        spec: the study.
        folder: the study's own folder.
        cpus: the cores of this machine that trials may use.
        wake: is called from another thread whenever a trial's command ended.

    Raises:
        ProjectError: a package, a GPU or the cluster is missing; the message says what to do.
    """

    def __init__(self, spec: StudySpec, *, folder: Path, cpus: int, wake: Callable[[], None]) -> None:
        self._cpus = cpus
        is_here = spec.run.executor == "local"
        self.found = discover() if spec.run.gpu_count and is_here else Found()
        if spec.run.packs and any(gpu.memory_gib is None for gpu in self.found.gpus):
            message = '[run].gpus = "auto", but how much memory the GPUs have cannot be read'
            raise ProjectError(f'{message}; pip install "tunesmith[gpu]", or give a number such as 0.5')
        if is_here:
            self.slots(spec)  # a GPU that is missing is told before anything is begun
        self.executor = open_executor(spec, folder=folder, wake=wake)

    def slots(self, spec: StudySpec) -> list[Slot]:
        """Return a slot for each trial that may run at once; of a cluster only once its executor knows the project.

        Raises:
            ProjectError: there is room for fewer trials than the study asks for, or for none.
        """
        if spec.run.executor == "local":
            ids = [gpu.id for gpu in self.found.gpus]
            slots = plan_slots(spec.run, ids, self._cpus, note=self.found.note)
            cores = sorted(os.sched_getaffinity(0)) if spec.run.pin and hasattr(os, "sched_getaffinity") else []
            return pinned(slots, cores if len(cores) == self._cpus else [])
        room = self.executor.room(gpus=spec.run.gpu_count, cpus=spec.executor.cpus)
        return plan_slots_elsewhere(spec.run, cpus=spec.executor.cpus, room=room)


def open_executor(spec: StudySpec, *, folder: Path, wake: Callable[[], None]) -> Executor:
    """Return the executor of [run].executor.

    Args:
        spec: the study.
        folder: the study's own folder.
        wake: is called from another thread whenever a command ended.

    Raises:
        ProjectError: its package is missing, or there is no such cluster; the message says what to do.
    """
    match spec.run.executor:
        case "slurm":
            return _slurm(spec, folder, wake)
        case "ray":
            return _ray(spec, folder, wake)
        case _:
            return LocalExecutor(wake)


def _ray(spec: StudySpec, folder: Path, wake: Callable[[], None]) -> Executor:
    from tunesmith.evaluator.executors.ray import Needs, RayExecutor

    needs = Needs(cpus=spec.executor.cpus, resources=spec.executor.resources)
    try:
        return RayExecutor(spec.executor.address, needs, scratch=folder.absolute() / "ray", wake=wake)
    except ImportError:
        raise ProjectError('[run].executor = "ray" needs the package ray; pip install "tunesmith[ray]"') from None


def _slurm(spec: StudySpec, folder: Path, wake: Callable[[], None]) -> Executor:
    from tunesmith.evaluator.executors.slurm import Request, SlurmExecutor

    run, table = spec.run, spec.executor
    request = Request(
        cluster=table.cluster,
        time_s=table.time or (run.timeout + SPARE_S if run.timeout else DAY_S),
        cpus=table.cpus,
        gpus=int(run.gpu_count),
        memory_bytes=run.memory,
        partition=table.partition,
        account=table.account,
        options=table.options,
    )
    try:
        return SlurmExecutor(folder.absolute(), request, wake)
    except ImportError:
        raise ProjectError(
            '[run].executor = "slurm" needs the package submitit; pip install "tunesmith[slurm]"'
        ) from None
    except (RuntimeError, ValueError, NameError, OSError) as error:
        raise ProjectError(f'[run].executor = "slurm": {error}') from None
