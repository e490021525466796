"""Finds the name that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean X?" for the known name nearest to `name`, or a list of all that may stand there."""
    names = list(known)
    near = difflib.get_close_matches(name.lower(), [known_name.lower() for known_name in names], n=1, cutoff=0.6)
    if near:
        match = next(known_name for known_name in names if known_name.lower() == near[0])
        return f"; did you mean {match}?"
    if not names:
        return ""
    return f"; known here: {', '.join(names[:12])}{', …' if len(names) > 12 else ''}"
