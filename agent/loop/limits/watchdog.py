"""Notices when one turn of the main loop takes too long, and writes down where it was, for a report of the fault.

Deadlines, Ctrl-C and the other slots wait for the end of a turn. What a trial writes is read elsewhere, so a long turn
is a fault of Tunesmith or of the machine.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

LONGEST_TURN_S = 2.0
"""Duration of a turn from which it is written down."""
THREAD_SLICE_S = 0.0005
"""Longest time for which a thread keeps the interpreter while the loop waits for it."""
MAX_ENTRIES = 20
"""Number of long turns of one run that are written down."""


@contextmanager
def short_thread_slices() -> Iterator[None]:
    """Let threads of this process take turns more often.

    The loop gives up the interpreter with each statement of SQLite, and gets it back after the slice of each thread
    that reads a flood: with Python's 5 ms, a turn of 0.2 s takes 5 s next to four floods.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(THREAD_SLICE_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class Watchdog(threading.Thread):
    """Watches the thread that calls `beat`, from `start` to `close`.

    Args:
        log: the file that long turns are written to; made with the first one.
        longest_turn_s: duration from which a turn is written down.

    Attributes:
        entries: number of long turns so far.
    """

    def __init__(self, log: Path, *, longest_turn_s: float = LONGEST_TURN_S) -> None:
        super().__init__(daemon=True, name="tunesmith-watchdog")
        self._log = log
        self._longest_turn_s = longest_turn_s
        self._watched = threading.get_ident()
        self._turn_began_at = time.monotonic()
        self._closed = threading.Event()
        self.entries = 0

    def beat(self) -> None:
        """Say that a turn begins."""
        self._watched = threading.get_ident()
        self._turn_began_at = time.monotonic()

    def close(self) -> None:
        """Stop watching."""
        self._closed.set()

    def run(self) -> None:
        """Look at the watched thread until `close`."""
        written = 0.0
        while self.entries < MAX_ENTRIES and not self._closed.wait(self._longest_turn_s / 4):
            began = self._turn_began_at
            if time.monotonic() - began > self._longest_turn_s and began != written:
                written = began
                self.entries += 1
                self._write(time.monotonic() - began)

    def _write(self, seconds: float) -> None:
        frame = sys._current_frames().get(self._watched)
        where = "".join(traceback.format_stack(frame)) if frame is not None else "  the thread has ended\n"
        at = datetime.now().astimezone().isoformat(timespec="seconds")
        with suppress(OSError), self._log.open("a", encoding="utf-8", errors="replace") as out:
            out.write(f"{at} a turn of the main loop has taken {seconds:.1f} s so far:\n{where}\n")
