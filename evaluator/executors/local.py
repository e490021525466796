"""Runs commands on this machine, each under a keeper that leaves nothing behind (keeper.py)."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue

from tunesmith.evaluator.executors.base import Cause, Executor, Exit, Job, Launch
from tunesmith.evaluator.gpus import GpuMeter, GpuUse, open_nvml
from tunesmith.evaluator.streams import CappedLog, Pump
from tunesmith.evaluator.supervision import supervisor


class LocalExecutor(Executor):
    """Starts each command as a process of its own.

    Args:
        wake: is called from another thread whenever a command ended.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._meter: GpuMeter | None = None
        self._has_looked = False

    def start(self, launch: Launch) -> Job:
        """Start the command under a supervisor."""
        if launch.gpus and not self._has_looked:
            self._has_looked = True
            nvml = open_nvml()
            self._meter = None if nvml is None else GpuMeter(nvml)
        return _LocalJob(launch, self._wake, self._meter if launch.gpus else None)


class _LocalJob(Job):
    def __init__(self, launch: Launch, wake: Callable[[], None], meter: GpuMeter | None) -> None:
        self._wake = wake
        self._exit: Exit | None = None
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._log = CappedLog(launch.log, launch.log_bytes)
        reading, writing = os.pipe()
        self._process = _start_keeper(launch, status_fd=writing)
        os.close(writing)
        self._meter = meter
        self._reading = None if meter is None else meter.begin(self._process.pid, _gpus_of(launch))
        assert self._process.stdout is not None  # noqa: S101  # it was asked for as a pipe
        assert self._process.stderr is not None  # noqa: S101
        self._out = Pump(os.dup(self._process.stdout.fileno()), self._log, self._lines.put, launch.line_words)
        self._err = Pump(os.dup(self._process.stderr.fileno()), self._log)
        self._process.stdout.close()
        self._process.stderr.close()
        self._out.start()
        self._err.start()
        threading.Thread(target=self._await_end, args=(reading, launch), daemon=True).start()

    def poll(self) -> Exit | None:
        return self._exit

    def lines(self) -> list[str]:
        found: list[str] = []
        while True:
            try:
                found.append(self._lines.get_nowait())
            except Empty:
                return found

    def stop(self) -> None:
        self._order(b"T")

    def kill(self) -> None:
        self._order(b"K")

    def _order(self, letter: bytes) -> None:
        stdin = self._process.stdin
        if self._exit is None and stdin is not None and not stdin.closed:
            try:
                os.write(stdin.fileno(), letter)
            except (OSError, ValueError):
                return  # it ended just now

    def _await_end(self, reading: int, launch: Launch) -> None:
        with os.fdopen(reading) as stream:
            text = stream.read()
        status = self._process.wait()
        self._out.join()
        self._err.join()
        self._log.close()
        if self._process.stdin is not None:
            self._process.stdin.close()
        end = _exit_of(text, status, launch, self._err.tail.strip() or self._out.tail.strip())
        if self._meter is not None and self._reading is not None:
            end = _with_gpu_use(end, self._meter.end(self._reading))
        self._exit = end
        self._wake()


def _gpus_of(launch: Launch) -> list[str]:
    return [part for part in launch.environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if part]


def _with_gpu_use(end: Exit, use: GpuUse) -> Exit:
    return replace(end, gpu_mem_gib=use.mem_gib, gpu_busy=use.busy, energy_j=use.energy_j, gpu_share_s=use.share_s)


def _start_keeper(launch: Launch, *, status_fd: int) -> subprocess.Popen[bytes]:
    # Imported, not run as a file, so that Python compiles it once and not at every start.
    start = (
        f"import sys; sys.path.append({str(Path(supervisor.__file__).parent)!r}); import supervisor; supervisor.main()"
    )
    limits = (launch.timeout_s or 0, launch.grace_s, launch.file_bytes, launch.memory_bytes, launch.processes)
    others = (int(launch.is_enclosed), ",".join(map(str, launch.cores)) or "-", status_fd)
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", start, str(launch.cwd), *map(str, (*limits, *others)), *launch.argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(launch.environment),
        pass_fds=[status_fd],
        # Ctrl-C in the terminal is for the loop, which decides what becomes of its trials.
        start_new_session=True,
    )


def _exit_of(text: str, keeper_status: int, launch: Launch, tail: str) -> Exit:
    result = dict(line.split("=", 1) for line in text.splitlines())
    if "errno" in result:
        why = cannot_start(launch.argv[0], launch.cwd, int(result["errno"]), result["text"])
        return Exit(status=None, error=why)
    if "exit" not in result:
        # The keeper itself was killed, and the kernel ended the command with it.
        return Exit(status=keeper_status, tail=tail)
    return Exit(
        status=int(result["exit"]),
        cause=Cause(result["cause"]),
        tail=tail,
        wall_s=float(result["wall_s"]),
        cpu_s=float(result["cpu_s"]),
        peak_rss_gib=float(result["peak_rss_gib"]),
    )


def cannot_start(program: str, cwd: Path, number: int, text: str) -> str:
    """Return why a program did not start in a folder, and what to do, from the error's number and text."""
    if number == errno.EACCES and (cwd / program).is_file():
        return f"{program} is not executable; run chmod +x {program}, or name its interpreter in [run].command"
    if number == errno.ENOEXEC:
        return f"{program} has no first line such as #!/bin/sh; add one, or name its interpreter in [run].command"
    if number == errno.ENOENT:
        where = f"in {cwd.name}/" if os.sep in program else "on PATH"
        return f"{program} was not found {where}; correct [run].command"
    return f"{program} cannot start: {text}; correct [run].command"


def program_problem(program: str, launch: Launch) -> str:
    """Return why a program cannot start where a launch would have it, "" when nothing speaks against it."""
    path = str(launch.cwd / program) if os.sep in program else program
    if shutil.which(path, path=launch.environment.get("PATH")):
        return ""
    number = errno.EACCES if os.path.isfile(path) else errno.ENOENT
    return cannot_start(program, launch.cwd, number, os.strerror(number))


def program_path(name: str, path: str | None) -> str:
    """Return what to run for `name`: `python` is ours where PATH has none."""
    if name in ("python", "python3") and shutil.which(name, path=path) is None:
        return sys.executable
    return name
