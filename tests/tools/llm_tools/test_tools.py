"""Tools for LLMs: descriptions, schemas, validated arguments, and their lines in the docs."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import pytest
from fakes.studies import complete, make_spec, proposal
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.agent.llm.tools import lookup_tools
from tunesmith.cli.chat.slash.commands import CHAT_COMMANDS, COMMANDS, help_text
from tunesmith.history.write import Recorder
from tunesmith.study.errors import ToolRefused
from tunesmith.study.trials.view import StudyView
from tunesmith.tools.control.study_reader import FileStudyReader, InMemoryStudyReader, study_view
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.registry import ALL, PLANNER, tools_up_to
from tunesmith.tools.llm_tools.tool import AnyTool, Effect, arguments_text

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("tool", ALL, ids=lambda tool: tool.name)
def test_every_tool_has_a_description_a_schema_and_a_line_in_the_docs(tool: AnyTool) -> None:
    assert len(tool.description) > 20
    schema = tool.schema
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    assert f"`{tool.name}`" in (ROOT / "docs" / "mcp.md").read_text(encoding="utf-8")
    with pytest.raises(ToolRefused, match="surely_unknown is not a known key"):
        tool.parse({"surely_unknown": 1})


def test_names_are_unique_and_the_planner_gets_only_reading_tools() -> None:
    names = [tool.name for tool in ALL]
    assert len(set(names)) == len(names)
    assert all(tool.effect is Effect.READ for tool in (*tools_up_to(Effect.READ), *PLANNER))
    assert {"queue", "start", "write_study"}.isdisjoint({t.name for t in tools_up_to(Effect.STEER)})


@pytest.mark.parametrize("name", [*COMMANDS, *CHAT_COMMANDS])
def test_every_slash_command_is_in_the_help_and_in_the_docs(name: str) -> None:
    assert f"/{name}" in help_text()
    assert f"/{name}" in (ROOT / "docs" / "chat.md").read_text(encoding="utf-8")


def test_planner_and_chat_get_the_same_answer_about_a_trial(tmp_path: Path) -> None:
    spec, path = make_spec(), tmp_path / "h.db"
    with Recorder(path, spec, project="", now=0.0) as recorder:
        for lr in (0.01, 0.02):
            recorder.record_outcome(recorder.record_proposal(proposal(lr), 0.0), complete(lr * 10), 1.0)
        trials = recorder.history.trials(recorder.study_id)
    by_planner = next(t for t in lookup_tools(spec, study_view(spec, trials), None) if t.name == "trial").run(
        {"number": 1}
    )
    reader = FileStudyReader(path, lambda: spec)
    by_chat = next(t for t in ALL if t.name == "trial").call(ToolContext(reader=reader), {"number": 1})
    reader.close()
    assert by_planner == by_chat
    assert "lr=0.02" in by_chat


def test_a_condition_may_use_parameters_metrics_and_states() -> None:
    spec = make_spec()
    view = study_view(spec, trials_of(spec, [0.001, 0.01, 0.1]))
    context = ToolContext(reader=InMemoryStudyReader(spec, view))
    trials = next(t for t in ALL if t.name == "trials")
    assert trials.call(context, {"where": "lr >= 0.01 and loss < 0.5"}).count("#") == 1
    assert trials.call(context, {"where": "state == 'complete' and number in [0, 2]"}).count("#") == 2
    with pytest.raises(ToolRefused, match="did you mean hidden"):
        trials.call(context, {"where": "hiden > 3"})


def test_a_tool_without_its_model_or_study_is_refused() -> None:
    spec = make_spec()
    context = ToolContext(reader=InMemoryStudyReader(spec, study_view(spec, [])))
    with pytest.raises(ToolRefused, match="no model"):
        next(t for t in ALL if t.name == "points").call(context, {})
    with pytest.raises(ToolRefused, match="there is no study here yet"):
        next(t for t in ALL if t.name == "study").call(ToolContext(), {})


def trials_of(spec: Any, rates: list[float]) -> list[Any]:
    with Recorder(None, spec, project="", now=0.0) as recorder:
        for lr in rates:
            recorder.record_outcome(recorder.record_proposal(proposal(lr), 0.0), complete(lr * 10), 1.0)
        return recorder.history.trials(recorder.study_id)


@given(st.dictionaries(st.text(string.ascii_letters, min_size=1, max_size=5), st.integers() | st.text(max_size=80)))
def test_arguments_are_shown_on_one_short_line(arguments: dict[str, Any]) -> None:
    text = arguments_text(arguments)
    assert "\n" not in text
    assert len(text) <= 60


def test_a_study_in_memory_needs_no_file() -> None:
    spec = make_spec()
    reader = InMemoryStudyReader(spec, StudyView(space=spec.space, objectives=spec.objectives))
    assert reader.record() is None
    assert list(reader.curve(0)) == []


def test_no_tool_shows_data_that_is_for_the_judge_alone(tmp_path: Path) -> None:
    for name in ("answers.json", "held/labels.txt", "train.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("SECRET")
    (tmp_path / "alias.txt").symlink_to("answers.json")
    spec = make_spec(evaluate={"command": "true", "data": ["answers.json"]}, test={"command": "true", "data": ["held"]})
    context = ToolContext(reader=InMemoryStudyReader(spec, study_view(spec, [])), project=tmp_path)
    source = next(t for t in ALL if t.name == "source")
    assert "SECRET" in source.call(context, {"path": "train.py"})
    for path in ("answers.json", "held/labels.txt", "held/../answers.json", "alias.txt", "nowhere.txt"):
        with pytest.raises(ToolRefused, match="its top folder has train.py") as refusal:
            source.call(context, {"path": path})
        assert "answers" not in str(refusal.value)
