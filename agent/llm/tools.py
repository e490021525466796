"""Tools that the LLM planner may call before it proposes: the shared read-only ones, over a snapshot of the study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunesmith.agent.llm.client.types import LookupTool
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.view import StudyView
from tunesmith.tools.control.study_reader import InMemoryStudyReader
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.registry import PLANNER
from tunesmith.tools.llm_tools.script.files import SOURCE
from tunesmith.tools.llm_tools.tool import AnyTool


def lookup_tools(
    spec: StudySpec, view: StudyView, project: Path | None, series: Callable[[int], Sequence[Observation]] | None = None
) -> list[LookupTool]:
    """Return the tools for one question. They need no database.

    Args:
        spec: the study.
        view: its trials at the time of the question.
        project: folder whose files may be read; None for a study from Python, which gets no file tool.
        series: returns what a trial reported while it ran; None where that is not known.
    """
    context = ToolContext(reader=InMemoryStudyReader(spec, view, series=series or (lambda _: ())), project=project)
    return [_lookup_tool(tool, context) for tool in PLANNER if project is not None or tool is not SOURCE]


def _lookup_tool(tool: AnyTool, context: ToolContext) -> LookupTool:
    def run(arguments: Mapping[str, Any]) -> str:
        return tool.call(context, arguments)

    return LookupTool(tool.name, tool.description, tool.schema, run)
