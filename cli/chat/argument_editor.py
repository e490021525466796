"""Lets a person change the arguments of an action: in $VISUAL or $EDITOR, or on a line where neither is set.

An argument that is a whole file, such as the text of study.toml, is edited as that file; others as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunesmith.agent.chat.events import ProposedAction
from tunesmith.cli.chat.input_reader import InputInterrupted, InputReader
from tunesmith.study.errors import ToolRefused

WHOLE_FILES = {"write_study": ("text", ".toml")}
"""Arguments that are a whole file, by tool, with the ending that an editor knows the format by."""


async def edited_arguments(action: ProposedAction, reader: InputReader) -> dict[str, Any] | None:
    """Return the arguments as the person changed them; None if they gave up.

    Raises:
        ToolRefused: the result is not a JSON object, or the editor cannot be started.
    """
    arguments = dict(action.arguments)
    name, suffix = WHOLE_FILES.get(action.name, ("", ".json"))
    text = str(arguments[name]) if name else json.dumps(arguments, indent=2, ensure_ascii=False) + "\n"
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    edited: str | None
    if editor and sys.stdin.isatty():
        edited = await asyncio.to_thread(_edit_in, editor, text, suffix)
    elif name:
        raise ToolRefused("set $EDITOR to edit a file, or say what to change")
    else:
        edited = await _edit_on_a_line(arguments, reader)
    if edited is None:
        return None
    return {**arguments, name: edited} if name else _parsed(edited)


async def _edit_on_a_line(arguments: Mapping[str, Any], reader: InputReader) -> str | None:
    try:
        return await reader.line("arguments: ", default=json.dumps(dict(arguments), ensure_ascii=False))
    except InputInterrupted:
        return None


def _edit_in(editor: str, text: str, suffix: str) -> str:
    with tempfile.TemporaryDirectory(prefix="tunesmith-") as folder:
        file = Path(folder) / f"arguments{suffix}"
        file.write_text(text, encoding="utf-8")
        try:
            # The person's own setting, which may have options: "code --wait".
            done = subprocess.run([*shlex.split(editor), str(file)], check=False)
        except (OSError, ValueError) as error:
            raise ToolRefused(f"the editor {editor!r} cannot be started: {error}; set $EDITOR to another") from None
        if done.returncode:
            raise ToolRefused(f"the editor ended with status {done.returncode}, so nothing was changed")
        return file.read_text(encoding="utf-8", errors="replace")


def _parsed(text: str) -> dict[str, Any]:
    try:
        arguments = json.loads(text)
    except ValueError as error:
        raise ToolRefused(f'this is not JSON: {error}; expected an object such as {{"number": 3}}') from None
    if not isinstance(arguments, dict):
        raise ToolRefused('expected a JSON object such as {"number": 3}')
    return arguments
