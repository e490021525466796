"""Decisions on commands: what each changes in a running study, and why some are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fakes.studies import complete, failed, make_spec, proposal

from tunesmith.agent.llm.call_log import charged_calls
from tunesmith.agent.loop.commands.decisions import CommandDecision, RunState, decide
from tunesmith.study.commands import (
    Charge,
    Command,
    Confirm,
    Constrain,
    EditCode,
    End,
    Limit,
    Parallel,
    Pause,
    Pin,
    Queue,
    Resume,
    StopTrial,
    Veto,
    Withdraw,
)
from tunesmith.study.config.changes import Steering
from tunesmith.study.errors import ToolRefused
from tunesmith.study.trials.trial import Source, Trial, TrialState
from tunesmith.tools.control.earlier_commands import read_earlier_commands


def state(**more: Any) -> RunState:
    """Return a run with a complete, a failed, a running and a waiting trial."""
    trials = [
        Trial(number=0, proposal=proposal(0.01), state=TrialState.COMPLETE, outcome=complete(0.5)),
        Trial(number=1, proposal=proposal(0.02), state=TrialState.FAILED, outcome=failed()),
        Trial(number=2, proposal=proposal(0.03), state=TrialState.RUNNING),
        Trial(number=3, proposal=proposal(0.04), state=TrialState.WAITING),
    ]
    usual: dict[str, Any] = {
        "spec": make_spec(),
        "trials": trials,
        "running": frozenset({2}),
        "steering": Steering({}),
        "paused": False,
    }
    return RunState(**{**usual, **more})


def test_a_queued_trial_gets_the_next_number_and_the_users_reason() -> None:
    decision = decide(Queue(params={"lr": 0.1, "hidden": 64, "optimizer": "adam"}, why="a guess"), state())
    assert decision.answer == "queued as trial 4"
    (queued,) = decision.proposals
    assert (queued.source, queued.rationale) == (Source.USER, "a guess")


def test_a_confirmation_uses_seeds_that_the_trial_has_not_run_on() -> None:
    first = decide(Confirm(number=0, seeds=2), state())
    seeds = [asked.seed for asked in first.proposals]
    done = [
        Trial(number=4 + index, proposal=asked, state=TrialState.COMPLETE, outcome=complete(0.5))
        for index, asked in enumerate(first.proposals)
    ]
    second = decide(Confirm(number=0, seeds=2), state(trials=[*state().trials, *done]))
    assert first.answer == "trial 0 runs again on other seeds, as 4 to 5"
    assert len({*seeds, *(asked.seed for asked in second.proposals)}) == 4
    assert all(asked.replicate_of == 0 for asked in [*first.proposals, *second.proposals])


def test_confirming_a_replicate_confirms_its_original() -> None:
    replicate = replace(proposal(0.01), source=Source.CONFIRM, replicate_of=0, seed=99)
    trials = [*state().trials, Trial(number=4, proposal=replicate, state=TrialState.COMPLETE, outcome=complete(0.4))]
    assert decide(Confirm(number=4), state(trials=trials)).proposals[0].replicate_of == 0


@pytest.mark.parametrize(
    ("command", "changes"),
    [
        (StopTrial(number=2), {"stop": 2}),
        (Withdraw(number=3), {"withdraw": 3}),
        (Pause(), {"paused": True}),
        (Resume(), {"paused": False}),
        (End(), {"interrupts": 1}),
        (End(now=True), {"interrupts": 2}),
        (Pin(name="hidden", value=32), {"steering": Steering({"hidden": 32})}),
        (Veto(condition="lr  >  0.5"), {"steering": Steering({}, ("lr > 0.5",))}),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_each_command_changes_what_it_names_and_nothing_else(command: Command, changes: dict[str, Any]) -> None:
    decision = decide(command, state())
    unchanged = {"stop": None, "withdraw": None, "paused": None, "interrupts": 0, "steering": None}
    assert {name: getattr(decision, name) for name in unchanged} == {**unchanged, **changes}
    assert (decision.proposals, decision.spec, decision.version) == ((), None, None)
    assert decision.answer


def test_a_limit_and_the_number_of_slots_change_the_study() -> None:
    limit = decide(Limit(name="trials", value=20), state())
    assert limit.spec is not None
    assert limit.spec.budget.trials == 20
    assert limit.answer == "budget.trials: 10 -> 20"
    parallel = decide(Parallel(count=3), state())
    assert parallel.spec is not None
    assert parallel.spec.run.parallel == 3


def test_a_constraint_says_how_many_trials_no_longer_count() -> None:
    partly = replace(state().trials[1], state=TrialState.STOPPED, outcome=replace(complete(0.5, memory=1.0)))
    seen = state(trials=[state().trials[0], partly, *state().trials[2:]])
    assert "1 complete trials did not report memory" in decide(Constrain(metric="memory", max=1.0), seen).answer


@pytest.mark.parametrize("metric", ["memory", "los", "Loss", "val/loss", "gpu_mem_gb"])
def test_a_bound_on_a_metric_that_nobody_reports_is_refused_with_those_that_are(metric: str) -> None:
    with pytest.raises(ToolRefused, match=rf"no trial reported '{metric}'.*reported: loss"):
        decide(Constrain(metric=metric, max=1.0), state())
    untold = state(trials=[t for t in state().trials if not t.values])
    assert decide(Constrain(metric=metric, max=1.0), untold).spec is not None  # nothing is known yet


@pytest.mark.parametrize(
    "veto", ["lr < 0.05", "optimizer == 'adam'", "hidden in [64, 32]", "lr > 0.001 and hidden == 64"]
)
def test_what_a_veto_forbids_is_neither_queued_nor_confirmed(veto: str) -> None:
    vetoed = state(steering=Steering({}, ("lr == 1.0", veto)))
    with pytest.raises(ToolRefused, match="not queued: no trial may have"):
        decide(Queue(params={"lr": 0.01, "hidden": 64, "optimizer": "adam"}), vetoed)
    with pytest.raises(ToolRefused, match="trial 0 does not run again: no trial may have"):
        decide(Confirm(number=0), vetoed)


def test_a_pinned_value_becomes_the_parameters_own() -> None:
    for given, own in ((32.0, 32), ("32", 32), ("3.2e1", 32)):
        steering = decide(Pin(name="hidden", value=given), state()).steering
        assert steering is not None
        assert repr(steering.pins) == repr({"hidden": own})


def test_a_queued_configuration_has_the_parameters_own_values() -> None:
    (queued,) = decide(Queue(params={"lr": 1, "hidden": "64.0", "optimizer": "ADAM"}), state()).proposals
    assert repr(dict(queued.params)) == "{'lr': 1.0, 'hidden': 64, 'optimizer': 'adam'}"


def test_a_veto_names_the_unfinished_trials_that_match_it() -> None:
    assert "it matches #3" in decide(Veto(condition="lr > 0.035"), state()).answer


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (Confirm(number=1), "trial 1 is failed; only a complete one can be confirmed"),
        (Confirm(number=9), "there is no trial 9; the last is 3"),
        (StopTrial(number=0), "trial 0 is complete, not running; running: 2"),
        (Withdraw(number=2), "only a waiting trial can be withdrawn"),
        (Limit(name="trials", value=None), "nothing would end the study; keep one of"),
        (EditCode(blocks=[{"path": "a.py", "search": "x", "replace": "y"}]), "has no .edits."),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_an_impossible_command_is_refused_with_the_reason(command: Command, reason: str) -> None:
    with pytest.raises(ToolRefused, match=reason):
        decide(command, state())


def test_edited_code_that_cannot_run_is_refused_with_the_reason() -> None:
    edit = EditCode(blocks=[{"path": "a.py", "search": "x", "replace": "y"}])
    with pytest.raises(ToolRefused, match="no sandbox here"):
        decide(edit, state(refuses_edits="no sandbox here"))


def test_without_earlier_commands_the_study_is_as_its_file_says() -> None:
    spec = make_spec()
    earlier = read_earlier_commands(spec, [])
    assert (earlier.spec, earlier.words, earlier.names) == (spec, (), frozenset())


def test_calls_of_a_model_in_a_chat_are_counted_and_change_nothing_else() -> None:
    charge = Charge(purpose="chat", model="m", calls=2, input_tokens=900, output_tokens=100, cost_usd=0.25)
    decision = decide(charge, state())
    assert decision == CommandDecision(answer="counted for chat", charge=charge)
    calls = charged_calls(charge, 5.0)
    assert [c.call.usage.input for c in calls] == [900, 0]
    assert sum(c.call.cost_usd or 0.0 for c in calls) == 0.25
    assert {c.purpose for c in calls} == {"chat"}
