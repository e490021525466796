"""Prints a chat: lines, answers, what an action would do. Decides nothing.

In a terminal, finished paragraphs are rendered as Markdown; only the last, growing one is drawn anew. On a pipe or a
dumb terminal the text is printed as it arrives. Control characters from an LLM or a script never reach the terminal.
"""

from __future__ import annotations

import os
import sys

from rich.console import Console
from rich.markdown import Markdown
from rich.segment import SegmentLines
from rich.text import Text

from tunesmith.agent.chat.events import ProposedAction
from tunesmith.cli.chat.display.answer import Answer
from tunesmith.cli.chat.display.blocks import code_and_text
from tunesmith.cli.chat.display.latex_text import latex_to_text
from tunesmith.cli.chat.display.wrapping import wrap_line
from tunesmith.study.formatting import escape_control, strip_control


class Screen:
    """The terminal of one chat."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=False)
        self.fancy = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._is_spaced = False

    def typed(self) -> None:
        """Take note that the person has typed a line, so that the last line is not blank."""
        self._is_spaced = False

    def line(self, text: str = "", style: str = "") -> None:
        """Print lines; in a terminal, long ones are broken between words, and commands are left to the terminal.

        One blank line is enough: a second one after it is left out there.
        """
        shown = strip_control(text)
        if not self.fancy:
            print(shown, flush=True)
            return
        if not shown and self._is_spaced:
            return
        self._is_spaced = not shown
        rows = [row for line in shown.split("\n") for row in wrap_line(line, self.console.width)]
        self.console.print(Text("\n".join(rows), style=style), soft_wrap=True)

    def markdown(self, text: str) -> None:
        """Print a part of an answer; code as it is, so that it can be copied, and formulas as text."""
        for block in code_and_text(text):
            if block.is_code:
                self.console.print(Text(f"{block.text}\n", style="cyan"), soft_wrap=True)
            else:
                self._rendered(Markdown(latex_to_text(block.text)))
        self._is_spaced = True

    def _rendered(self, markdown: Markdown) -> None:
        """Print Markdown with exactly one blank line after it."""
        lines = self.console.render_lines(markdown, pad=False)
        shown = [not all(segment.text.isspace() or not segment.text for segment in line) for line in lines]
        if any(shown):
            first, last = shown.index(True), len(shown) - shown[::-1].index(True)
            self.console.print(SegmentLines(lines[first:last], new_lines=True))
            self.console.print()

    def answer(self) -> Answer:
        """Start an answer."""
        return Answer(self)

    def action(self, action: ProposedAction) -> None:
        """Show what an action would do, before a person decides on it."""
        self.line()
        self.preview(action.preview)

    def preview(self, text: str) -> None:
        """Show what an action would do: its first line is emphasized, lines of a diff have their colour."""
        first, *rest = map(_spelled_out, text.split("\n"))
        self.line(first, "bold")
        for line in rest:
            style = "green" if line.startswith("+") else "red" if line.startswith("-") else ""
            self.line(f"  {line}", style)


def _spelled_out(line: str) -> str:
    """Return a line with its control and bidirectional characters written out; tabs indent code and stay."""
    return "\t".join(map(escape_control, line.split("\t")))
