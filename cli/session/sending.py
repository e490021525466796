"""Sends a command of a tool to a study from the command line: at once if the study runs, else at its next run."""

from __future__ import annotations

from pathlib import Path

from tunesmith.cli.session.study_session import StudySession
from tunesmith.study.errors import ProjectError, ToolRefused
from tunesmith.tools.llm_tools.tool import AnyTool


def send_command(tool: AnyTool, given: dict[str, object], study: Path, history: Path | None) -> str:
    """Call a tool with arguments that a person gave; return its answer.

    Raises:
        ProjectError: there is no study, or the tool refuses.
    """
    session = StudySession(study, history, by="command line")
    if session.loaded() is None:
        raise ProjectError(f"{session.file} does not exist; `tunesmith init SCRIPT` writes one")
    try:
        return tool.call(session.context(), given)
    except ToolRefused as error:
        raise ProjectError(str(error)) from None
