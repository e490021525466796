"""What a person reads before approving a command: before, after, cost; and what is refused before anybody is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes.studies import complete, failed, make_spec, proposal

from tunesmith.agent.loop.commands.checking import check_command
from tunesmith.history.write import Recorder
from tunesmith.study.errors import ToolRefused
from tunesmith.study.trials.trial import Proposal
from tunesmith.tools.control.inbox import Inbox, InboxControl
from tunesmith.tools.control.study_reader import FileStudyReader
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.registry import ALL
from tunesmith.tools.llm_tools.tool import find_tool


def _configurations() -> list[Proposal]:
    made = [proposal(lr) for lr in (0.01, 0.02, 0.04, 0.08)]
    with_sgd = [
        replace(p, params={**p.params, "optimizer": "sgd", "momentum": 0.9}) for p in (proposal(0.03), proposal(0.06))
    ]
    return [*made, *with_sgd]


@pytest.fixture
def context(tmp_path: Path) -> Iterator[ToolContext]:
    """Return a study of six complete trials of 2 s, trial 0 the best; trial 6 failed, trial 7 waits."""
    spec = make_spec()
    history, folder = tmp_path / "history.db", tmp_path / "small"
    with Recorder(history, spec, project="", now=0.0) as recorder:
        for made in _configurations():
            outcome = complete(float(made.params["lr"] or 0) * 10, gpu_mem_gb=8.0)
            recorder.record_outcome(recorder.record_start(recorder.record_proposal(made, 0.0), 0, 0.0), outcome, 2.0)
        recorder.record_outcome(recorder.record_proposal(proposal(0.5), 3.0), failed(), 3.0)
        recorder.record_proposal(proposal(0.09), 4.0)
    reader = FileStudyReader(history, lambda: spec)
    control = InboxControl(Inbox(folder), by="test", check=lambda command: check_command(command, spec, reader))
    yield ToolContext(reader=reader, folder=folder, history=history, control=control)
    reader.close()


def preview(context: ToolContext, tool: str, **arguments: Any) -> str:
    return find_tool(ALL, tool).preview_text(context, arguments)


@pytest.mark.parametrize(
    ("tool", "arguments", "sentence"),
    [
        ("limit", {"name": "trials", "value": 20}, "Trials: 10 -> 20, about 20 s more"),
        ("limit", {"name": "trials", "value": 5}, "Trials: 10 -> 5; 7 are done, so no further trial starts"),
        ("limit", {"name": "hours", "value": 1.5}, "Hours of work: no limit -> 1.5"),
        ("limit", {"name": "llm_usd", "value": 3}, "Dollars for the LLM: no limit -> 3"),
        ("setting", {"key": "run.timeout", "value": "30m"}, "run.timeout: not set -> 30m, from the next trial on"),
        ("setting", {"key": "stop.no_gain", "value": 9}, "stop.no_gain: not set -> 9, from the next trial on"),
        ("confirm", {"number": 3}, "Run #3 again on 3 fresh seeds: 3 runs, about 6.0 s"),
        ("confirm", {"number": 3, "seeds": 1}, "Run #3 again on 1 fresh seed: 1 run, about 2.0 s"),
        ("bounds", {"name": "hidden", "high": 1024}, "hidden: 8 to 512 -> 8 to 1024"),
        (
            "bounds",
            {"name": "optimizer", "choices": ["adam", "sgd", "lion"]},
            "optimizer: adam, sgd -> adam, sgd, lion",
        ),
        (
            "veto",
            {"condition": "optimizer == 'sgd'"},
            "No more trials with optimizer = sgd (2 of 7 so far, 2 of the best 5)",
        ),
        ("veto", {"condition": "lr > 0.4"}, "No more trials with lr > 0.4 (1 of 7 so far, none of the best 5)"),
        (
            "pin",
            {"name": "optimizer", "value": "adam"},
            "Fix optimizer at adam in all later trials (5 of 7 so far, 3 of the best 5)",
        ),
        ("withdraw", {"number": 7}, "Take #7 off the queue: lr=0.09 hidden=64 optimizer=adam"),
        ("forget", {"numbers": [4, 5]}, "Let trials 4-5 teach nothing and count nowhere"),
        (
            "forget",
            {"numbers": [0]},
            "Let trial 0 teach nothing and count nowhere; #0, the best so far, is among them, then #1 is the best",
        ),
        ("retry", {}, "Run trial 6 again, under new numbers, about 2.0 s; the failures count no more"),
        ("parallel", {"count": 4}, "Trials at the same time: 1 -> 4"),
        (
            "constrain",
            {"metric": "gpu_mem_gb", "max": 4},
            "Trials must keep gpu_mem_gb at most 4 (0 of 6 so far do; #0, the best so far, does not)",
        ),
        (
            "queue",
            {"configurations": [{"lr": 0.005}]},
            "Run 1 trial next, about 2.0 s:\n  lr=0.005 hidden=64 optimizer=adam",
        ),
    ],
)
def test_a_call_is_a_sentence_with_what_was_what_will_be_and_what_it_costs(
    context: ToolContext, tool: str, arguments: dict[str, Any], sentence: str
) -> None:
    assert preview(context, tool, **arguments) == sentence


@pytest.mark.parametrize(
    ("tool", "arguments", "reason"),
    [
        ("confirm", {"number": 7}, "trial 7 is waiting; only a complete one can be confirmed"),
        ("confirm", {"number": 6}, "only a complete one can be confirmed"),
        ("confirm", {"number": 99}, "there is no trial 99"),
        ("withdraw", {"number": 1}, "only a waiting trial can be withdrawn"),
        ("stop_trial", {"number": 7}, "not running, so there is nothing to stop"),
        ("end", {}, "not running, so there is nothing to end"),
        ("pause", {}, "not running, so there is nothing to pause"),
        ("bounds", {"name": "hidden", "low": 512}, "low"),
        ("bounds", {"name": "hiden", "low": 16}, "did you mean hidden"),
        ("pin", {"name": "optimizer", "value": "adamw"}, "optimizer"),
        ("veto", {"condition": "optimiser == 'sgd'"}, "did you mean optimizer"),
        ("veto", {"condition": "lr >"}, "lr >"),
        ("veto", {"condition": "lr > 1", "lift": True}, "there is no veto"),
        ("forbid", {"rule": "lrr * hidden > 9"}, "lrr is not known; did you mean lr?"),
        ("forbid", {"rule": "hidden == 64"}, "the default configuration breaks a rule"),
        ("forbid", {"rule": "lr > 0.9", "lift": True}, "there is no rule"),
        ("limit", {"name": "trials", "value": None}, "nothing would end the study"),
        ("limit", {"name": "trials", "value": 10}, "already 10"),
        ("constrain", {"metric": "memory", "max": 4}, "memory"),
        ("forget", {"numbers": [7]}, "7"),
        ("retry", {"numbers": [0]}, "0"),
    ],
)
def test_a_call_that_the_study_would_refuse_is_refused_before_a_person_is_asked_and_sends_nothing(
    context: ToolContext, tool: str, arguments: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ToolRefused) as asked:
        preview(context, tool, **arguments)
    with pytest.raises(ToolRefused) as called:
        find_tool(ALL, tool).call(context, arguments)
    assert reason in str(asked.value)
    assert str(asked.value) == str(called.value)
    assert context.folder is not None
    assert not list(context.folder.glob("inbox/*.json"))
