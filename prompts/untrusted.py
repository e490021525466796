"""Marks text that came from training scripts, logs and files as data, so that it cannot pass for instructions.

A fence is longer than any run of its own character inside, control characters are gone, and lines that look like a
heading or a role are shown behind a bar: what is inside cannot open a section of the prompt or close its own fence.
"""

from __future__ import annotations

import re
from typing import Literal

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
_MARKER = "~"


def fenced(text: str, label: str = "data", *, limit: int = 2000, keep: Literal["start", "end"] = "end") -> str:
    """Return the text between two fences; of a longer one the end, where errors stand.

    Args:
        text: anything.
        label: what it is, in one word.
        limit: characters at most.
        keep: which part of a longer text is shown.
    """
    clean = _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    cut = clean
    if len(clean) > limit:
        cut = f"[...] {clean[-limit:]}" if keep == "end" else f"{clean[:limit]} [...]"
    longest = max((len(run) for run in re.findall(re.escape(_MARKER) + "+", cut)), default=0)
    fence = _MARKER * max(3, longest + 1)
    body = "\n".join(f"| {line}" for line in cut.strip("\n").split("\n"))
    return f"{fence}{label}\n{body}\n{fence}"


def one_line(text: str, limit: int = 200) -> str:
    """Return the text on one line, without control characters, cut to `limit` characters."""
    flat = " ".join(_CONTROL.sub(" ", text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
