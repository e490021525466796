"""Invalid commands are refused with every mistake; valid ones are read back from the events of an earlier run."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.studies import make_spec

from tunesmith.agent.loop.commands.decisions import RunState, decide, event_detail
from tunesmith.study.commands import Bounds, Constrain, Limit, Pin, Queue, Veto
from tunesmith.study.config.changes import Steering
from tunesmith.study.config.record import Event
from tunesmith.study.errors import ToolRefused
from tunesmith.tools.control.earlier_commands import read_earlier_commands


def run_state(**more: Any) -> RunState:
    usual: dict[str, Any] = {
        "spec": make_spec(),
        "trials": [],
        "running": frozenset(),
        "steering": Steering({}),
        "paused": False,
    }
    return RunState(**{**usual, **more})


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (Queue(params={"lr": 5.0, "hidden": 64, "optimizer": "adam"}), "lr: 5.0 is out of range"),
        (Queue(params={"lr": 0.1, "hidden": 64, "optimizer": "adam", "z": 1}), "z: is not a parameter"),
        (Pin(name="lrr", value=1), "did you mean lr"),
        (Pin(name="optimizer", value="lion"), "optimizer"),
        (Veto(condition="lr ** 2 > 1"), "not supported in a condition"),
        (Veto(condition="rate > 1"), "rate is not a parameter"),
        (Veto(condition="lr > 1", lift=True), "there is no veto"),
        (Limit(name="trials", value=0.5), "budget.trials"),
        (Limit(name="until", value="25:99"), "budget.until"),
        (Limit(name="trials", value=10.0), "already 10"),
        (Bounds(name="optimizer", low=1.0), "give choices"),
        (Bounds(name="lr", choices=[1]), "give low, high or both"),
        (Bounds(name="lr"), "nothing to change"),
        (Bounds(name="lr", low=2.0), "space.lr"),
        (Constrain(metric="mem", min=2.0, max=1.0), "no value can meet both"),
    ],
    ids=str,
)
def test_an_invalid_command_is_refused_with_the_reason(command: Any, reason: str) -> None:
    with pytest.raises(ToolRefused, match=reason):
        decide(command, run_state())


def test_every_mistake_of_a_configuration_is_named() -> None:
    with pytest.raises(ToolRefused) as refused:
        decide(Queue(params={"lr": 5.0, "hidden": 1, "z": 1}), run_state())
    assert all(name in str(refused.value) for name in ("lr", "hidden", "z"))


def test_a_default_outside_of_new_bounds_moves_to_the_nearest_end() -> None:
    decision = decide(Bounds(name="lr", low=0.01), run_state())
    assert decision.spec is not None
    assert decision.spec.space.default is not None
    assert decision.spec.space.default["lr"] == 0.01


def test_earlier_commands_are_read_back_from_events() -> None:
    spec = make_spec()
    now = run_state(spec=spec)
    events = []
    for n, command in enumerate(
        (Pin(name="hidden", value=32), Limit(name="trials", value=99), Veto(condition="lr > 0.5"))
    ):
        decision = decide(command, now)
        detail = event_detail(str(n), "test", command.model_dump(), decision.answer, decision)
        events.append(Event(at=0.0, kind="order", detail=detail))
        now = run_state(spec=decision.spec or now.spec, steering=decision.steering or now.steering)
    kept = read_earlier_commands(spec, events)
    assert kept.spec.budget.trials == 99
    assert kept.steering == Steering({"hidden": 32}, ("lr > 0.5",))
    assert kept.names == {"0", "1", "2"}
    edited = make_spec(budget={"trials": 12})
    assert read_earlier_commands(edited, events).spec.budget.trials == 12
