"""Marks text that came from training scripts, logs and files as data, so that it cannot pass for instructions.

A fence is longer than any run of its own character inside, control characters are gone, and lines that look like a
heading or a role are shown behind a bar: what is inside cannot open a section of the prompt or close its own fence.
"""

from __future__ import annotations

import re
from typing import Literal

from tunesmith.study.formatting import strip_control

_MARKER = "~"


def fenced(text: str, label: str = "data", *, limit: int = 2000, keep: Literal["start", "end"] = "end") -> str:
    """Return the text between two fences; of a longer one the end, where errors stand.

    Args:
        text: anything.
        label: what it is, in one word.
        limit: characters at most.
        keep: which part of a longer text is shown.
    """
    clean = strip_control(text)
    cut = clean
    if len(clean) > limit:
        cut = f"[...] {clean[-limit:]}" if keep == "end" else f"{clean[:limit]} [...]"
    longest = max((len(run) for run in re.findall(re.escape(_MARKER) + "+", cut)), default=0)
    fence = _MARKER * max(3, longest + 1)
    body = "\n".join(f"| {line}" for line in cut.strip("\n").split("\n"))
    return f"{fence}{label}\n{body}\n{fence}"
