"""Runs each command as a Slurm job, by submitit. Loop and job exchange files, so they must share a filesystem.

    FOLDER/.job-TOKEN/   requests  written by the loop: T or K      started, lines, result  written by the job
    STUDY/slurm/         submitit's own files, and heartbeat-TOKEN, which changes while the loop lives

A job ends itself and all that it started when its channel folder is gone or the heartbeat stops (decision 011).
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
from typing import Any

from tunesmith.evaluator.executors.base import Cause, CommandResult, CommandSpec, Executor, Job
from tunesmith.evaluator.executors.remote_job import KILL, RemoteJob, killed, last_line
from tunesmith.evaluator.executors.worker import run_on_worker, with_local_placement
from tunesmith.evaluator.output.output_line import OutputLine
from tunesmith.study.files import write_atomic

HEARTBEAT_S = 5.0
"""Interval of the loop's heartbeat."""
HEARTBEAT_TIMEOUT_S = 90.0
"""Time without a heartbeat after which a job ends itself; longer than a filesystem usually hangs."""
WATCH_S = 0.1
"""Interval at which the loop looks at the files of its jobs."""
QUERY_S = 20.0
"""Interval at which Slurm is asked for the states of silent jobs, in one call for all."""
SUBMIT_TIMEOUT_S, SUBMIT_RETRY_S = 3600.0, 15.0
"""How long, and at which interval, a job is submitted again that Slurm rejects."""
LEAVE_QUEUE_S = 10.0
"""Time that a job which has reported its result has to leave the queue."""
_ACTIVE_STATES = {"READY", "PENDING", "CONFIGURING", "RUNNING", "UNKNOWN", "REQUEUED", "COMPLETING", "SUSPENDED"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmResources:
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
    """Submits each command as one Slurm job.

    Args:
        folder: the study's folder, which every node sees under the same path.
        resources: what each job asks for.
        wake: called from another thread when a command has ended.

    Raises:
        OSError: the folder cannot be written.
        RuntimeError: Slurm is not installed here, or has no such option; the message says which.
    """

    def __init__(self, folder: Path, resources: SlurmResources, wake: Callable[[], None]) -> None:
        self._folder = folder / "slurm"
        self._folder.mkdir(parents=True, exist_ok=True)
        # The files here hold the whole environment of each job.
        self._folder.chmod(0o700)
        self._heartbeat = self._folder / f"heartbeat-{secrets.token_hex(8)}"
        self._heartbeat.touch()
        self._submitit = _submitit(self._folder, resources)
        self._wake = wake
        self._jobs: list[_SlurmJob] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._was_accepted = False
        # Submitting takes a second or more; the loop must not wait for it.
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def start(self, spec: CommandSpec) -> Job:
        """Submit the command; it may wait in the queue."""
        job = _SlurmJob(spec)
        with self._lock:
            self._jobs.append(job)
        self._pool.submit(self._submit, job, spec)
        return job

    def close(self) -> None:
        """Wait until the last jobs have left the queue, and end the heartbeat."""
        self._pool.shutdown()
        deadline = time.monotonic() + LEAVE_QUEUE_S
        while self._jobs and time.monotonic() < deadline:
            time.sleep(WATCH_S)
        self._closed.set()
        self._watcher.join()
        self._heartbeat.unlink(missing_ok=True)

    def _submit(self, job: _SlurmJob, spec: CommandSpec) -> None:
        # Once a job was accepted, study.toml is not the reason: the queue is full, or Slurm is down for a while.
        deadline = time.monotonic() + (SUBMIT_TIMEOUT_S if self._was_accepted else 0.0)
        while job.poll() is None:
            try:
                submitted = self._submitit.submit(run_job, spec, job.channel, self._heartbeat)
            except Exception as error:  # noqa: BLE001  # sbatch may say anything: the trial fails, the study continues
                if time.monotonic() >= deadline:
                    text = f"the job could not be submitted: {last_line(error)}"
                    job.finish(CommandResult(status=None, error=text))
                    self._wake()
                    return
                self._closed.wait(SUBMIT_RETRY_S)
                continue
            self._was_accepted = True
            if self._submitit.cluster == "debug":
                submitted.done()  # runs the job in this process
            job.submitted = submitted
            return

    def _watch(self) -> None:
        beat_at = queried_at = time.monotonic()
        while not self._closed.wait(WATCH_S):
            now = time.monotonic()
            if now - beat_at >= HEARTBEAT_S:
                beat_at = now
                with contextlib.suppress(OSError):
                    self._heartbeat.write_text(str(now))
            must_query = now - queried_at >= QUERY_S
            queried_at = now if must_query else queried_at
            for job in list(self._jobs):
                if job.poll() is None and job.update(query=must_query):
                    self._wake()
                if job.has_left():
                    self._jobs.remove(job)


class _SlurmJob(RemoteJob):
    def __init__(self, spec: CommandSpec) -> None:
        super().__init__(spec)
        self.submitted: Any = None
        self.channel = self.folder / f".job-{secrets.token_hex(8)}"
        self.channel.mkdir(mode=0o700)
        self._output = _LineReader(self.channel / "lines")
        self._ended_at = 0.0
        self._seemed_over = False

    def finish(self, result: CommandResult) -> None:
        self._ended_at = time.monotonic()
        super().finish(result)

    def update(self, *, query: bool) -> bool:
        """Read the job's lines and look for its result; return whether there is one.

        Args:
            query: whether to ask Slurm as well.
        """
        result = _read_result(self.channel / "result")
        self.add_lines(self._output.new_lines())
        if result is None and self.requests and (self.is_overdue or not (self.channel / "started").exists()):
            # A job that waits in the queue reads no requests.
            self._cancel()
            result = self.ended_on_request()
        elif result is None and query:
            result = self._result_by_state()
        if result is not None:
            self.finish(result)
        return result is not None

    def has_left(self) -> bool:
        """Return whether the job has left the queue as well; its files are then removed."""
        if self.poll() is None or (self.submitted is not None and not self._is_done()):
            return False
        _remove_channel(self.channel)
        if self.submitted is not None:
            _remove_files(self.submitted)
        return True

    def _send_request(self, letter: str) -> None:  # noqa: ARG002  # the file holds all of them
        with contextlib.suppress(OSError):
            (self.channel / "requests").write_text(self.requests)

    def _cancel(self) -> None:
        # If the job starts all the same, it finds its requests, or no folder at all.
        if self.submitted is not None:
            self.submitted.cancel(check=False)

    def _result_by_state(self) -> CommandResult | None:
        """Return the result of a job that Slurm reports as over, and that left none, in two queries in a row."""
        if self.submitted is None:
            return None
        # submitit expects a preempted job to come back; ours do not.
        state = str(self.submitted.get_info(mode="force").get("State") or self.submitted.state)
        if state.upper().split()[0] in _ACTIVE_STATES:
            return None
        if not self._seemed_over:
            # Its result may still be on the way through the filesystem.
            self._seemed_over = True
            return None
        return result_for_state(state)

    def _is_done(self) -> bool:
        return bool(self.submitted.done()) or time.monotonic() > self._ended_at + LEAVE_QUEUE_S


def result_for_state(state: str) -> CommandResult:
    """Return the result of a job that Slurm ended in this state before it could report anything."""
    words = state.upper().split() or [""]
    causes = {"TIMEOUT": Cause.TIMEOUT, "DEADLINE": Cause.TIMEOUT, "OUT_OF_MEMORY": Cause.MEMORY}
    # "CANCELLED by 1000" is the act of a user or an administrator; the rest is the machine's.
    return killed(Cause.CANCELLED if words[0].startswith("CANCELLED") else causes.get(words[0], Cause.LOST))


def run_job(spec: CommandSpec, channel: Path, heartbeat: Path) -> None:
    """Run the command as the job and leave the result in the channel. Never raises: submitit would open a debugger."""
    if threading.current_thread() is threading.main_thread():
        # submitit would requeue the job by itself; whether a trial runs again is the loop's decision.
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    try:
        (channel / "started").touch(exist_ok=False)
    except FileExistsError:
        # Slurm requeued the job after its node was lost; the loop starts the trial anew.
        _write_result(channel, killed(Cause.LOST))
        return
    except OSError:
        return  # the loop is gone
    placed = replace(spec, environment=with_local_placement(spec.environment, os.environ))
    _write_result(channel, run_on_worker(placed, _FileChannel(channel, heartbeat), wake=threading.Event()))


class _FileChannel:
    """The worker's end of the channel folder."""

    def __init__(self, channel: Path, heartbeat: Path) -> None:
        self._channel, self._heartbeat = channel, heartbeat
        self._requests_read = 0
        self._last_beat: tuple[float, float] = (0.0, time.monotonic())

    def new_requests(self) -> str:
        if not self._loop_is_alive():
            return KILL
        try:
            requests = (self._channel / "requests").read_text()
        except OSError:
            return ""
        new, self._requests_read = requests[self._requests_read :], len(requests)
        return new

    def send(self, lines: Sequence[OutputLine]) -> None:
        if lines:
            with contextlib.suppress(OSError), (self._channel / "lines").open("a", encoding="utf-8") as out:
                out.writelines(json.dumps(line) + "\n" for line in lines)

    def _loop_is_alive(self) -> bool:
        now = time.monotonic()
        try:
            beat = self._heartbeat.stat().st_mtime
            self._channel.stat()
        except FileNotFoundError:
            return False
        except OSError:
            beat = self._last_beat[0]  # the filesystem hangs
        # The clocks of two machines are not compared: only a change counts.
        if beat != self._last_beat[0]:
            self._last_beat = (beat, now)
        return now - self._last_beat[1] < HEARTBEAT_TIMEOUT_S


class _LineReader:
    """Reads what was appended to a file with one JSON text per line, whole lines only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def new_lines(self) -> list[OutputLine]:
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._offset)
                *whole, _ = stream.read().split(b"\n")
        except OSError:
            return []
        self._offset += sum(len(line) + 1 for line in whole)
        return [OutputLine(*json.loads(line)) for line in whole]


def _write_result(channel: Path, result: CommandResult) -> None:
    with contextlib.suppress(OSError):
        write_atomic(channel / "result", json.dumps(asdict(result)))


def _read_result(path: Path) -> CommandResult | None:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        return None
    return CommandResult(**{**fields, "cause": Cause(fields["cause"])})


def _remove_channel(channel: Path) -> None:
    for name in ("requests", "started", "lines", "result"):
        (channel / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        channel.rmdir()


def _remove_files(submitted: Any) -> None:
    """Remove submitit's files of a job, which hold its environment; a log with output in it stays."""
    paths = submitted.paths
    for path in (paths.submitted_pickle, paths.result_pickle, paths.submission_file):
        path.unlink(missing_ok=True)


def _submitit(folder: Path, resources: SlurmResources) -> Any:
    import submitit  # brings numpy, which no other executor needs

    executor = submitit.AutoExecutor(folder=folder, cluster=resources.cluster)
    memory_gib = None if resources.memory_bytes is None else resources.memory_bytes / 2**30 + 1
    options = {
        "timeout_min": math.ceil(resources.time_s / 60),
        "cpus_per_task": resources.cpus,
        "gpus_per_node": resources.gpus,
        "mem_gb": memory_gib,
        "name": "tunesmith",
        "slurm_partition": resources.partition,
        "slurm_account": resources.account,
        # The loop starts a lost job again, in a new folder, and counts the attempt.
        "slurm_additional_parameters": {**resources.options, "no-requeue": True},
    }
    executor.update_parameters(**{name: value for name, value in options.items() if value is not None})
    return executor
