"""What MCP clients are told of each tool is true: who only reads, and who may lose something."""

from __future__ import annotations

import pytest

pytest.importorskip("mcp", reason="the package mcp is not installed")
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.registry import ALL
from tunesmith.tools.llm_tools.tool import AnyTool, Effect
from tunesmith.tools.mcp_server import _to_mcp

LOSING = {"stop_trial", "end", "withdraw", "write_study"}


@pytest.mark.parametrize("tool", ALL, ids=lambda tool: tool.name)
def test_a_tool_is_destructive_only_where_something_is_lost(tool: AnyTool) -> None:
    hints = _to_mcp(tool, ToolContext(may_write=True)).annotations
    assert hints.destructive_hint is (tool.name in LOSING)
    assert hints.read_only_hint is (tool.effect is Effect.READ and tool.name != "report")
    assert not (hints.destructive_hint and hints.read_only_hint)
