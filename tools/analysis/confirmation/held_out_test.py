"""The one run of [test]: for which trial it is due, and its result. Stored as events, which no model ever reads.

A held-out test is valid only while nothing is selected by it. Its values are therefore not observations and belong to
no trial; only people see them: at the end of a run, in the report and in status.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.study.config.record import Event, usage_detail
from tunesmith.study.trials.trial import Outcome, Trial, TrialState
from tunesmith.study.units import short_number

TEST_STARTED = "test_started"
"""Kind of the event that a test started."""
TEST_ENDED = "test"
"""Kind of the event that a test ended."""
MAX_ATTEMPTS = 2
"""Number of starts without an end, such as when the loop is killed, after which a test is not repeated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutTest:
    """Result of [test] for one trial.

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


def start_event_detail(trial: Trial) -> dict[str, Any]:
    """Return the detail of the event that a test started."""
    return {"trial": trial.number}


def end_event_detail(trial: Trial, outcome: Outcome) -> dict[str, Any]:
    """Return the detail of the event that a test ended. Values of a complete outcome are finite, so JSON holds them."""
    reason = f"{outcome.failure.kind.value}: {outcome.failure.reason}" if outcome.failure else outcome.note
    return {
        "trial": trial.number,
        "state": outcome.state.value,
        "values": dict(outcome.values) if outcome.state is TrialState.COMPLETE else {},
        "reason": reason,
        "wall_s": outcome.usage.wall_s,
        **usage_detail(outcome.usage),
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
    """Return whether a trial is to be tested: no test of it completed or failed, and attempts are left."""
    kinds = (TEST_STARTED, TEST_ENDED)
    own = [event for event in events if event.kind in kinds and event.detail["trial"] == trial.number]
    ended = [index for index, event in enumerate(own) if event.kind == TEST_ENDED]
    # A test that was stopped, for lack of time or by a person, may run again; it does not count as an attempt.
    if any(own[index].detail["state"] != TrialState.STOPPED.value for index in ended):
        return False
    started_since = own[ended[-1] + 1 :] if ended else own
    return len(started_since) < MAX_ATTEMPTS


def held_out_test_line(tests: Sequence[HeldOutTest], best: int | None) -> str:
    """Return the test of the best trial as a sentence for people, else the last test; "" without any."""
    if not tests:
        return ""
    shown = next((test for test in reversed(tests) if test.trial == best), tests[-1])
    if shown.state is not TrialState.COMPLETE:
        return f"Test of trial {shown.trial}: {shown.state.value}: {shown.reason}"
    values = ", ".join(f"{name} {short_number(value)}" for name, value in shown.values.items())
    others = len({test.trial for test in tests}) - 1
    # A person who saw an earlier test may have chosen by it.
    more = f"; {others} other trial{'s were' if others > 1 else ' was'} tested before, so the test data is not unseen"
    return f"Test of trial {shown.trial}: {values} ([test], run once{more if others else ''})"
