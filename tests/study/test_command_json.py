"""Commands as JSON, and changes of a study's document."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.study.commands import Queue, Veto, command_json, parse_command
from tunesmith.study.config.changes import SpecChange, active_changes, with_change
from tunesmith.study.errors import ToolRefused


def test_commands_survive_json() -> None:
    for command in (Queue(params={"lr": 0.1, "on": True, "n": None}, why="é"), Veto(condition="lr > 1", lift=True)):
        assert parse_command(command_json(command)) == command


@given(st.text(max_size=60))
def test_any_text_that_is_not_a_command_is_refused(text: str) -> None:
    with pytest.raises(ToolRefused):
        parse_command(text if text.strip() not in ("", "null") else "null")


@given(st.lists(st.sampled_from([5, 6, 7, None]), max_size=6))
def test_changes_apply_in_order_and_all_stay_active(values: list[int | None]) -> None:
    document: dict[str, Any] = {"budget": {"trials": 10, "hours": 1.0}}
    changes, now = [], document
    for value in values:
        changes.append(SpecChange("budget.trials", now["budget"].get("trials"), value))
        now = with_change(now, changes[-1])
    result, active = active_changes(document, changes)
    assert result == now
    assert len(active) == len(values)
