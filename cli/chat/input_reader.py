"""Reads what a person types in a chat: from a terminal with completion and history, or from a pipe."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from tunesmith.history.redact import redact
from tunesmith.study.formatting import strip_control
from tunesmith.study.optional_packages import require

PROMPT = "› "


class InputInterrupted(Exception):
    """The person pressed Ctrl-C at a prompt. No KeyboardInterrupt, which would end every task of the chat."""


class InputReader(Protocol):
    """Reads inputs of a person."""

    async def line(self, prompt: str = PROMPT, *, default: str = "") -> str | None:
        """Return the next input, which may have several lines; None at the end of input.

        Raises:
            InputInterrupted: the person pressed Ctrl-C.
        """

    def hide(self) -> None:
        """Let nothing of the input line stay on the screen when reading is cancelled."""


class PipeReader:
    """Reads lines from a pipe, and prints prompts and inputs, so that the output is a readable transcript."""

    async def line(self, prompt: str = PROMPT, *, default: str = "") -> str | None:  # noqa: ARG002
        """Return the next line, None at the end."""
        print(prompt, end="", flush=True)
        line = await asyncio.to_thread(sys.stdin.readline)
        print(line.rstrip("\n"), flush=True)
        return line.rstrip("\n") if line else None

    def hide(self) -> None:
        """Do nothing: a pipe has no input line."""


class TerminalReader:
    """Reads from a terminal: completes slash commands, keeps a history, and takes pasted text as one input.

    Args:
        commands: completions for a slash.
        history: the file that keeps earlier inputs.
        status: returns the line below the prompt; none is shown while it is empty.
    """

    def __init__(self, commands: Sequence[str], history: Path, status: Callable[[], str]) -> None:
        require("prompt_toolkit", purpose="tunesmith chat in a terminal", extra="chat")
        from prompt_toolkit import PromptSession
        from prompt_toolkit.completion import WordCompleter
        from prompt_toolkit.history import FileHistory

        class Typed(FileHistory):
            """Keeps what was typed, without secrets."""

            def store_string(self, string: str) -> None:
                super().store_string(redact(string))

        history.parent.mkdir(parents=True, exist_ok=True)
        self._draft = ""
        self._session: PromptSession[str] = PromptSession(
            history=Typed(str(history)),
            completer=WordCompleter(list(commands), sentence=True),
            complete_while_typing=False,
            mouse_support=False,
            bottom_toolbar=lambda: f" {strip_control(text)}" if (text := status()) else None,
            refresh_interval=1.0,
        )

    async def line(self, prompt: str = PROMPT, *, default: str = "") -> str | None:
        """Return the next input; lines printed meanwhile appear above the prompt."""
        from prompt_toolkit.patch_stdout import patch_stdout

        draft, self._draft = self._draft, ""
        self._session.app.erase_when_done = False
        try:
            with patch_stdout(raw=True):
                return await self._session.prompt_async(prompt, default=default or draft, handle_sigint=False)
        except asyncio.CancelledError:
            # A question comes first; what was typed so far is there again at the next prompt.
            self._draft = self._session.default_buffer.text
            raise
        except KeyboardInterrupt:
            raise InputInterrupted from None
        except EOFError:
            return None

    def hide(self) -> None:
        """Erase the input line when reading is cancelled; what was typed is there again at the next prompt."""
        self._session.app.erase_when_done = True


def input_reader(commands: Sequence[str], history: Path, *, status: Callable[[], str]) -> InputReader:
    """Return a TerminalReader if standard input and output are a terminal, else a PipeReader."""
    return TerminalReader(commands, history, status) if sys.stdin.isatty() and sys.stdout.isatty() else PipeReader()
