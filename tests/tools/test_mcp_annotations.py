"""What MCP clients learn of each tool is true: who only reads, and who may lose something."""

from __future__ import annotations

import pytest

pytest.importorskip("mcp", reason="the package mcp is not installed")
from tunesmith.tools.llm_tools.registry import ALL
from tunesmith.tools.llm_tools.tool import AnyTool, Effect
from tunesmith.tools.mcp_server import OF_THE_FOLDER, _to_mcp

LOSING = {"stop_trial", "end", "withdraw", "write_study"}


@pytest.mark.parametrize("tool", ALL, ids=lambda tool: tool.name)
def test_a_tool_is_destructive_only_where_something_is_lost(tool: AnyTool) -> None:
    for may_write in (True, False):
        hints = _to_mcp(tool, ["one"], may_write=may_write).annotations
        assert hints.destructive_hint is (tool.name in LOSING)
        leaves_files = may_write and tool.name in ("report", "plot")
        assert hints.read_only_hint is (tool.effect is Effect.READ and not leaves_files)
        assert not (hints.destructive_hint and hints.read_only_hint)


@pytest.mark.parametrize("tool", ALL, ids=lambda tool: tool.name)
def test_a_study_is_named_only_where_there_are_several(tool: AnyTool) -> None:
    for names in ([], ["one"]):
        assert _to_mcp(tool, names, may_write=True).input_schema == tool.schema
    several = _to_mcp(tool, ["one", "two"], may_write=True).input_schema
    assert ("study" in several.get("properties", {})) is (tool.name not in OF_THE_FOLDER)
    assert "study" not in several.get("required", [])
    assert "study" not in tool.schema.get("properties", {})


RUNNING = {"check", "start", "queue", "confirm", "retry", "resume", "propose_edit"}


@pytest.mark.parametrize("tool", ALL, ids=lambda tool: tool.name)
def test_only_what_runs_code_may_reach_the_world(tool: AnyTool) -> None:
    hints = _to_mcp(tool, ["one"], may_write=True).annotations
    assert hints.open_world_hint is (tool.name in RUNNING)
    starts_trials = tool.effect >= Effect.RUN and tool.name in RUNNING
    assert not (hints.idempotent_hint and starts_trials)
    assert hints.idempotent_hint or tool.effect is not Effect.READ
