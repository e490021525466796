"""Leaves out lines of a source that writes more than can be read. Of lines that are alike, the last always stays."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

BURST_LINES = 200_000
"""Number of lines of one source that are all read, however fast they come."""
LINES_PER_S = 2_000
"""Number of lines per second that are read beyond."""
FEWEST_LINES = 20
"""Number of lines of a thinned block that are read in addition to the last of each kind."""
MOST_KINDS = 500
"""Number of kinds of lines of which the last is read."""
_OF_NUMBERS = b"0123456789.+-eE"
_SHAPE_BYTES = 2_000
"""Length up to which lines are compared."""


class LineBudget:
    """How many lines of one source are read: a burst, then LINES_PER_S per second.

    Args:
        clock: seconds that never go back.

    Attributes:
        left_out: number of lines that were not read.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._read = 0
        self.left_out = 0

    def pick(self, lines: Sequence[bytes]) -> Sequence[int]:
        """Return the indices of the lines to read: all while the budget lasts, else the last of each kind and a few."""
        allowed = BURST_LINES + LINES_PER_S * (self._clock() - self._since) - self._read
        picked = range(len(lines)) if len(lines) <= allowed else thinned(lines, max(int(allowed), FEWEST_LINES))
        self._read += len(picked)
        self.left_out += len(lines) - len(picked)
        return picked


def thinned(lines: Sequence[bytes], most: int) -> list[int]:
    """Return the indices of the last line of each kind, and of up to `most` others, evenly spaced.

    Lines are of one kind if they differ in numbers only. Of more than MOST_KINDS kinds, the latest are kept.
    """
    last_of_kind = {line[:_SHAPE_BYTES].translate(None, _OF_NUMBERS): index for index, line in enumerate(lines)}
    kept = sorted(last_of_kind.values())[-MOST_KINDS:]
    step = max(len(lines) // max(most, 1), 1)
    return sorted({*range(0, len(lines), step), *kept})
