"""The two clocks of a run, its deadline, and the detection of sleep and of changes to the system clock.

Hours at work are measured by the steady clock, which no setting moves and which stops while the machine sleeps.
`until` is a time of day and follows the wall clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tunesmith.study.config.budget import Budget
from tunesmith.study.config.record import Event
from tunesmith.study.config.tables.search import BudgetTable
from tunesmith.study.units import short_seconds

DEADLINE_EVENT = "deadline"
"""Kind of the event that stores the moment at which `until` ends the run."""
CLOCK_EVENT = "clock"
"""Kind of the event that records a jump between the two clocks."""
JUMP_S = 30.0
"""Smallest jump that is reported; smaller ones are routine corrections of the clock."""
RESTART_S = 3600.0
"""Time after a killed run's deadline in which a new run counts as that run started again, not as the next day's."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """The sources of time: `wall` returns seconds since the epoch, `steady` seconds at work from any origin."""

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = time.monotonic


class WorkClock:
    """A steady clock that can be stopped, for the hours that a study works.

    Attributes:
        is_stopped: whether the time that passes now is left out; the loop sets it while a person has paused the study.
    """

    def __init__(self, steady: Callable[[], float]) -> None:
        self._steady = steady
        self._left_out_s = 0.0
        self._stopped_at: float | None = None

    @property
    def is_stopped(self) -> bool:
        """As above."""
        return self._stopped_at is not None

    @is_stopped.setter
    def is_stopped(self, stopped: bool) -> None:
        now = self._steady()
        if stopped and self._stopped_at is None:
            self._stopped_at = now
        elif not stopped and self._stopped_at is not None:
            self._left_out_s += now - self._stopped_at
            self._stopped_at = None

    def __call__(self) -> float:
        """Return the seconds at work, from any origin."""
        return (self._steady() if self._stopped_at is None else self._stopped_at) - self._left_out_s


class ClockDrift:
    """Measures how far the wall clock has moved away from the steady clock."""

    def __init__(self, clocks: Clocks) -> None:
        self._clocks = clocks
        self._offset_s = self._now()

    def jump_s(self) -> float:
        """Return the seconds by which the wall clock jumped since the last call; 0.0 for less than `JUMP_S`."""
        offset_s = self._now()
        jump_s = offset_s - self._offset_s
        if abs(jump_s) < JUMP_S:
            return 0.0
        self._offset_s = offset_s
        return jump_s

    def _now(self) -> float:
        return self._clocks.wall() - self._clocks.steady()


def clock_jump_text(jump_s: float) -> str:
    """Return a sentence about a jump for the user."""
    if jump_s > 0:
        return f"the machine slept for {short_seconds(jump_s)}, or its clock was set; hours at work do not count it"
    return f"the machine's clock was set back by {short_seconds(-jump_s)}; hours at work do not count it"


def resolve_budget(
    table: BudgetTable, now: float, *, deadlines: Sequence[Event] = (), ends: Sequence[Event] = ()
) -> Budget:
    """Return the limits of a run that starts now, with `until` as a moment.

    A killed run that is started again just after its deadline keeps that deadline.

    Args:
        table: the [budget] of the study.
        now: seconds since the epoch.
        deadlines: the events of kind `DEADLINE_EVENT`, in order.
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
