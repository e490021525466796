"""Reads the metrics of a running command in a thread, so that no output keeps the loop from its work."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence

from tunesmith.evaluator.output.output_line import MAX_LINES, OutputLine
from tunesmith.evaluator.readers.metric_collector import MetricCollector
from tunesmith.study.trials.observed.observation import Observation

MAX_TAKEN = 2_000
"""Number of observations of one trial that the loop takes in one turn."""
MAX_WAITING = 4_000
"""Number of observations that wait for the loop; the reading waits while there are more."""
LINES_AT_ONCE = 256
"""Number of lines of output that are read before the report file is looked at again."""
LOOK_S = 0.1
"""Longest time between two looks at the report file and at the files of [run].metrics_from."""
MAX_END_S = 10.0
"""Time to read what a command had written when it ended; of what is left then, only the end is read."""
MAX_HURRIED_END_S = 0.5
"""The same for a command that was ended for a limit, whose numbers count less than the time."""


class ObservationQueue:
    """Observations on their way from the reading thread to the loop."""

    def __init__(self) -> None:
        self._waiting: deque[Observation] = deque()
        self._changed = threading.Condition()
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, observation: Observation) -> None:
        """Add an observation; waits while MAX_WAITING others wait, unless nobody takes any more."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < MAX_WAITING or self._is_closed)
            if not self._is_closed:
                self._waiting.append(observation)

    def take(self) -> list[Observation]:
        """Remove and return up to MAX_TAKEN observations; never waits."""
        with self._changed:
            taken = [self._waiting.popleft() for _ in range(min(MAX_TAKEN, len(self._waiting)))]
            self._changed.notify_all()
        return taken

    def close(self) -> None:
        """Drop what is added from now on, so that the reading thread can end."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()


class MetricReading(threading.Thread):
    """The thread that reads one command's metrics. The loop hands it lines and never waits for it.

    Args:
        metrics: what is read, and where it goes; the thread's own until `is_done`.

    Attributes:
        problem: the exception that ended the reading early; "" for none.
    """

    def __init__(self, metrics: MetricCollector) -> None:
        super().__init__(daemon=True, name="tunesmith-reading")
        self._metrics = metrics
        self._lines: deque[OutputLine] = deque()
        self._changed = threading.Condition()
        self._end_by: float | None = None
        self._done = threading.Event()
        self.problem = ""
        self.start()

    @property
    def has_room(self) -> bool:
        """Whether the loop may hand over more lines."""
        return len(self._lines) < MAX_LINES

    def put(self, lines: Sequence[OutputLine]) -> None:
        """Hand over lines of output; never waits."""
        if lines:
            with self._changed:
                self._lines.extend(lines)
                self._changed.notify()

    def finish(self, *, is_hurried: bool) -> None:
        """Say that nothing will be written any more.

        Args:
            is_hurried: whether the command was ended for a limit.
        """
        with self._changed:
            end_by = time.monotonic() + (MAX_HURRIED_END_S if is_hurried else MAX_END_S)
            self._end_by = end_by if self._end_by is None else min(self._end_by, end_by)
            self._changed.notify()

    def is_done(self, wait_s: float = 0.0) -> bool:
        """Return whether everything was read; waits `wait_s` for it."""
        return self._done.wait(wait_s)

    def run(self) -> None:
        """Read until the command has ended and nothing is left."""
        try:
            self._read_all()
        except Exception as error:  # noqa: BLE001  # no output may fail more than its own trial
            self.problem = f"{type(error).__name__}: {error}"
        finally:
            self._done.set()

    def _read_all(self) -> None:
        while True:
            lines = self._next_lines()
            has_more = self._metrics.collect(lines)
            if self._end_by is None:
                continue
            if time.monotonic() > self._end_by:
                self._metrics.skip_to_end()
                with self._changed:
                    while len(self._lines) > LINES_AT_ONCE:
                        self._lines.popleft()
                self._end_by = float("inf")
            elif not has_more and not self._lines:
                self._metrics.finish()
                return

    def _next_lines(self) -> list[OutputLine]:
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._end_by is not None, LOOK_S)
            return [self._lines.popleft() for _ in range(min(LINES_AT_ONCE, len(self._lines)))]
