"""Runs each command as a job of Slurm, by submitit. Loop and job speak through files, so they must share a filesystem.

    FOLDER/.job-TOKEN/   order  T or K from the loop     started, lines, end  from the job
    STUDY/slurm/         submitit's own files, and beat-TOKEN, which changes for as long as the loop lives

A job ends itself and all that it started when its folder is gone or the beat stands still. Decision 011 says why.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from tunesmith.evaluator.executors.base import Cause, Executor, Exit, Job, Launch
from tunesmith.evaluator.executors.worker import KILL, STOP, placed, work

BEAT_S = 5.0
SILENT_S = 90.0
"""Without a beat for so long, a job takes the loop for gone: long enough for a filesystem that hangs."""
WATCH_S = 0.1
ASK_S = 20.0
"""How often Slurm is asked about jobs that say nothing: one call for all of them."""
PATIENCE_S, AGAIN_S = 3600.0, 15.0
"""For so long, and so often, a job is submitted again that Slurm does not take."""
LEAVING_S = 10.0
"""How long a job that has said how it ended may take to leave the queue."""
_UNDER_WAY = {"READY", "PENDING", "CONFIGURING", "RUNNING", "UNKNOWN", "REQUEUED", "COMPLETING", "SUSPENDED"}
_KILLED = -int(signal.SIGKILL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What each job asks of Slurm; `options` are sbatch's, by their long names."""

    cluster: str
    time_s: float
    cpus: int
    gpus: int
    memory_bytes: int | None = None
    partition: str | None = None
    account: str | None = None
    options: Mapping[str, Any]


class SlurmExecutor(Executor):
    """Submits each command as a job of its own.

    Args:
        folder: the study's folder, which every node sees under the same path.
        request: what each job asks for.
        wake: is called from another thread whenever a command ended.

    Raises:
        OSError: the folder cannot be written.
        RuntimeError: there is no Slurm here, or it has no such option; the message says so.
    """

    def __init__(self, folder: Path, request: Request, wake: Callable[[], None]) -> None:
        self._folder = folder / "slurm"
        self._folder.mkdir(parents=True, exist_ok=True)
        # Jobs are handed their whole environment in files here.
        self._folder.chmod(0o700)
        self._beat = self._folder / f"beat-{secrets.token_hex(8)}"
        self._beat.touch()
        self._submitit = _submitit(self._folder, request)
        self._wake = wake
        self._jobs: list[_SlurmJob] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._was_taken = False
        # Submitting takes a second or more, and the loop does not wait for it.
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def start(self, launch: Launch) -> Job:
        """Submit the command; it may wait in the queue."""
        job = _SlurmJob(launch)
        with self._lock:
            self._jobs.append(job)
        self._pool.submit(self._submit, job, launch)
        return job

    def close(self) -> None:
        """Wait for what still leaves, and end the beat."""
        self._pool.shutdown()
        deadline = time.monotonic() + LEAVING_S
        while self._jobs and time.monotonic() < deadline:
            time.sleep(WATCH_S)
        self._closed.set()
        self._watcher.join()
        self._beat.unlink(missing_ok=True)

    def _submit(self, job: _SlurmJob, launch: Launch) -> None:
        # What was taken once is no mistake in study.toml: the queue is full, or Slurm is away for a while.
        until = time.monotonic() + (PATIENCE_S if self._was_taken else 0.0)
        while job.poll() is None:
            try:
                submitted = self._submitit.submit(run_job, launch, job.channel, self._beat)
            except Exception as error:  # noqa: BLE001  # whatever sbatch says: the trial fails, the study goes on
                if time.monotonic() >= until:
                    last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
                    job.end(Exit(status=None, error=f"the job could not be submitted: {last}"))
                    self._wake()
                    return
                self._closed.wait(AGAIN_S)
                continue
            self._was_taken = True
            if self._submitit.cluster == "debug":
                submitted.done()  # this runs it, here
            job.submitted = submitted
            return

    def _watch(self) -> None:
        beat_at = asked_at = time.monotonic()
        while not self._closed.wait(WATCH_S):
            now = time.monotonic()
            if now - beat_at >= BEAT_S:
                beat_at = now
                with contextlib.suppress(OSError):
                    self._beat.write_text(str(now))
            is_time = now - asked_at >= ASK_S
            asked_at = now if is_time else asked_at
            for job in list(self._jobs):
                if job.poll() is None and job.look(ask=is_time):
                    self._wake()
                if job.has_left():
                    self._jobs.remove(job)


class _SlurmJob(Job):
    def __init__(self, launch: Launch) -> None:
        self.submitted: Any = None
        self.channel = (launch.folder or launch.cwd) / f".job-{secrets.token_hex(8)}"
        self.channel.mkdir(mode=0o700)
        self._file = _Lines(self.channel / "lines")
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._exit: Exit | None = None
        self._ordered = ""
        self._ordered_at = self._ended_at = 0.0
        self._grace_s = launch.grace_s
        self._suspected = False

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
        self._exit, self._ended_at = end, time.monotonic()

    def look(self, *, ask: bool) -> bool:
        """Take in its lines, look for its end, and return whether it has come.

        Args:
            ask: whether to ask Slurm as well.
        """
        end = _read_end(self.channel / "end")
        for line in self._file.new():
            self._lines.put(line)
        if end is None and self._ordered and not (self.channel / "started").exists():
            # It waits in the queue, where it reads no orders.
            self._cancel()
            end = Exit(status=_KILLED, cause=self._cause)
        elif end is None and self._ordered and time.monotonic() > self._ordered_at + self._grace_s + LEAVING_S:
            self._cancel()
            end = Exit(status=_KILLED, cause=self._cause)
        elif end is None and ask:
            end = self._verdict()
        if end is not None:
            self.end(end)
        return end is not None

    def has_left(self) -> bool:
        """Tell whether it is over for the queue too; its files are then removed."""
        if self._exit is None or (self.submitted is not None and not self._is_done()):
            return False
        _remove_channel(self.channel)
        if self.submitted is not None:
            _remove_files(self.submitted)
        return True

    @property
    def _cause(self) -> Cause:
        return Cause.KILL if KILL in self._ordered else Cause.STOP

    def _order(self, letter: str) -> None:
        if self._exit is None and letter not in self._ordered:
            self._ordered += letter
            self._ordered_at = time.monotonic()
            with contextlib.suppress(OSError):
                (self.channel / "order").write_text(self._ordered)

    def _cancel(self) -> None:
        # Whatever it may yet do, it finds its orders, or no folder at all.
        if self.submitted is not None:
            self.submitted.cancel(check=False)

    def _verdict(self) -> Exit | None:
        """Return how a job ended that Slurm knows to be over and that has said nothing, twice in a row."""
        if self.submitted is None:
            return None
        # submitit takes a preempted job for one that comes back; ours do not.
        state = str(self.submitted.get_info(mode="force").get("State") or self.submitted.state)
        if state.upper().split()[0] in _UNDER_WAY:
            return None
        if not self._suspected:
            # Its last words may still be on their way through the filesystem.
            self._suspected = True
            return None
        return exit_for(state)

    def _is_done(self) -> bool:
        return bool(self.submitted.done()) or time.monotonic() > self._ended_at + LEAVING_S


def exit_for(state: str) -> Exit:
    """Return the Exit of a job that Slurm ended in a state, before it could say anything itself."""
    words = state.upper().split() or [""]
    causes = {"TIMEOUT": Cause.TIMEOUT, "DEADLINE": Cause.TIMEOUT, "OUT_OF_MEMORY": Cause.MEMORY}
    # "CANCELLED by 1000": a person or an administrator; all else is the machine's doing.
    cause = Cause.CANCELLED if words[0].startswith("CANCELLED") else causes.get(words[0], Cause.LOST)
    return Exit(status=_KILLED, cause=cause)


def run_job(launch: Launch, channel: Path, beat: Path) -> None:
    """Be the job: run the launch and leave its end in the channel. Never raises: submitit would open a debugger."""
    if threading.current_thread() is threading.main_thread():
        # submitit would queue the job once more by itself; whether a trial runs again is the loop's decision.
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    try:
        (channel / "started").touch(exist_ok=False)
    except FileExistsError:
        # Slurm queued it again after its node was lost; the loop starts it afresh.
        _write_end(channel, Exit(status=_KILLED, cause=Cause.LOST))
        return
    except OSError:
        return  # the loop that wanted it is gone
    here = replace(launch, environment=placed(launch.environment, os.environ))
    end = work(here, _FileWire(channel, beat), woken=threading.Event())
    _write_end(channel, end)


class _FileWire:
    def __init__(self, channel: Path, beat: Path) -> None:
        self._channel, self._beat = channel, beat
        self._obeyed = 0
        self._beaten: tuple[float, float] = (0.0, time.monotonic())

    def orders(self) -> str:
        if not self._is_wanted():
            return KILL
        try:
            ordered = (self._channel / "order").read_text()
        except OSError:
            return ""
        fresh, self._obeyed = ordered[self._obeyed :], len(ordered)
        return fresh

    def send(self, lines: Sequence[str]) -> None:
        if lines:
            with contextlib.suppress(OSError), (self._channel / "lines").open("a", encoding="utf-8") as out:
                out.writelines(json.dumps(line) + "\n" for line in lines)

    def _is_wanted(self) -> bool:
        now = time.monotonic()
        try:
            beaten = self._beat.stat().st_mtime
            self._channel.stat()
        except FileNotFoundError:
            return False
        except OSError:
            beaten = self._beaten[0]  # a filesystem that hangs
        # The clocks of two machines are not compared: only whether it changes.
        if beaten != self._beaten[0]:
            self._beaten = (beaten, now)
        return now - self._beaten[1] < SILENT_S


class _Lines:
    """Reads what was added to a file of JSON texts, whole lines only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0

    def new(self) -> list[str]:
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._read)
                *whole, _ = stream.read().split(b"\n")
        except OSError:
            return []
        self._read += sum(len(line) + 1 for line in whole)
        return [json.loads(line) for line in whole]


def _write_end(channel: Path, end: Exit) -> None:
    with contextlib.suppress(OSError):
        (channel / "end.new").write_text(json.dumps(asdict(end)), encoding="utf-8")
        (channel / "end.new").rename(channel / "end")


def _read_end(path: Path) -> Exit | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        return None
    return Exit(**{**found, "cause": Cause(found["cause"])})


def _remove_channel(channel: Path) -> None:
    for name in ("order", "started", "lines", "end", "end.new"):
        (channel / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        channel.rmdir()


def _remove_files(submitted: Any) -> None:
    """Remove submitit's files of a job, which hold its environment; its own output stays where it said something."""
    paths = submitted.paths
    for path in (paths.submitted_pickle, paths.result_pickle, paths.submission_file):
        path.unlink(missing_ok=True)


def _submitit(folder: Path, request: Request) -> Any:
    import submitit  # numpy comes with it, and nobody else needs it

    executor = submitit.AutoExecutor(folder=folder, cluster=request.cluster)
    memory_gib = None if request.memory_bytes is None else request.memory_bytes / 2**30 + 1
    options = {
        "timeout_min": math.ceil(request.time_s / 60),
        "cpus_per_task": request.cpus,
        "gpus_per_node": request.gpus,
        "mem_gb": memory_gib,
        "name": "tunesmith",
        "slurm_partition": request.partition,
        "slurm_account": request.account,
        # A lost job is started again by the loop, in a fresh folder, and counted.
        "slurm_additional_parameters": {**request.options, "no-requeue": True},
    }
    executor.update_parameters(**{name: value for name, value in options.items() if value is not None})
    return executor
