"""Blocks of an answer in Markdown: which are final while it arrives, and which are code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_FENCES = ("```", "~~~")


@dataclass(frozen=True, slots=True)
class Block:
    """A part of an answer: Markdown, or the lines of code between two fences."""

    text: str
    is_code: bool


def split_blocks(text: str) -> tuple[str, str]:
    """Return the part of a Markdown text that is final, and the rest.

    A blank line ends a paragraph or a table, but not a block of code.
    """
    fenced, cut, at = False, 0, 0
    for line in text.splitlines(keepends=True):
        at += len(line)
        if line.lstrip().startswith(_FENCES):
            fenced = not fenced
        if not fenced and line == "\n":
            cut = at
    return text[:cut], text[cut:]


def code_and_text(markdown: str) -> Iterator[Block]:
    """Yield the blocks of code of a Markdown text, and what is between them; empty parts are left out."""
    lines: list[str] = []
    is_code = False
    for line in markdown.splitlines():
        if line.lstrip().startswith(_FENCES):
            yield from _made(lines, is_code=is_code)
            lines, is_code = [], not is_code
        else:
            lines.append(line)
    yield from _made(lines, is_code=is_code)


def _made(lines: list[str], *, is_code: bool) -> Iterator[Block]:
    text = "\n".join(lines).strip("\n")
    if text.strip():
        yield Block(text, is_code)
