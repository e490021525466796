"""Rules that are added to a running study: what they forbid from then on, and how they are removed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes.studies import make_spec, proposal

from tunesmith.agent.loop.commands.decisions import RunState, decide, event_detail
from tunesmith.study.commands import Bounds, Forbid, Pin, Queue
from tunesmith.study.config.changes import Steering
from tunesmith.study.config.record import Event
from tunesmith.study.errors import ToolRefused
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.tools.control.earlier_commands import COMMAND_EVENT, read_earlier_commands


def state() -> RunState:
    """Return a run in which a trial with lr = 0.04 and 64 hidden units waits."""
    trials = [Trial(number=0, proposal=proposal(0.04), state=TrialState.WAITING)]
    return RunState(spec=make_spec(), trials=trials, running=frozenset(), steering=Steering({}), paused=False)


def ruled(rule: str = "lr * hidden > 8") -> RunState:
    decided = decide(Forbid(rule=rule), state())
    assert decided.spec is not None
    return replace(state(), spec=decided.spec)


def test_a_rule_is_added_and_says_what_is_left_and_which_waiting_trials_break_it() -> None:
    decision = decide(Forbid(rule="lr *  hidden > 2"), state())
    assert decision.spec is not None
    assert decision.spec.forbid == ["lr * hidden > 2"]
    assert "% of the space is left; #0 breaks it" in decision.answer


def test_nothing_that_breaks_the_rule_is_queued_and_it_is_quoted() -> None:
    with pytest.raises(ToolRefused, match=r"lr \* hidden > 8 is forbidden, and lr=1 hidden=64"):
        decide(Queue(params={"lr": 1.0, "hidden": 64, "optimizer": "adam"}), ruled())


def test_a_removed_rule_is_gone_and_a_later_run_still_has_the_others() -> None:
    first = decide(Forbid(rule="lr * hidden > 8"), state())
    assert first.spec is not None
    second = decide(Forbid(rule="lr > 0.9"), replace(state(), spec=first.spec))
    assert second.spec is not None
    third = decide(Forbid(rule="lr * hidden > 8", lift=True), replace(state(), spec=second.spec))
    assert third.answer == "no longer forbidden: lr * hidden > 8"
    events = [
        Event(at=0.0, kind=COMMAND_EVENT, detail=event_detail(str(n), "chat", {}, d.answer, d))
        for n, d in enumerate((first, second, third))
    ]
    later = read_earlier_commands(make_spec(), events)
    assert later.spec.forbid == ["lr > 0.9"]
    assert later.spec.space.broken_rule({"lr": 0.95, "hidden": 64, "optimizer": "adam"})


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("lrr > 3", "lrr is not known; did you mean lr"),
        ("hidden * 2", "expected a comparison"),
        ("9**9**9 > lr", "too large"),
        ("lr.real > 3", "lr.real is not known"),
        ("optimizer > 2", "optimizer is a text"),
        ("lr <= 1", "the rules leave nothing|the default configuration breaks a rule"),
    ],
)
def test_a_rule_that_cannot_hold_is_refused(rule: str, words: str) -> None:
    with pytest.raises(ToolRefused, match=words):
        decide(Forbid(rule=rule), state())


def test_a_rule_is_neither_added_twice_nor_removed_when_it_is_not_there() -> None:
    with pytest.raises(ToolRefused, match="is forbidden already"):
        decide(Forbid(rule="lr * hidden > 8"), ruled())
    with pytest.raises(ToolRefused, match=r"there is no rule .*; current rules: lr \* hidden > 8"):
        decide(Forbid(rule="lr > 3", lift=True), ruled())


def test_a_pin_that_no_rule_leaves_room_for_is_refused() -> None:
    with pytest.raises(ToolRefused, match="hidden cannot be fixed at 32"):
        decide(Pin(name="hidden", value=32), ruled("hidden == 32 and lr > 0"))


def test_a_range_of_which_rules_leave_nothing_is_refused() -> None:
    with pytest.raises(ToolRefused, match="forbid"):
        decide(Bounds(name="lr", low=0.5, high=1.0), ruled("lr >= 0.5"))
