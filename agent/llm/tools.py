"""What the LLM planner may look up before it proposes: the shared tools, over a snapshot. Read-only, no database."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunesmith.agent.llm.client.types import LookupTool
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.view import StudyView
from tunesmith.tools.control.study_reader import InMemoryStudyReader
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.files import SOURCE
from tunesmith.tools.llm_tools.registry import PLANNER
from tunesmith.tools.llm_tools.tool import AnyTool


def lookup_tools(spec: StudySpec, view: StudyView, project: Path | None) -> list[LookupTool]:
    """Return the tools for one question.

    Args:
        spec: the study.
        view: what is known at the moment of the question.
        project: the folder whose files may be read; None for a study from Python.
    """
    context = ToolContext(reader=InMemoryStudyReader(spec, view), project=project)
    return [_tool(tool, context) for tool in PLANNER if project is not None or tool is not SOURCE]


def _tool(tool: AnyTool, context: ToolContext) -> LookupTool:
    def run(given: Mapping[str, Any]) -> str:
        return tool.call(context, given)

    return LookupTool(tool.name, tool.description, tool.schema, run)
