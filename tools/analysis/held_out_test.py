"""The one run of [test]: which trial it is due on, and what it gave. Kept as events, which no model is ever shown.

A test is worth something only while nothing is chosen by it, so its values are no observations, stand in no trial, and
reach people alone: the end of a run, the report and status.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.study.config.record import Event, used_detail
from tunesmith.study.trials.trial import Outcome, Trial, TrialState
from tunesmith.study.units import short_number

TEST_STARTED = "test_started"
TEST_ENDED = "test"
"""The kinds of event: a test began, a test ended."""
ATTEMPTS = 2
"""Killed with the loop so often, it counts as failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutTest:
    """What [test] gave for one trial.

    Attributes:
        trial: the number of the trial whose files were tested.
        state: complete, failed, or stopped when the time was up.
        values: by metric; empty unless it completed.
        reason: why it failed or was stopped; "" otherwise.
        at: when it ended, in seconds since the epoch.
    """

    trial: int
    state: TrialState
    values: Mapping[str, float]
    reason: str
    wall_s: float
    at: float


def test_started_detail(trial: Trial) -> dict[str, Any]:
    """Return what is kept when a test begins."""
    return {"trial": trial.number}


def test_ended_detail(trial: Trial, outcome: Outcome) -> dict[str, Any]:
    """Return what is kept when a test ends; a value that JSON has no word for makes it failed before (as nan)."""
    reason = f"{outcome.failure.kind.value}: {outcome.failure.reason}" if outcome.failure else outcome.note
    return {
        "trial": trial.number,
        "state": outcome.state.value,
        "values": dict(outcome.values) if outcome.state is TrialState.COMPLETE else {},
        "reason": reason,
        "wall_s": outcome.usage.wall_s,
        **used_detail(outcome.usage),
    }


def held_out_tests(events: Sequence[Event]) -> list[HeldOutTest]:
    """Return every test that ended, in order."""
    return [
        HeldOutTest(
            trial=event.detail["trial"],
            state=TrialState(event.detail["state"]),
            values=event.detail["values"],
            reason=event.detail["reason"],
            wall_s=event.detail["wall_s"],
            at=event.at,
        )
        for event in events
        if event.kind == TEST_ENDED
    ]


def is_test_due(trial: Trial, events: Sequence[Event]) -> bool:
    """Tell whether a trial is to be tested: never yet to an end, and not lost with the loop too often."""
    own = [
        event for event in events if event.kind in (TEST_STARTED, TEST_ENDED) and event.detail["trial"] == trial.number
    ]
    # One that was stopped for want of time or by a person was not lost.
    last = max((index for index, event in enumerate(own) if event.kind == TEST_ENDED), default=-1)
    if any(event.kind == TEST_ENDED and event.detail["state"] != TrialState.STOPPED.value for event in own):
        return False
    return len(own[last + 1 :]) < ATTEMPTS


def held_out_test_line(tests: Sequence[HeldOutTest], best: int | None) -> str:
    """Return what people are told: the test of the best trial, else the last one; "" without any."""
    if not tests:
        return ""
    shown = next((test for test in reversed(tests) if test.trial == best), tests[-1])
    if shown.state is not TrialState.COMPLETE:
        return f"Test of trial {shown.trial}: {shown.state.value}: {shown.reason}"
    values = ", ".join(f"{name} {short_number(value)}" for name, value in shown.values.items())
    others = len({test.trial for test in tests}) - 1
    more = f"; {others} other{'s were' if others > 1 else ' was'} tested before it, so it is no longer untouched"
    # What was tested before another choice was made is a part of how that one came about.
    return f"Test of trial {shown.trial}: {values} ([test], run once{more if others else ''})"
