"""A tool of the chat that turns to another study of the folder; state, tools and status line follow."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tunesmith.study.errors import ToolRefused
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.results.study import study_text
from tunesmith.tools.llm_tools.tool import Arguments, StudyTool
from tunesmith.tools.llm_tools.trials import NoArguments


class SwitchArguments(Arguments):
    """A study of this folder."""

    name: Annotated[str, Field(min_length=1, max_length=120, description="Its name or file.")]


def switch(context: ToolContext, args: SwitchArguments) -> str:
    """Turn to a study; return its state.

    Raises:
        ToolRefused: there is no such study; the message names the nearest.
    """
    if context.select is None:
        raise ToolRefused("there is only one study here")
    return study_text(context.select(args.name), NoArguments())


SWITCH = StudyTool("switch", SwitchArguments, switch)
