"""Renders what a judge of texts reads. The person's rules come first; texts are fenced as data."""

from __future__ import annotations

from tunesmith.prompts.message import Message
from tunesmith.prompts.render import render_text

MAX_TEXT_CHARS = 20_000
"""Longest text that a judge reads; of a longer one it sees the start."""
PAIR, SCORE = "judge_pair.md", "judge_score.md"
"""The templates of the two questions."""


def pair_messages(criteria: str, input_text: str, a: str, b: str) -> list[Message]:
    """Return the question which of two texts is better.

    Args:
        criteria: the person's rules.
        input_text: what both were written for; "" if that is unknown.
        a: the text that is shown first.
        b: the other.
    """
    body = render_text(PAIR, criteria=criteria, input=input_text, a=a, b=b, limit=MAX_TEXT_CHARS)
    return [Message("system", render_text("judge_system.md")), Message("user", body)]


def score_messages(criteria: str, input_text: str, output: str, low: int, high: int) -> list[Message]:
    """Return the question which score a text deserves, from `low` to `high`."""
    body = render_text(
        SCORE, criteria=criteria, input=input_text, output=output, low=low, high=high, limit=MAX_TEXT_CHARS
    )
    return [Message("system", render_text("judge_system.md")), Message("user", body)]
