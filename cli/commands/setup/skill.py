"""`tunesmith skill`: writes SKILL.md, which teaches a coding agent to plan studies, and prints how to connect it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tunesmith.cli.display.format import short_path, show
from tunesmith.prompts.render import render_text
from tunesmith.study.errors import ProjectError
from tunesmith.study.files import write_atomic
from tunesmith.tools.llm_tools.registry import tools_up_to
from tunesmith.tools.llm_tools.tool import AnyTool, Effect

FOLDER = Path(".claude/skills/tunesmith")
"""Where Claude Code looks for skills of a project."""


def write_skill(project: Path, *, out: Path | None, allow_edit: bool) -> None:
    """Write the skill and print the settings of the MCP server for common agents.

    Args:
        project: the folder of the studies.
        out: the folder of SKILL.md; None for Claude Code's in the project.
        allow_edit: whether the agent may try edits of the code.

    Raises:
        ProjectError: the file cannot be written, or is not Tunesmith's.
    """
    folder = (project if project.is_dir() else project.parent) / FOLDER if out is None else out
    target = folder / "SKILL.md"
    if target.exists() and "\nname: tunesmith\n" not in target.read_text(encoding="utf-8", errors="replace"):
        raise ProjectError(f"{short_path(target)} is not ours and is not replaced; name another folder by --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(target, skill_text(allow_edit=allow_edit))
    except OSError as error:
        raise ProjectError(f"{short_path(target)} cannot be written: {error.strerror}") from None
    words = ["mcp", "--allow-edit" if allow_edit else "--allow-run"]
    command = " ".join(["tunesmith", *words])
    settings = {"mcpServers": {"tunesmith": {"command": "tunesmith", "args": words}}}
    show(f"{short_path(target)}: how to plan a study, for an agent. Connect the tools once, in this folder:\n")
    show(f"  Claude Code   claude mcp add tunesmith -- {command}")
    show(f"  Codex         codex mcp add tunesmith -- {command}")
    show(f"  others        {json.dumps(settings)}\n")
    show("Its own program asks you before each action, unless you allow it there; [budget] limits what it spends.")


def skill_text(*, allow_edit: bool) -> str:
    """Return the text of SKILL.md for a server that lets clients run trials, and edit code if `allow_edit`."""
    tools = tools_up_to(Effect.EDIT if allow_edit else Effect.RUN)
    described = [{"name": tool.name, "summary": _summary(tool)} for tool in tools]
    return render_text("skill.md", tools=described, edits=allow_edit) + "\n"


def _summary(tool: AnyTool) -> str:
    """Return the first sentence of a tool's description."""
    return re.split(r"(?<=[^.]\.) (?=[A-Z])", " ".join(tool.description.split()), maxsplit=1)[0]
