"""Runs a command on a machine other than the loop's, by the same local executor and supervisor.

Output goes to the loop, and requests to end the command come back, through a `WorkerChannel`. Needs only the standard
library, apart from what the channel needs.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from typing import Protocol

from tunesmith.evaluator.executors.base import CommandResult, CommandSpec
from tunesmith.evaluator.executors.local import LocalExecutor
from tunesmith.evaluator.executors.remote_job import STOP
from tunesmith.evaluator.output.output_line import MAX_LINES, OutputLine

POLL_S = 0.25
"""Interval at which requests and output are checked."""
_PLACEMENT = re.compile(r"(CUDA|ROCR|HIP)_VISIBLE_DEVICES|GPU_DEVICE_ORDINAL|TMPDIR|SLURM_\w+")
"""Variables that describe where a job was placed: the worker's own values count, not those of the loop's machine."""


class WorkerChannel(Protocol):
    """The connection between a worker and the loop; only the worker's main thread uses it."""

    def new_requests(self) -> str:
        """Return the requests since the last call, `STOP` or `KILL` each; `KILL` if the loop is gone. Never blocks."""

    def send(self, lines: Sequence[OutputLine]) -> None:
        """Send lines of output, and what else the channel carries by now."""


def run_on_worker(spec: CommandSpec, channel: WorkerChannel, *, wake: threading.Event) -> CommandResult:
    """Run a command to its end and return the result. Setting `wake` makes it check for requests at once."""
    job = LocalExecutor(wake.set).start(spec)
    while True:
        wake.wait(POLL_S)
        wake.clear()
        for letter in channel.new_requests():
            job.stop() if letter == STOP else job.kill()
        result = job.poll()
        lines = job.lines()
        channel.send(lines)
        if len(lines) == MAX_LINES:
            wake.set()  # the command waits until they are fetched
        elif result is not None:
            return result


def with_local_placement(environment: Mapping[str, str], local: Mapping[str, str]) -> dict[str, str]:
    """Return a command's environment with the GPUs and the job's variables of `local`, the worker's environment."""
    kept = {name: value for name, value in environment.items() if not _PLACEMENT.fullmatch(name)}
    return {**kept, **{name: value for name, value in local.items() if _PLACEMENT.fullmatch(name)}}
