"""What the LLM planner may look up before it proposes: the shared tools, over a snapshot. Read-only, no database."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunesmith.agent.models.calls import Tool
from tunesmith.study.spec import StudySpec
from tunesmith.study.view import StudyView
from tunesmith.tools.calling import AnyTool
from tunesmith.tools.catalogue import PLANNER
from tunesmith.tools.context import ToolContext
from tunesmith.tools.facts import Snapshot
from tunesmith.tools.files import SOURCE


def lookup_tools(spec: StudySpec, view: StudyView, project: Path | None) -> list[Tool]:
    """Return the tools for one question.

    Args:
        spec: the study.
        view: what is known at the moment of the question.
        project: the folder whose files may be read; None for a study from Python.
    """
    context = ToolContext(facts=Snapshot(spec, view), project=project)
    return [_tool(tool, context) for tool in PLANNER if project is not None or tool is not SOURCE]


def _tool(tool: AnyTool, context: ToolContext) -> Tool:
    def run(given: Mapping[str, Any]) -> str:
        return tool.call(context, given)

    return Tool(tool.name, tool.description, tool.schema, run)
