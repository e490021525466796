"""Runs a study through times when its history cannot be written: it waits, then resumes. Knows no display.

The disk may be full, or another program may lock the history while the study opens it.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tunesmith.agent.loop.loop import Loop
from tunesmith.agent.loop.notices.events import Ended, Note
from tunesmith.evaluator.files.free_disk import FREE_AGAIN, has_free_disk, waiting_for_disk_text
from tunesmith.history.database.connect import is_writable
from tunesmith.study.errors import DiskFull, HistoryLocked

CHECK_INTERVAL_S = 5.0
"""Seconds between two looks at the free space of a full disk."""
LONGEST_WAIT_S = 12 * 3600.0
"""Longest wait for free space in a study without a deadline."""


def run_through_full_disks(
    open_loop: Callable[[bool], Loop], history: Path, until: float | None, tell: Callable[[Note], None]
) -> Ended:
    """Run a study to its end; whenever the disk is full or the history locked, wait for the end of that and resume.

    Args:
        open_loop: opens the study anew and receives whether the last run ended because the disk was full.
        history: the history file.
        until: the study's deadline in seconds since the epoch; None without one.
        tell: receives a note that says what the study waits for.

    Raises:
        InputError: the study cannot be run.
        DiskFull: no space was freed before the deadline, before LONGEST_WAIT_S, or before Ctrl-C.
    """
    folder, loop, after_full_disk = history.parent, None, False
    while True:
        try:
            loop = open_loop(after_full_disk)
            with _on_interrupt(loop.interrupt):
                return loop.run()
        except DiskFull as error:
            after_full_disk = after_full_disk or loop is not None
            tell(Note(text=str(error)))
            tell(Note(text=waiting_for_disk_text(folder)))
            if not _wait_until(lambda: has_free_disk(folder), until):
                raise
            tell(Note(text=FREE_AGAIN))
        except HistoryLocked as error:
            if loop is not None and loop.is_interrupted:
                raise
            tell(Note(text=f"{error}, or leave it: the study starts once the other program lets go"))
            if not _wait_until(lambda: is_writable(history), until):
                raise


def _wait_until(is_over: Callable[[], bool], until: float | None) -> bool:
    """Wait until something is over; return False at the deadline, after the longest wait and at an interrupt."""
    interrupted = threading.Event()
    last = min(time.time() + LONGEST_WAIT_S, math.inf if until is None else until)
    with _on_interrupt(interrupted.set):
        # The pause comes first: if something other than space was missing, the loop would fail again at once, forever.
        while not interrupted.wait(CHECK_INTERVAL_S) and time.time() < last:
            if is_over():
                return True
    return False


@contextmanager
def _on_interrupt(call: Callable[[], None]) -> Iterator[None]:
    """Call a function on Ctrl-C and on SIGTERM."""

    def handle(number: int, frame: object) -> None:
        call()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
