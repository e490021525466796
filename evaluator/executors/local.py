"""Runs commands on this machine, each under a supervisor that leaves no process behind (supervisor.py)."""

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

from tunesmith.evaluator import supervision
from tunesmith.evaluator.executors.base import Cause, CommandResult, CommandSpec, Executor, Job
from tunesmith.evaluator.gpu.gpu_meter import GpuMeter, GpuUsage
from tunesmith.evaluator.gpu.gpus import open_nvml
from tunesmith.evaluator.output.output_line import OutputLine
from tunesmith.evaluator.output.streams import CappedLog, LineQueue, Pump
from tunesmith.evaluator.supervision.control_group import find_parent


class LocalExecutor(Executor):
    """Starts each command under a supervisor process.

    Args:
        wake: called from another thread when a command has ended.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._meter: GpuMeter | None = None
        self._has_opened_nvml = False

    def start(self, spec: CommandSpec) -> Job:
        """Start the command."""
        if spec.gpus and not self._has_opened_nvml:
            self._has_opened_nvml = True
            nvml = open_nvml()
            self._meter = None if nvml is None else GpuMeter(nvml)
        group, _ = find_parent() if spec.memory_bytes else ("", "")
        return _LocalJob(spec, self._wake, self._meter if spec.gpus else None, group or "-")


class _LocalJob(Job):
    def __init__(self, spec: CommandSpec, wake: Callable[[], None], meter: GpuMeter | None, group: str) -> None:
        self._wake = wake
        self._result: CommandResult | None = None
        self._lines = LineQueue()
        self._log = CappedLog(spec.log, spec.log_bytes)
        read_end, write_end = os.pipe()
        try:
            self._process = _start_supervisor(spec, group, status_fd=write_end)
        except BaseException:
            os.close(read_end)
            self._log.close()
            raise
        finally:
            os.close(write_end)
        self._meter = meter
        self._reading = None if meter is None else meter.begin(self._process.pid, _gpu_ids(spec))
        assert self._process.stdout is not None  # noqa: S101  # opened as a pipe
        assert self._process.stderr is not None  # noqa: S101
        self._out = Pump(os.dup(self._process.stdout.fileno()), self._log, self._lines.put, spec.line_words)
        self._err = Pump(os.dup(self._process.stderr.fileno()), self._log, self._lines.put, spec.line_words, "stderr")
        self._process.stdout.close()
        self._process.stderr.close()
        self._out.start()
        self._err.start()
        threading.Thread(target=self._wait_for_end, args=(read_end, spec), daemon=True).start()

    def poll(self) -> CommandResult | None:
        return self._result

    def lines(self) -> list[OutputLine]:
        return self._lines.take()

    @property
    def lines_left_out(self) -> int:
        return self._out.lines_left_out + self._err.lines_left_out

    def stop(self) -> None:
        self._request(b"T")

    def kill(self) -> None:
        self._request(b"K")

    def _request(self, letter: bytes) -> None:
        stdin = self._process.stdin
        if self._result is None and stdin is not None and not stdin.closed:
            try:
                os.write(stdin.fileno(), letter)
            except (OSError, ValueError):
                return  # it ended just now

    def _wait_for_end(self, read_end: int, spec: CommandSpec) -> None:
        with os.fdopen(read_end) as stream:
            report = stream.read()
        status = self._process.wait()
        self._out.join()
        self._err.join()
        self._log.close()
        if self._process.stdin is not None:
            self._process.stdin.close()
        out, err = self._out.tail.strip(), self._err.tail.strip()
        result = replace(_parse_report(report, status, spec, err or out), output_tail=out if err else "")
        if self._meter is not None and self._reading is not None:
            result = _with_gpu_usage(result, self._meter.end(self._reading))
        self._result = result
        self._wake()


def _gpu_ids(spec: CommandSpec) -> list[str]:
    return [part for part in spec.environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if part]


def _with_gpu_usage(result: CommandResult, usage: GpuUsage) -> CommandResult:
    return replace(
        result,
        gpu_mem_gib=usage.mem_gib,
        gpu_busy=usage.busy,
        energy_j=usage.energy_j,
        gpu_share_s=usage.share_s,
    )


def _start_supervisor(spec: CommandSpec, group: str, *, status_fd: int) -> subprocess.Popen[bytes]:
    # Imported, not run as a file, so that Python compiles it once and not at every start.
    start = (
        f"import sys; sys.path.append({str(Path(supervision.__file__).parent)!r}); import supervisor; supervisor.main()"
    )
    limits = (spec.timeout_s or 0, spec.grace_s, spec.file_bytes, spec.memory_bytes, spec.processes)
    others = (int(spec.is_sandboxed), ",".join(map(str, spec.cores)) or "-", group, status_fd)
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", start, str(spec.cwd), *map(str, (*limits, *others)), *spec.argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(spec.environment),
        pass_fds=[status_fd],
        # Ctrl-C in the terminal is for the loop, which decides what happens to its trials.
        start_new_session=True,
    )


def _parse_report(report: str, supervisor_status: int, spec: CommandSpec, tail: str) -> CommandResult:
    """Return the result from the supervisor's report: lines of NAME=VALUE."""
    fields = dict(line.split("=", 1) for line in report.splitlines())
    if "errno" in fields:
        error = start_error(spec.argv[0], spec.cwd, int(fields["errno"]), fields["text"])
        return CommandResult(status=None, error=error)
    if "exit" not in fields:
        # The supervisor itself was killed, and the kernel ended the command with it.
        return CommandResult(status=supervisor_status, tail=tail)
    return CommandResult(
        status=int(fields["exit"]),
        cause=Cause(fields["cause"]),
        tail=tail,
        unsafe=fields.get("unsafe"),
        wall_s=float(fields["wall_s"]),
        cpu_s=float(fields["cpu_s"]),
        peak_rss_gib=float(fields["peak_rss_gib"]),
    )


def start_error(program: str, cwd: Path, number: int, text: str) -> str:
    """Return why a program did not start in a folder, and what to do, from the error's number and text."""
    if number == errno.EACCES and (cwd / program).is_file():
        return f"{program} is not executable; run chmod +x {program}, or name its interpreter in [run].command"
    if number == errno.ENOEXEC:
        return f"{program} has no first line such as #!/bin/sh; add one, or name its interpreter in [run].command"
    if number == errno.ENOENT:
        where = f"in {cwd.name}/" if os.sep in program else "on PATH"
        return f"{program} was not found {where}; correct [run].command"
    return f"{program} cannot start: {text}; correct [run].command"


def find_start_error(program: str, spec: CommandSpec) -> str:
    """Return why a program cannot start in the folder and with the PATH of a command, "" if it can."""
    path = str(spec.cwd / program) if os.sep in program else program
    if shutil.which(path, path=spec.environment.get("PATH")):
        return ""
    number = errno.EACCES if os.path.isfile(path) else errno.ENOENT
    return start_error(program, spec.cwd, number, os.strerror(number))


def resolve_program(name: str, path: str | None) -> str:
    """Return the program to run for `name`: `python` is our own interpreter if PATH has none."""
    if name in ("python", "python3") and shutil.which(name, path=path) is None:
        return sys.executable
    return name
