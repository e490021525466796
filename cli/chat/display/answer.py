"""One answer of a chat while it arrives: its text, block by block, and the tools that run."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from rich.live import Live
from rich.text import Text

from tunesmith.agent.chat.events import (
    Approval,
    AutoApproved,
    ChatEvent,
    Notice,
    TextChunk,
    ToolFinished,
    ToolStarted,
)
from tunesmith.cli.chat.display.blocks import split_blocks
from tunesmith.study.formatting import strip_control
from tunesmith.study.units import short_seconds
from tunesmith.tools.llm_tools.offered import MORE_TOOLS
from tunesmith.tools.llm_tools.tool import arguments_text

if TYPE_CHECKING:
    from tunesmith.cli.chat.display.screen import Screen

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
SHOWN_AFTER_S = 0.3
"""Seconds without a word after which the screen says that the model is thinking."""
_OTHER_ROWS = 4
"""Rows of the screen that the growing paragraph leaves free; a taller one could not be drawn anew."""


class Answer:
    """One answer while it arrives. A context manager: it restores the terminal, however the answer ends."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._text = ""
        self._running: dict[str, _RunningTool] = {}
        self._since = time.monotonic()
        self._live: Live | None = None
        self._open_line = False

    def __enter__(self) -> Answer:
        if self._screen.fancy:
            self._live = Live(
                console=self._screen.console,
                get_renderable=self._growing,
                transient=True,
                auto_refresh=True,
                refresh_per_second=8,
            )
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.go_to_background()

    def go_to_background(self) -> None:
        """Print from now on, above the prompt at which the person types, and draw nothing anew."""
        self._finish_text()
        if self._live is not None:
            live, self._live = self._live, None
            live.stop()

    def show(self, event: ChatEvent) -> None:
        """Show one event; Approvals asks about an Approval afterwards."""
        match event:
            case ToolStarted(name=MORE_TOOLS.name) | ToolFinished(name=MORE_TOOLS.name):
                self._since = time.monotonic()  # what a model looks up about its tools tells the person nothing
            case TextChunk(text=text):
                self._words(strip_control(text))
            case ToolStarted(call=call, name=name, arguments=given):
                self._finish_text()
                self._running[call] = _RunningTool(f"{name}({arguments_text(given)})", time.monotonic())
            case ToolFinished(call=call):
                self._finish_text()
                self._running.pop(call, None)
                self._since = time.monotonic()
                self._tool(event)
            case AutoApproved(actions=actions, left=left):
                names = ", ".join(f"{a.name} ({a.trials} trial{'s' if a.trials > 1 else ''})" for a in actions)
                self._say(f"allowed by /allow: {names}; {left} left", "dim")
            case Notice(text=text):
                self._finish_text()
                self._say(text, "yellow")
            case Approval():
                self._finish_text()

    def _tool(self, event: ToolFinished) -> None:
        call = f"{event.name}({arguments_text(event.arguments)})"
        self._say(f"  ⚙ {call} {event.wall_s:.2f} s", "dim")
        if event.refused:
            self._say(f"    refused: {event.refused}", "dim yellow")
        if event.shown:
            self._say(event.shown, "")

    def _say(self, text: str, style: str) -> None:
        self._screen.line(text, style)

    def _words(self, text: str) -> None:
        if not self._screen.fancy:
            sys.stdout.write(text)
            sys.stdout.flush()
            self._open_line = not text.endswith("\n") if text else self._open_line
            return
        first = not self._text
        self._text += text
        done, self._text = split_blocks(self._text)
        if done:
            self._screen.markdown(done)
        self._since = time.monotonic()
        if first and self._live is not None:
            # The first word is drawn at once, to show that an answer is arriving.
            self._live.refresh()

    def _finish_text(self) -> None:
        if self._open_line:
            print(flush=True)
            self._open_line = False
        if self._text.strip():
            self._screen.markdown(self._text)
        self._text = ""

    def _growing(self) -> Text:
        """Return what is drawn anew: the growing paragraph, cut to the screen, or what the person waits for."""
        if self._live is None:
            return Text("")
        now = time.monotonic()
        if self._running:
            tools = [
                f"{_spinner(now)} {tool.text} {short_seconds(now - tool.since)}" for tool in self._running.values()
            ]
            return Text("\n".join(tools), style="dim")
        if self._text:
            console = self._screen.console
            rows = Text(self._text).wrap(console, console.width)
            return Text("\n").join(rows[-max(console.height - _OTHER_ROWS, 3) :])
        waited = now - self._since
        return Text(f"{_spinner(now)} thinking {short_seconds(waited)}" if waited >= SHOWN_AFTER_S else "", style="dim")


@dataclass(frozen=True, slots=True)
class _RunningTool:
    text: str
    since: float


def _spinner(now: float) -> str:
    return SPINNER[int(now * 8) % len(SPINNER)]
