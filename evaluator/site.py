"""Where the trials of a study run: the executor that it asks for, and the places there.

Each executor is imported only when it is asked for: Ray and submitit are extras.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tunesmith.evaluator.executors.base import Executor
from tunesmith.evaluator.executors.local import LocalExecutor
from tunesmith.evaluator.slots import Slot, find_gpus, plan_slots, plan_slots_elsewhere
from tunesmith.study.errors import ProjectError
from tunesmith.study.spec import StudySpec

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
        self.gpus = find_gpus() if spec.run.gpus and spec.run.executor == "local" else []
        if spec.run.executor == "local":
            self.slots(spec)  # a GPU that is missing is told before anything is begun
        self.executor = open_executor(spec, folder=folder, wake=wake)

    def slots(self, spec: StudySpec) -> list[Slot]:
        """Return a slot for each trial that may run at once; of a cluster only once its executor knows the project.

        Raises:
            ProjectError: there is room for fewer trials than the study asks for, or for none.
        """
        if spec.run.executor == "local":
            return plan_slots(spec.run, self.gpus, self._cpus)
        room = self.executor.room(gpus=spec.run.gpus, cpus=spec.executor.cpus)
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

    needs = Needs(cpus=spec.executor.cpus, gpus=spec.run.gpus, resources=spec.executor.resources)
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
        gpus=int(run.gpus),
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
