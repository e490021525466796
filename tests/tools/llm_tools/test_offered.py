"""Which tools a model sees in which state of a study, and what they cost in every call."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from fakes.studies import complete, failed, make_spec, proposal

from tunesmith.history.write import Recorder
from tunesmith.study.errors import ToolRefused
from tunesmith.study.trials.trial import TrialState
from tunesmith.tools.control.inbox import Inbox, InboxControl
from tunesmith.tools.control.study_reader import FileStudyReader
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.offered import MORE_TOOLS, SELDOM_NEEDED, Situation, offered, tools_of_use
from tunesmith.tools.llm_tools.registry import ALL, CHAT
from tunesmith.tools.llm_tools.tool import AnyTool

MAX_TOKENS = 2_500
"""Tokens for tools in one call of the model."""


def tokens(tools: list[AnyTool]) -> int:
    """Return about how many tokens tools take: words of at most 10 letters and runs of at most 4 signs.

    That is how the tokenizers of the large providers split text before they merge; they need no more for English.
    """
    wire = [
        {"type": "function", "function": {"name": t.name, "description": t.description, "parameters": t.short_schema}}
        for t in tools
    ]
    text = json.dumps(wire, separators=(",", ":"))
    return len(re.findall(r" ?[A-Za-z]{1,10}| ?[0-9]{1,3}|[^\w\s]{1,4}|_|\s", text))


@pytest.mark.parametrize("trials", [0, 3])
@pytest.mark.parametrize("has_edits", [True, False])
@pytest.mark.parametrize(("is_running", "is_paused"), [(True, True), (True, False), (False, False)])
def test_tools_take_few_tokens_in_every_state(is_running: bool, is_paused: bool, has_edits: bool, trials: int) -> None:
    now = Situation(
        has_study=True,
        is_running=is_running,
        is_paused=is_paused,
        has_edits=has_edits,
        has_variants=has_edits,
        has_lessons=True,
        states=dict.fromkeys(TrialState, trials),
    )
    assert tokens(tools_of_use(CHAT, now)) <= MAX_TOKENS
    assert tokens(tools_of_use(CHAT, now, asked_for={"rule", "machine"})) <= MAX_TOKENS * 1.1


def test_without_a_study_there_are_five_tools() -> None:
    shown = offered(ToolContext(), CHAT)
    assert {tool.name for tool in shown} == {"scripts", "read_script", "source", "machine", "write_study"}
    assert tokens(shown) < 400


@pytest.fixture
def context(tmp_path: Path) -> Iterator[ToolContext]:
    spec = make_spec()
    reader = FileStudyReader(tmp_path / "history.db", lambda: spec)
    yield ToolContext(reader=reader, control=InboxControl(Inbox(tmp_path / "small"), by="t"))
    reader.close()


def names(context: ToolContext, **options: Any) -> set[str]:
    return {tool.name for tool in offered(context, CHAT, **options)}


def test_tools_follow_the_state_of_a_study(context: ToolContext, tmp_path: Path) -> None:
    at_first = names(context)
    assert {"study", "start", "check", "write_study", "bounds", "more_tools"} <= at_first
    assert at_first.isdisjoint({"trials", "confirm", "retry", "wait", "pause", "end", "propose_edit", "edits"})
    with Recorder(tmp_path / "history.db", make_spec(), project="", now=0.0) as recorder:
        recorder.record_outcome(recorder.record_proposal(proposal(), 0.0), complete(0.1), 1.0)
        assert {"trials", "compare", "confirm", "predict"} <= names(context)
        assert "retry" not in names(context)
        recorder.record_outcome(recorder.record_proposal(proposal(0.5), 0.0), failed(), 1.0)
        assert "retry" in names(context)
    with Inbox(tmp_path / "small").owned():
        running = names(context)
        assert {"wait", "pause", "end", "write_study"} <= running
        assert running.isdisjoint({"start", "check", "resume", "stop_trial"})


def test_seldom_needed_tools_are_shown_when_asked_for(context: ToolContext) -> None:
    assert names(context).isdisjoint(SELDOM_NEEDED)
    assert {"rule", "machine"} <= names(context, asked_for={"rule", "machine"})
    assert "rule" in MORE_TOOLS.call(context, {"names": ["rule"]})
    assert all(name in MORE_TOOLS.description for name in SELDOM_NEEDED)
    assert {tool.name for tool in ALL} >= set(SELDOM_NEEDED)
    for wrong in ([], ["rulee"], ["queue"], [""], "rule"):
        with pytest.raises(ToolRefused):
            MORE_TOOLS.call(context, {"names": wrong})


def parts(schema: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        for key, value in schema.items():
            yield from (
                parts(value) if key != "properties" else itertools.chain.from_iterable(map(parts, value.values()))
            )


@pytest.mark.parametrize("tool", CHAT, ids=lambda tool: tool.name)
def test_short_schemas_have_the_arguments_and_nothing_a_model_can_do_without(tool: AnyTool) -> None:
    short, whole = tool.short_schema, tool.schema
    assert set(short["properties"]) == set(whole.get("properties", {}))
    assert short.get("required", []) == whole.get("required", [])
    for part in parts(short):
        assert part.keys().isdisjoint({"title", "default", "additionalProperties", "$ref", "$defs", "maxLength"})
        assert part.get("type") != "null"
        assert "type" in part or "anyOf" in part or "enum" in part or not part or set(part) == {"description"}
