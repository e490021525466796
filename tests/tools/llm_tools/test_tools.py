"""The tools themselves: one list, words for each, arguments that are checked, and docs that name them all."""

from __future__ import annotations

import math
import string
from pathlib import Path
from typing import Any

import pytest
from fakes.studies import SPACE, complete, make_spec, proposal
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.agent.llm.tools import lookup_tools
from tunesmith.agent.loop.commands.decisions import RunState, decide, event_detail, read_earlier_commands
from tunesmith.cli.chat.screen import split_blocks
from tunesmith.cli.chat.slash import COMMANDS, CHAT_COMMANDS, help_text
from tunesmith.cli.display.ascii_plot import PlotPoints, plot_lines
from tunesmith.history.write import Recorder
from tunesmith.study.commands import Bounds, Constrain, Limit, Pin, Queue, Veto, command_json, parse_command
from tunesmith.study.config.changes import SpecChange, Steering, active_changes, with_change
from tunesmith.study.config.load import parse_spec
from tunesmith.study.config.record import Event
from tunesmith.study.errors import ToolRefused
from tunesmith.study.formatting import strip_control
from tunesmith.study.trials.view import StudyView
from tunesmith.tools.control.study_reader import FileStudyReader, InMemoryStudyReader, study_view
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.registry import ALL, PLANNER, tools_up_to
from tunesmith.tools.llm_tools.tool import AnyTool, Effect, arguments_text
from tunesmith.tools.toml_text import study_text

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("tool", ALL, ids=lambda tool: tool.name)
def test_every_tool_has_words_a_schema_and_a_line_in_the_docs(tool: AnyTool) -> None:
    assert len(tool.description) > 20
    schema = tool.schema
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    assert f"`{tool.name}`" in (ROOT / "docs" / "mcp.md").read_text(encoding="utf-8")
    with pytest.raises(ToolRefused, match="surely_unknown is unknown here"):
        tool.parse({"surely_unknown": 1})


def test_names_are_unique_and_reading_tools_come_without_permission() -> None:
    names = [tool.name for tool in ALL]
    assert len(set(names)) == len(names)
    assert all(tool.effect is Effect.READ for tool in (*tools_up_to(Effect.READ), *PLANNER))
    assert {"queue", "start", "write_study"}.isdisjoint({t.name for t in tools_up_to(Effect.STEER)})


@pytest.mark.parametrize("name", [*COMMANDS, *CHAT_COMMANDS])
def test_every_slash_command_is_in_the_help_and_in_the_docs(name: str) -> None:
    assert f"/{name}" in help_text()
    assert f"/{name}" in (ROOT / "docs" / "chat.md").read_text(encoding="utf-8")


def test_planner_and_chat_share_one_function_for_a_trial(tmp_path: Path) -> None:
    spec, path = make_spec(), tmp_path / "h.db"
    with Recorder(path, spec, project="", now=0.0) as recorder:
        for lr in (0.01, 0.02):
            recorder.record_outcome(recorder.record_proposal(proposal(lr), 0.0), complete(lr * 10), 1.0)
        trials = recorder.history.trials(recorder.study_id)
    by_planner = next(t for t in lookup_tools(spec, study_view(spec, trials), None) if t.name == "trial").run(
        {"number": 1}
    )
    facts = FileStudyReader(path, lambda: spec)
    by_chat = next(t for t in ALL if t.name == "trial").call(ToolContext(reader=facts), {"number": 1})
    facts.close()
    assert by_planner == by_chat
    assert "lr=0.02" in by_chat


def test_conditions_over_trials_know_parameters_metrics_and_states() -> None:
    spec = make_spec()
    view = study_view(spec, trials_of(spec, [0.001, 0.01, 0.1]))
    context = ToolContext(reader=InMemoryStudyReader(spec, view))
    trials = next(t for t in ALL if t.name == "trials")
    assert trials.call(context, {"where": "lr >= 0.01 and loss < 0.5"}).count("#") == 1
    assert trials.call(context, {"where": "state == 'complete' and number in [0, 2]"}).count("#") == 2
    with pytest.raises(ToolRefused, match="did you mean hidden"):
        trials.call(context, {"where": "hiden > 3"})


def test_a_forecast_without_a_model_at_hand_is_refused() -> None:
    spec = make_spec()
    context = ToolContext(reader=InMemoryStudyReader(spec, study_view(spec, [])))
    with pytest.raises(ToolRefused, match="no model"):
        next(t for t in ALL if t.name == "points").call(context, {})
    with pytest.raises(ToolRefused, match="there is no study here yet"):
        next(t for t in ALL if t.name == "study").call(ToolContext(), {})


# -- orders -----------------------------------------------------------------------------------------------------


def trials_of(spec: Any, rates: list[float]) -> list[Any]:
    with Recorder(None, spec, project="", now=0.0) as recorder:
        for lr in rates:
            recorder.record_outcome(recorder.record_proposal(proposal(lr), 0.0), complete(lr * 10), 1.0)
        return recorder.history.trials(recorder.study_id)


def situation(**more: Any) -> RunState:
    usual: dict[str, Any] = {
        "spec": make_spec(),
        "trials": [],
        "running": frozenset(),
        "steering": Steering({}),
        "paused": False,
    }
    return RunState(**{**usual, **more})


@pytest.mark.parametrize(
    ("order", "words"),
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
        (Constrain(metric="mem", min=2.0, max=1.0), "nothing could meet both"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_refused_in_words(order: Any, words: str) -> None:
    with pytest.raises(ToolRefused, match=words):
        decide(order, situation())


def test_every_mistake_of_a_configuration_is_named() -> None:
    with pytest.raises(ToolRefused) as refused:
        decide(Queue(params={"lr": 5.0, "hidden": 1, "z": 1}), situation())
    assert all(name in str(refused.value) for name in ("lr", "hidden", "z"))


def test_a_default_outside_of_new_bounds_moves_to_the_border() -> None:
    decision = decide(Bounds(name="lr", low=0.01), situation())
    assert decision.spec is not None
    assert decision.spec.space.default is not None
    assert decision.spec.space.default["lr"] == 0.01


def test_orders_survive_json() -> None:
    for order in (Queue(params={"lr": 0.1, "on": True, "n": None}, why="é"), Veto(condition="lr > 1", lift=True)):
        assert parse_command(command_json(order)) == order


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader_of_orders(text: str) -> None:
    with pytest.raises(ToolRefused):
        parse_command(text if text.strip() not in ("", "null") else "null")


def test_what_was_asked_is_read_back_from_events() -> None:
    spec = make_spec()
    now = situation(spec=spec)
    events = []
    for n, order in enumerate(
        (Pin(name="hidden", value=32), Limit(name="trials", value=99), Veto(condition="lr > 0.5"))
    ):
        decision = decide(order, now)
        detail = event_detail(str(n), "test", order.model_dump(), decision.answer, decision)
        events.append(Event(at=0.0, kind="order", detail=detail))
        now = situation(spec=decision.spec or now.spec, steering=decision.steering or now.steering)
    kept = read_earlier_commands(spec, events)
    assert kept.spec.budget.trials == 99
    assert kept.steering == Steering({"hidden": 32}, ("lr > 0.5",))
    assert kept.names == {"0", "1", "2"}
    edited = make_spec(budget={"trials": 12})
    assert read_earlier_commands(edited, events).spec.budget.trials == 12


@given(st.lists(st.sampled_from([5, 6, 7, None]), max_size=6))
def test_changes_chain_and_the_last_one_stands(values: list[int | None]) -> None:
    document: dict[str, Any] = {"budget": {"trials": 10, "hours": 1.0}}
    changes, now = [], document
    for value in values:
        changes.append(SpecChange("budget.trials", now["budget"].get("trials"), value))
        now = with_change(now, changes[-1])
    made, held = active_changes(document, changes)
    assert made == now
    assert len(held) == len(values)


# -- text -------------------------------------------------------------------------------------------------------


def test_a_study_file_is_read_back_as_it_was_written() -> None:
    document = {
        "study": {"name": "a", "metric": ["loss", "time"], "description": 'quotes " and \\ and \n'},
        "run": {"command": "python t.py --lr {lr}", "env": {"A-B": "x y"}},
        "space": SPACE,
        "budget": {"trials": 3, "hours": 0.5},
        "constraints": [{"metric": "mem", "max": 1e-9}, {"metric": "t", "min": 2.0}],
    }
    import tomllib

    assert tomllib.loads(study_text(document)) == document
    assert parse_spec(tomllib.loads(study_text(document))).study.name == "a"


@given(st.text(alphabet="ab \n`~#-|", max_size=200))
def test_no_word_of_an_answer_is_lost_or_doubled(text: str) -> None:
    done, rest = split_blocks(text)
    assert done + rest == text


def test_blocks_end_at_blank_lines_but_not_inside_of_code() -> None:
    assert split_blocks("one\n\ntwo") == ("one\n\n", "two")
    assert split_blocks("```\na\n\nb\n") == ("", "```\na\n\nb\n")


@given(st.text(max_size=200))
def test_nothing_that_is_shown_can_steer_a_terminal(text: str) -> None:
    assert not any(ord(c) < 32 and c not in "\n\t" or 127 <= ord(c) < 160 for c in strip_control(text))


@given(
    st.lists(st.tuples(st.floats(allow_nan=True, width=32), st.floats(allow_nan=True, width=32)), max_size=40),
    st.booleans(),
    st.integers(20, 100),
)
def test_any_points_are_drawn_within_the_width(pairs: list[tuple[float, float]], log_x: bool, width: int) -> None:
    points = PlotPoints(x=[x for x, _ in pairs], y=[y for _, y in pairs], x_name="x", y_name="y", log_x=log_x)
    lines = plot_lines(points, width=width)
    assert lines
    assert all(len(line) <= width for line in lines)


def test_a_plot_puts_the_highest_on_top() -> None:
    lines = plot_lines(PlotPoints(x=[0, 1, 2], y=[1.0, 3.0, math.nan], x_name="trial", y_name="loss"))
    assert lines[0] == "loss"
    assert lines[1].lstrip().startswith("3.000 │")
    assert lines[1].rstrip().endswith("▀")


@given(st.dictionaries(st.text(string.ascii_letters, min_size=1, max_size=5), st.integers() | st.text(max_size=80)))
def test_a_call_is_shown_on_one_short_line(given_: dict[str, Any]) -> None:
    text = arguments_text(given_)
    assert "\n" not in text
    assert len(text) <= 60


def test_snapshots_need_no_file() -> None:
    spec = make_spec()
    snapshot = InMemoryStudyReader(spec, StudyView(space=spec.space, objectives=spec.objectives))
    assert snapshot.record() is None
    assert list(snapshot.curve(0)) == []
