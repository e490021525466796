"""What is forgotten and what runs again: plans from trials, and the commands while a study runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from fakes.studies import make_spec

from tunesmith.agent.loop.commands.retries import plan_forget, plan_retry, plan_take_up
from tunesmith.study.errors import ToolRefused
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.trial import (
    Failure,
    FailureKind,
    InstanceRuns,
    Outcome,
    Proposal,
    Source,
    Trial,
    TrialState,
)

SPACE = make_spec(space={"lr": {"type": "float", "low": 0.0, "high": 1.0}}).space


def made(number: int, params: Mapping[str, Value], state: TrialState = TrialState.FAILED, **fields: object) -> Trial:
    failure = Failure(kind=FailureKind.CRASH, reason="broke") if state is TrialState.FAILED else None
    outcome = Outcome(state=state, failure=failure) if state.is_finished else None
    proposal = Proposal(params=params, source=Source.SAMPLER, seed=number)
    return Trial(number=number, proposal=proposal, state=state, outcome=outcome, **fields)  # type: ignore[arg-type]


def test_every_failed_trial_is_retried_with_its_configuration_and_seed() -> None:
    trials = [made(0, {"lr": 0.1}), made(1, {"lr": 0.2}, TrialState.COMPLETE), made(2, {"lr": 0.3})]
    plan = plan_retry((), trials, SPACE)
    assert plan.forget == (0, 2)
    assert [(p.params["lr"], p.seed) for p in plan.proposals] == [(0.1, 0), (0.3, 2)]
    assert plan.answer == "queued again as trials 3-4; the failures of trials 0, 2 are forgotten"


def test_equal_configurations_are_retried_once_and_those_that_work_not_at_all() -> None:
    trials = [
        made(0, {"lr": 0.1}),
        made(1, {"lr": 0.1}),
        made(2, {"lr": 0.2}),
        made(3, {"lr": 0.2}, TrialState.WAITING),
    ]
    plan = plan_retry((), trials, SPACE)
    assert plan.forget == (0, 1, 2)
    assert [p.params["lr"] for p in plan.proposals] == [0.1]


def test_a_configuration_outside_the_present_space_is_not_retried() -> None:
    plan = plan_retry((), [made(0, {"lr": 7.0})], SPACE)
    assert plan.proposals == ()
    assert plan.answer.startswith("nothing runs again, ")


def test_a_retried_failure_is_not_retried_twice() -> None:
    trials = [made(0, {"lr": 0.1}, forgotten=True), made(1, {"lr": 0.1}, TrialState.COMPLETE)]
    with pytest.raises(ToolRefused, match="no trial has failed"):
        plan_retry((), trials, SPACE)


def test_only_failed_trials_are_retried() -> None:
    with pytest.raises(ToolRefused, match="trial 0 did not fail"):
        plan_retry((0,), [made(0, {"lr": 0.1}, TrialState.COMPLETE)], SPACE)


def test_finished_trials_are_forgotten_and_taken_up_again() -> None:
    trials = [made(n, {"lr": 0.1}, TrialState.COMPLETE) for n in range(4)]
    assert plan_forget((1, 2, 2, 3), trials).forget == (1, 2, 3)
    assert plan_take_up((1, 2), [made(n, {"lr": 0.1}, forgotten=n == 2) for n in range(4)]).take_up == (2,)


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [((0,), "trial 0 not finished"), ((5,), "there is no trial 5; the last is 1"), ((1,), "forgotten already")],
)
def test_other_trials_are_not_forgotten(numbers: tuple[int, ...], reason: str) -> None:
    trials = [made(0, {"lr": 0.1}, TrialState.RUNNING), made(1, {"lr": 0.1}, forgotten=True)]
    with pytest.raises(ToolRefused, match=reason):
        plan_forget(numbers, trials)


def test_taking_up_what_is_not_forgotten_names_what_is() -> None:
    with pytest.raises(ToolRefused, match="forgotten: trial 1"):
        plan_take_up((0,), [made(0, {"lr": 0.1}), made(1, {"lr": 0.1}, forgotten=True)])


def test_a_run_that_failed_on_one_instance_is_retried_there_and_its_first_trial_keeps_its_value() -> None:
    first = made(0, {"lr": 0.1}, runs=InstanceRuns(values={"a": 1.0}, adjusted=(1.0,)))
    first = replace(first, proposal=replace(first.proposal, instance="a"))
    again = made(1, {"lr": 0.1})
    again = replace(again, proposal=replace(again.proposal, instance="b", replicate_of=0))
    plan = plan_retry((), [first, again], SPACE)
    assert plan.forget == (1,)
    assert [(p.instance, p.replicate_of) for p in plan.proposals] == [("b", 0)]
