"""The two clocks of a run, the moment it has to end by, and what tells that the machine slept or its clock was set.

Hours at work are counted by a clock that no setting moves and that stands while the machine sleeps. `until` is a time
of day, so it follows the wall clock, wherever that goes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tunesmith.study.config.budget import Budget
from tunesmith.study.config.record import Event
from tunesmith.study.config.spec import BudgetTable
from tunesmith.study.units import short_seconds

DEADLINE_EVENT = "deadline"
"""The kind of event under which a run keeps the moment that its `until` stands for."""
CLOCK_EVENT = "clock"
"""The kind of event that notes a jump between the two clocks."""
JUMP_S = 30.0
"""Smaller jumps are corrections of the clock that nobody needs to know of."""
RESTART_S = 3600.0
"""A run that starts so soon after the deadline of one that was killed is that run again, not the next night's."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """`wall` gives seconds since the epoch; `steady` gives seconds at work, from any start."""

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = time.monotonic


class ClockDrift:
    """Watches how far the wall clock has moved away from the steady one."""

    def __init__(self, clocks: Clocks) -> None:
        self._clocks = clocks
        self._apart = self._now()

    def jump_s(self) -> float:
        """Return by how many seconds the wall clock jumped since the last call; 0.0 for less than JUMP_S."""
        apart = self._now()
        jump = apart - self._apart
        if abs(jump) < JUMP_S:
            return 0.0
        self._apart = apart
        return jump

    def _now(self) -> float:
        return self._clocks.wall() - self._clocks.steady()


def clock_jump_text(jump_s: float) -> str:
    """Return a jump as a sentence for people."""
    if jump_s > 0:
        return f"the machine slept for {short_seconds(jump_s)}, or its clock was set; hours at work do not count it"
    return f"the machine's clock was set back by {short_seconds(-jump_s)}; hours at work do not count it"


def resolve_budget(
    table: BudgetTable, now: float, *, deadlines: Sequence[Event] = (), ends: Sequence[Event] = ()
) -> Budget:
    """Return the limits from now on, `until` as a moment.

    A run that was killed keeps its moment: whoever starts it again just after does not mean the next day.

    Args:
        table: the limits as they stand in the study.
        now: seconds since the epoch.
        deadlines: the events of kind DEADLINE_EVENT, in order.
        ends: the events of kind "ended", in order.
    """
    budget = table.starting_at(now)
    if table.until is None or not deadlines:
        return budget
    last = deadlines[-1]
    was_killed = not ends or ends[-1].at < last.at
    is_same = last.detail.get("until") == table.until.isoformat()
    moment = float(last.detail.get("moment", 0.0))
    if was_killed and is_same and now - RESTART_S <= moment <= now:
        return table.ending_at(moment)
    return budget
