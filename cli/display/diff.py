"""A unified diff in a terminal: coloured where there is one, plain text elsewhere."""

from __future__ import annotations

import os
import sys

from tunesmith.study.formatting import escape_control
from tunesmith.study.search_replace import split_lines


def show_diff(diff: str) -> None:
    """Print a diff without control characters: an LLM may have written it."""
    text = "\n".join(escape_control(line.expandtabs(4)) for line in split_lines(diff))
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        print(text)
        return
    from rich.console import Console
    from rich.syntax import Syntax

    Console().print(Syntax(text, "diff", theme="ansi_dark", background_color="default", word_wrap=True))
