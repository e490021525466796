"""How slash commands reach the study: its history, or one of the tools that models call too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tunesmith.cli.session.locate import OpenStudy, open_study
from tunesmith.cli.session.study_session import LoadedStudy, StudySession
from tunesmith.study.errors import ToolRefused
from tunesmith.tools.llm_tools.tool import AnyTool


def loaded_study(session: StudySession) -> LoadedStudy:
    """Return the study of the session.

    Raises:
        ToolRefused: there is no study file.
    """
    loaded = session.loaded()
    if loaded is None:
        raise ToolRefused(f"{session.file} does not exist yet; `tunesmith init SCRIPT` writes one")
    return loaded


def with_study(session: StudySession, text: Callable[[OpenStudy], str]) -> str:
    """Return a text about the study in its history, which is open meanwhile."""
    loaded_study(session)
    opened = open_study(Path(session.recorded) if session.recorded else session.file, session.history)
    with opened.history:
        return text(opened)


def call_tool(session: StudySession, tool: AnyTool, given: Mapping[str, Any]) -> str:
    """Call a tool of the models on the study of the session."""
    loaded_study(session)
    return tool.call(session.context(), given)


def through(
    tool: AnyTool, given: Callable[[str], Mapping[str, Any]] = lambda _: {}
) -> Callable[[StudySession, str], str]:
    """Return a command that calls a tool.

    Args:
        tool: the tool.
        given: makes its arguments of what follows the command.
    """
    return lambda session, rest: call_tool(session, tool, given(rest))
