"""What runs on the machine of a trial when that is not the loop's: the same local executor, the same keeper.

It hands on what happens through a `Wire` and obeys what comes back through it. Needs the standard library alone, apart
from whatever carries the wire.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from typing import Protocol

from tunesmith.evaluator.executors.base import Exit, Launch
from tunesmith.evaluator.executors.local import LocalExecutor

LOOK_S = 0.25
"""How often orders and output are looked at."""
STOP, KILL = "T", "K"
_PLACED = re.compile(r"(CUDA|ROCR|HIP)_VISIBLE_DEVICES|GPU_DEVICE_ORDINAL|TMPDIR|SLURM_\w+")
"""What says where a job was put, so that the worker's own value counts and not that of the loop's machine."""


class Wire(Protocol):
    """The way between a worker and the loop; only the worker's main thread calls it."""

    def orders(self) -> str:
        """Return the orders since the last call, `STOP` or `KILL` each; `KILL` when the loop is gone. Never blocks."""

    def send(self, lines: Sequence[str]) -> None:
        """Hand on lines of interest, and whatever else there is by now."""


def work(launch: Launch, wire: Wire, *, woken: threading.Event) -> Exit:
    """Run a launch to its end. Setting `woken` makes it look at its orders at once."""
    job = LocalExecutor(woken.set).start(launch)
    while True:
        woken.wait(LOOK_S)
        woken.clear()
        for letter in wire.orders():
            job.stop() if letter == STOP else job.kill()
        end = job.poll()
        wire.send(job.lines())
        if end is not None:
            return end


def placed(environment: Mapping[str, str], here: Mapping[str, str]) -> dict[str, str]:
    """Return a launch's environment with what `here`, the worker's own, says of GPUs and of the job."""
    kept = {name: value for name, value in environment.items() if not _PLACED.fullmatch(name)}
    return {**kept, **{name: value for name, value in here.items() if _PLACED.fullmatch(name)}}
