"""A line of a command's output, with where it was printed. Plain data."""

from __future__ import annotations

from typing import NamedTuple

MAX_LINES = 2048
"""Number of lines of output that a job passes on at once."""


class OutputLine(NamedTuple):
    """A line of a command's output: its text, the stream (stdout or stderr), and its number there, 0 if not known."""

    text: str
    stream: str = "stdout"
    number: int = 0
