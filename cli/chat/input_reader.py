"""Where a chat's lines come from: a terminal with completion and history, or a pipe, line by line."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

PROMPT = "› "


class InputReader(Protocol):
    """Gives what the person types."""

    async def line(self, prompt: str = PROMPT, *, default: str = "") -> str | None:
        """Return the next input, which may have several lines; None when there will be no more.

        Raises:
            KeyboardInterrupt: the person pressed Ctrl-C.
        """


class PipeReader:
    """Lines from standard input that is no terminal; what is asked is printed, so that a transcript can be read."""

    async def line(self, prompt: str = PROMPT, *, default: str = "") -> str | None:  # noqa: ARG002
        """Return the next line, None at the end."""
        print(prompt, end="", flush=True)
        line = await asyncio.to_thread(sys.stdin.readline)
        print(line.rstrip("\n"), flush=True)
        return line.rstrip("\n") if line else None


class TerminalReader:
    """A terminal: completion of slash commands, a history that is kept, pasted text as one input.

    Args:
        commands: what completes behind a slash.
        history: the file that keeps what was typed.
    """

    def __init__(self, commands: Sequence[str], history: Path) -> None:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.completion import WordCompleter
        from prompt_toolkit.history import FileHistory

        history.parent.mkdir(parents=True, exist_ok=True)
        self._session: PromptSession[str] = PromptSession(
            history=FileHistory(str(history)),
            completer=WordCompleter(list(commands), sentence=True),
            complete_while_typing=False,
            mouse_support=False,
        )

    async def line(self, prompt: str = PROMPT, *, default: str = "") -> str | None:
        """Return the next input; news that are printed meanwhile stand above it."""
        from prompt_toolkit.patch_stdout import patch_stdout

        try:
            with patch_stdout(raw=True):
                return await self._session.prompt_async(prompt, default=default, handle_sigint=False)
        except EOFError:
            return None


def input_reader(commands: Sequence[str], history: Path) -> InputReader:
    """Return the keyboard where there is one."""
    return TerminalReader(commands, history) if sys.stdin.isatty() and sys.stdout.isatty() else PipeReader()
