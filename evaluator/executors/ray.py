"""Runs each command as a task of a Ray cluster, or of a Ray started on this machine when there is no cluster.

Ray places tasks by CPUs, GPUs and resources, and reports which were lost with their node. What a worker sends is
written here into the trial's folder, so the loop reads it as if the trial had run on this machine (decision 011).
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunesmith.evaluator.executors.base import Cause, CommandResult, CommandSpec, Executor, Job
from tunesmith.evaluator.executors.ray_files import FileChunk, inside, pack_folder, pack_project, write_chunk
from tunesmith.evaluator.executors.ray_worker import (
    Hub,
    OutputLines,
    RemovedFile,
    TaskInput,
    TaskStarted,
    WorkerMessage,
    run_task,
)
from tunesmith.evaluator.executors.remote_job import RemoteJob, killed, last_line
from tunesmith.study.errors import ProjectError

TAKE_S = 0.5
"""Longest wait for messages of workers before jobs are checked for other reasons to end."""
CONNECT_S = 10.0
"""Timeout for the first connection to the cluster's address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RayResources:
    """What each command asks of the cluster besides GPUs: CPUs, and resources by Ray's names."""

    cpus: int = 1
    resources: Mapping[str, float] = field(default_factory=dict)


class RayExecutor(Executor):
    """Starts each command as a task.

    Args:
        address: the cluster's address; None uses a cluster found on this machine, else starts one here.
        resources: what each command asks for.
        scratch: folder for the archive of the project.
        wake: called from another thread when a command has ended.

    Raises:
        ImportError: Ray is not installed.
    """

    def __init__(
        self, address: str | None, resources: RayResources, *, scratch: Path, wake: Callable[[], None]
    ) -> None:
        import ray  # takes a second

        self._ray = ray
        self._address, self._resources, self._scratch, self._wake = address, resources, scratch, wake
        self._links: dict[str, str] = {}
        self._numbers = itertools.count()
        self._jobs: dict[int, _RayJob] = {}
        self._hub: Any = None
        self._run: Any = None
        self._listener: threading.Thread | None = None
        self._closed = False
        self._lock = threading.Lock()
        # A checkpoint to resume from may be large; the loop must not wait until it is packed.
        self._pool = ThreadPoolExecutor(max_workers=1)

    def use_project(self, project: Path) -> None:
        """Send the project to the cluster.

        Raises:
            ProjectError: there is no cluster at the address, or it cannot be used; the message says why.
        """
        archive = self._scratch / "project.zip"
        self._scratch.mkdir(parents=True, exist_ok=True)
        self._links = pack_project(project, archive)
        try:
            self._connect({"working_dir": str(archive)})
        except (OSError, RuntimeError, ValueError) as error:
            where = f" at {self._address}" if self._address else ""
            raise ProjectError(f"Ray{where} cannot be used: {last_line(error)}") from None
        # By default Ray replaces a worker process that had a GPU; ours never touch the GPU themselves.
        as_task = self._ray.remote(max_retries=0, max_calls=0, num_cpus=self._resources.cpus)
        self._run = as_task(run_task)

    def capacity(self, *, gpus: float, cpus: int) -> int:
        """Return how many commands of this size the nodes can hold, busy or not."""
        needed = {"CPU": float(cpus), "GPU": gpus, **self._resources.resources}
        alive = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        return sum(_node_capacity(node, needed) for node in alive)

    def start(self, spec: CommandSpec) -> Job:
        """Hand the command to Ray; it may wait for a free node."""
        job = _RayJob(next(self._numbers), spec, self._request_end)
        with self._lock:
            self._jobs[job.number] = job
        self._pool.submit(self._submit, job, spec)
        return job

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        self._pool.shutdown()
        self._closed = True
        if self._listener is not None:
            self._listener.join()
        self._ray.shutdown()

    def _connect(self, runtime_env: Mapping[str, Any]) -> None:
        options = {"runtime_env": dict(runtime_env), "log_to_driver": False, "logging_level": logging.ERROR}
        address = self._address or os.environ.get("RAY_ADDRESS")
        _check_address(address or "")
        try:
            self._ray.init(address=address or "auto", **options)
        except ConnectionError:
            if address:
                raise
            self._ray.init(address="local", include_dashboard=False, **options)

    def _submit(self, job: _RayJob, spec: CommandSpec) -> None:
        try:
            task = TaskInput(spec=spec, links=self._links, archives=[pack_folder(path) for path in spec.reads])
            if self._hub is None:
                self._open_hub()
            if job.poll() is None:
                options = {"num_gpus": spec.gpus, "resources": dict(self._resources.resources)}
                job.task = self._run.options(**options).remote(self._hub, job.number, task)
        except Exception as error:  # noqa: BLE001  # Ray may say anything: the trial fails, the study continues
            self._finish(job, CommandResult(status=None, error=f"Ray rejected the task: {last_line(error)}"))

    def _open_hub(self) -> None:
        """Start the hub on the loop's node: when this node is lost, the loop is lost as well."""
        here = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            self._ray.get_runtime_context().get_node_id(), soft=False
        )
        actor = self._ray.remote(Hub).options(num_cpus=0, max_concurrency=10_000, scheduling_strategy=here)
        self._hub = actor.remote()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        while not self._closed:
            try:
                self._take_messages(TAKE_S)
                ended = self._ended_tasks()
                if ended:
                    # A worker's last messages may still be in the hub.
                    self._take_messages(0.0)
            except self._ray.exceptions.RayError as error:
                self._lose_all(last_line(error))
                return
            for job, result in ended:
                self._finish(job, result)
            for job in list(self._jobs.values()):
                if job.is_overdue:
                    self._cancel(job)

    def _take_messages(self, timeout_s: float) -> None:
        for number, message in self._ray.get(self._hub.take.remote(timeout_s)):
            job = self._jobs.get(number)
            if job is None:
                continue
            if isinstance(message, CommandResult):
                self._finish(job, message)
            else:
                job.handle(message)

    def _ended_tasks(self) -> list[tuple[_RayJob, CommandResult]]:
        """Return the jobs whose tasks have ended, with their results in case the worker sent none."""
        tasks = {job.task: job for job in list(self._jobs.values()) if job.task is not None}
        ready, _ = self._ray.wait(list(tasks), num_returns=len(tasks), timeout=0) if tasks else ([], [])
        return [(tasks[task], self._result_by_task(tasks[task])) for task in ready]

    def _result_by_task(self, job: _RayJob) -> CommandResult:
        errors = self._ray.exceptions
        try:
            self._ray.get(job.task)
        except errors.OutOfMemoryError:
            return killed(Cause.EXIT)
        except (errors.TaskCancelledError, errors.RayTaskError, errors.RuntimeEnvSetupError) as error:
            if job.requests:
                return job.ended_on_request()
            return CommandResult(status=None, error=f"Ray could not run the task: {last_line(error)}")
        except errors.RayError:
            return killed(Cause.LOST)
        return killed(Cause.LOST)  # the task ended well, so the worker's own result comes first

    def _request_end(self, job: _RayJob, letter: str) -> None:
        """Pass a request on to the worker; a job that waits for a node ends at once."""
        if self._hub is not None:
            self._hub.request.remote(job.number, letter)
        if not job.has_started:
            self._cancel(job)

    def _cancel(self, job: _RayJob) -> None:
        """End a job that was asked to end, without waiting for its worker."""
        self._cancel_task(job)
        self._finish(job, job.ended_on_request())

    def _cancel_task(self, job: _RayJob) -> None:
        if job.task is not None:
            # The worker's end closes the supervisor's control pipe, and the supervisor ends the rest.
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._ray.cancel(job.task, force=True)

    def _finish(self, job: _RayJob, result: CommandResult) -> None:
        with self._lock:
            if self._jobs.pop(job.number, None) is None:
                return
        job.finish(result)
        if self._hub is not None:
            self._hub.forget.remote(job.number)
        self._wake()

    def _lose_all(self, why: str) -> None:
        """Treat every job as lost together with the hub; the next start opens another hub."""
        logging.getLogger(__name__).warning("the connection to Ray broke: %s", why)
        self._hub = None
        for job in list(self._jobs.values()):
            self._cancel_task(job)
            self._finish(job, killed(Cause.LOST))


class _RayJob(RemoteJob):
    def __init__(self, number: int, spec: CommandSpec, request_end: Callable[[_RayJob, str], None]) -> None:
        super().__init__(spec)
        self.number = number
        self.task: Any = None
        self.has_started = False
        self._request_end = request_end

    def handle(self, message: WorkerMessage) -> None:
        """Store what the worker sent."""
        match message:
            case TaskStarted():
                self.has_started = True
            case OutputLines(lines):
                self.add_lines(lines)
            case FileChunk(path, offset, data):
                write_chunk(self.folder, path, offset, data)
            case RemovedFile(path):
                with contextlib.suppress(OSError, ValueError):
                    inside(self.folder, path).unlink()

    def _send_request(self, letter: str) -> None:
        self._request_end(self, letter)


def _check_address(address: str) -> None:
    """Raise OSError if nothing answers at HOST:PORT; Ray itself would retry for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=CONNECT_S).close()


def _node_capacity(node: Mapping[str, float], needed: Mapping[str, float]) -> int:
    """Return how many commands a node can hold, from its resources and those that each command needs."""
    counts = []
    for name, amount in needed.items():
        available = node.get(name, 0.0)
        if amount >= 1:
            counts.append(int(available // amount))
        elif amount > 0:
            counts.append(int(available) * int(1 / amount + 1e-9))
    return min(counts, default=0)
