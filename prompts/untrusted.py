"""Fences text from training scripts, logs and files as data, so that a model does not take it for instructions.

Keys and passwords are removed first, while they are whole: half of one would no longer be recognised.

The fence is longer than any run of its character in the text, control characters are removed, and every line begins
with a bar. So the text can neither close its fence nor open a section of the prompt.
"""

from __future__ import annotations

import re
from typing import Literal

from tunesmith.history.redact import redact
from tunesmith.study.formatting import strip_control

_MARKER = "~"


def fenced(text: str, label: str = "data", *, limit: int = 2000, keep: Literal["start", "end"] = "end") -> str:
    """Return the text between two fences; a text that is too long is cut, by default at its start.

    Args:
        text: any text.
        label: kind of text, in one word.
        limit: maximum number of characters.
        keep: which end of a long text is kept; errors in a log are at its end.
    """
    clean = redact(strip_control(text))
    cut = clean
    if len(clean) > limit:
        cut = f"[...] {clean[-limit:]}" if keep == "end" else f"{clean[:limit]} [...]"
    longest = max((len(run) for run in re.findall(re.escape(_MARKER) + "+", cut)), default=0)
    fence = _MARKER * max(3, longest + 1)
    body = "\n".join(f"| {line}" for line in cut.strip("\n").split("\n"))
    return f"{fence}{label}\n{body}\n{fence}"
