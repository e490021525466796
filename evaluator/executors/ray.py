"""Runs each command as a task of a Ray cluster, or of a Ray on this machine when there is none.

Ray places tasks by CPUs, GPUs and resources, and tells which were lost with their node; what comes back is written
here, into the trial's folder, so the loop reads it as if the trial had run beside it. Decision 011 says why.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import signal
import socket
import threading
import time
import zipfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from tunesmith.evaluator.executors.base import Cause, Executor, Exit, Job, Launch
from tunesmith.evaluator.executors.ray_worker import (
    PROJECT,
    Begun,
    Gone,
    Hub,
    Lines,
    News,
    Order,
    Piece,
    pack,
    run_task,
)
from tunesmith.evaluator.executors.worker import KILL, STOP
from tunesmith.evaluator.tree_walk import walk
from tunesmith.study.errors import ProjectError

SENT_BYTES = 256 * 2**20
"""Of a project's large files so much is sent to the nodes; beyond that they must find them under the same path."""
TAKE_S = 0.5
CONNECT_S = 10.0
LATE_S = 10.0
"""A worker that has not obeyed so long after the grace is ended by Ray."""
_KILLED = -int(signal.SIGKILL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What each command asks of the cluster beside GPUs: CPUs, and resources by Ray's own names."""

    cpus: int = 1
    resources: Mapping[str, float] = field(default_factory=dict)


class RayExecutor(Executor):
    """Starts each command as a task.

    Args:
        address: the cluster's address; None is one that is found on this machine, else one that is started here.
        needs: what each command asks for.
        scratch: a folder for the archive of the project.
        wake: is called from another thread whenever a command ended.

    Raises:
        ImportError: Ray is not installed.
    """

    def __init__(self, address: str | None, needs: Needs, *, scratch: Path, wake: Callable[[], None]) -> None:
        import ray  # takes a second

        self._ray = ray
        self._address, self._needs, self._scratch, self._wake = address, needs, scratch, wake
        self._links: dict[str, str] = {}
        self._numbers = itertools.count()
        self._jobs: dict[int, _RayJob] = {}
        self._hub: Any = None
        self._run: Any = None
        self._listener: threading.Thread | None = None
        self._closed = False
        self._lock = threading.Lock()
        # A checkpoint to go on from may be large, and the loop does not wait until it is packed.
        self._pool = ThreadPoolExecutor(max_workers=1)

    def use(self, project: Path) -> None:
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
            raise ProjectError(f"there is no Ray{where} to be used: {_last_line(error)}") from None
        # By default a worker that had a GPU is not used again; ours never touch it themselves.
        as_task = self._ray.remote(max_retries=0, max_calls=0, num_cpus=self._needs.cpus)
        self._run = as_task(run_task)

    def room(self, *, gpus: float, cpus: int) -> int:
        """Return how many such commands the nodes have room for, used or not."""
        wanted = {"CPU": float(cpus), "GPU": gpus, **self._needs.resources}
        alive = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        return sum(_fits(node, wanted) for node in alive)

    def start(self, launch: Launch) -> Job:
        """Hand the command to Ray; it may wait for a place."""
        job = _RayJob(next(self._numbers), launch, self)
        with self._lock:
            self._jobs[job.number] = job
        self._pool.submit(self._submit, job, launch)
        return job

    def order(self, job: _RayJob, letter: str) -> None:
        """Pass an order on; a job that waits for a place ends at once."""
        if self._hub is not None:
            self._hub.order.remote(job.number, letter)
        if not job.has_begun:
            self._give_up(job, Exit(status=_KILLED, cause=job.ordered_cause))

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
        _must_answer(address or "")
        try:
            self._ray.init(address=address or "auto", **options)
        except ConnectionError:
            if address:
                raise
            self._ray.init(address="local", include_dashboard=False, **options)

    def _submit(self, job: _RayJob, launch: Launch) -> None:
        try:
            order = Order(launch=launch, links=self._links, beside=[pack(path) for path in launch.reads])
            if self._hub is None:
                self._open_hub()
            if job.poll() is None:
                job.task = self._run.options(num_gpus=launch.gpus, resources=dict(self._needs.resources)).remote(
                    self._hub, job.number, order
                )
        except Exception as error:  # noqa: BLE001  # whatever Ray says: the trial fails, the study goes on
            self._end(job, Exit(status=None, error=f"Ray did not take it: {_last_line(error)}"))

    def _open_hub(self) -> None:
        """Start the hub beside the loop: what ends this node ends the loop as well."""
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
                self._take(TAKE_S)
                over = self._over()
                if over:
                    # What a worker said before its end may still lie in the hub.
                    self._take(0.0)
            except self._ray.exceptions.RayError as error:
                self._lose_all(_last_line(error))
                return
            for job, end in over:
                self._end(job, end)
            self._end_the_late()

    def _take(self, timeout_s: float) -> None:
        for number, news in self._ray.get(self._hub.take.remote(timeout_s)):
            job = self._jobs.get(number)
            if job is None:
                continue
            if isinstance(news, Exit):
                self._end(job, news)
            else:
                job.hear(news)

    def _over(self) -> list[tuple[_RayJob, Exit]]:
        """Return the jobs whose tasks are over, with how they ended unless they say so themselves."""
        tasks = {job.task: job for job in list(self._jobs.values()) if job.task is not None}
        ready, _ = self._ray.wait(list(tasks), num_returns=len(tasks), timeout=0) if tasks else ([], [])
        return [(tasks[task], self._verdict(tasks[task])) for task in ready]

    def _verdict(self, job: _RayJob) -> Exit:
        errors = self._ray.exceptions
        try:
            self._ray.get(job.task)
        except errors.OutOfMemoryError:
            return Exit(status=_KILLED)
        except (errors.TaskCancelledError, errors.RayTaskError, errors.RuntimeEnvSetupError) as error:
            if job.ordered_cause in (Cause.STOP, Cause.KILL):
                return Exit(status=_KILLED, cause=job.ordered_cause)
            return Exit(status=None, error=f"Ray could not run it: {_last_line(error)}")
        except errors.RayError:
            return Exit(status=_KILLED, cause=Cause.LOST)
        return Exit(status=_KILLED, cause=Cause.LOST)  # it ended well, so its last words come first

    def _end_the_late(self) -> None:
        for job in list(self._jobs.values()):
            if job.is_late:
                self._give_up(job, Exit(status=_KILLED, cause=job.ordered_cause))

    def _give_up(self, job: _RayJob, end: Exit) -> None:
        if job.task is not None:
            # The worker's end closes its keeper's control pipe, and the keeper ends the rest.
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._ray.cancel(job.task, force=True)
        self._end(job, end)

    def _end(self, job: _RayJob, end: Exit) -> None:
        with self._lock:
            if self._jobs.pop(job.number, None) is None:
                return
        job.end(end)
        if self._hub is not None:
            self._hub.forget.remote(job.number)
        self._wake()

    def _lose_all(self, why: str) -> None:
        """Take every job for lost with the hub; the next start opens another one."""
        logging.getLogger(__name__).warning("the connection to Ray broke: %s", why)
        self._hub = None
        for job in list(self._jobs.values()):
            self._give_up(job, Exit(status=_KILLED, cause=Cause.LOST))


class _RayJob(Job):
    def __init__(self, number: int, launch: Launch, executor: RayExecutor) -> None:
        self.number = number
        self.task: Any = None
        self.has_begun = False
        self._executor = executor
        self._folder = launch.folder or launch.cwd
        self._grace_s = launch.grace_s
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._exit: Exit | None = None
        self._ordered = ""
        self._ordered_at = 0.0

    @property
    def ordered_cause(self) -> Cause:
        """Who asked for its end."""
        return Cause.KILL if KILL in self._ordered else Cause.STOP if self._ordered else Cause.EXIT

    @property
    def is_late(self) -> bool:
        """Tell whether it should have obeyed long ago."""
        return bool(self._ordered) and time.monotonic() > self._ordered_at + self._grace_s + LATE_S

    def poll(self) -> Exit | None:
        return self._exit

    def lines(self) -> list[str]:
        return [self._lines.get() for _ in range(self._lines.qsize())]

    def stop(self) -> None:
        self._order(STOP)

    def kill(self) -> None:
        self._order(KILL)

    def end(self, end: Exit) -> None:
        """Note how it ended."""
        self._exit = end

    def hear(self, news: News) -> None:
        """Take in what its worker says."""
        match news:
            case Begun():
                self.has_begun = True
            case Lines(lines):
                for line in lines:
                    self._lines.put(line)
            case Piece(path, offset, data):
                write_piece(self._folder, path, offset, data)
            case Gone(path):
                with contextlib.suppress(OSError, ValueError):
                    inside(self._folder, path).unlink()

    def _order(self, letter: str) -> None:
        if self._exit is None and letter not in self._ordered:
            self._ordered += letter
            self._ordered_at = time.monotonic()
            self._executor.order(self, letter)


def pack_project(project: Path, archive: Path) -> dict[str, str]:
    """Write a project's files into an archive for Ray; return those too large for it, by path, with where they stand.

    Ray would pack the folder itself, but leaves out what .gitignore names, which is where data often is.
    """
    links: dict[str, str] = {}
    room = SENT_BYTES
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1, strict_timestamps=False) as opened:
        # With one folder alone at its top, Ray would take that for the archive itself.
        opened.writestr(".tunesmith", "")
        opened.writestr(f"{PROJECT}/", "")
        for entry in walk(project):
            name = os.path.relpath(entry.path, project)
            if entry.is_symlink():
                size = sum(path.stat().st_size for path in _files(Path(entry.path)))
                if size > room:
                    links[name] = os.path.realpath(entry.path)
                    continue
                room -= size
            for path in _files(Path(entry.path)):
                opened.write(path, f"{PROJECT}/{name}/{path.relative_to(entry.path)}".removesuffix("/."))
    return links


def write_piece(folder: Path, path: str, offset: int, data: bytes) -> None:
    """Write a piece of a file that a worker sends; one that would lie outside of the folder is passed over."""
    try:
        target = inside(folder, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_symlink():
            # The project's own large file, which the trial replaced in its copy.
            target.unlink()
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | (os.O_TRUNC if offset == 0 else 0)
        with os.fdopen(os.open(target, flags, 0o644), "wb") as out:
            out.seek(offset)
            out.write(data)
    except (OSError, ValueError):
        return


def inside(folder: Path, path: str) -> Path:
    """Return the place of a relative path in a folder.

    Raises:
        ValueError: it leads out of it, be it by a link.
    """
    target = folder / path
    if not Path(os.path.realpath(target.parent)).is_relative_to(os.path.realpath(folder)) or ".." in Path(path).parts:
        raise ValueError(f"{path} leads out of the folder")
    return target


def _must_answer(address: str) -> None:
    """Raise OSError when nothing answers at HOST:PORT; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=CONNECT_S).close()


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [Path(entry.path) for entry in walk(path) if entry.is_file()] if path.is_symlink() else []


def _fits(node: Mapping[str, float], wanted: Mapping[str, float]) -> int:
    counts = []
    for name, amount in wanted.items():
        has = node.get(name, 0.0)
        if amount >= 1:
            counts.append(int(has // amount))
        elif amount > 0:
            counts.append(int(has) * int(1 / amount + 1e-9))
    return min(counts, default=0)


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
