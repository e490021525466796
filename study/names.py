"""Finds the known name nearest to a misspelled one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: "; did you mean X?", or the known names if none is similar."""
    names = list(known)
    near = difflib.get_close_matches(name.lower(), [known_name.lower() for known_name in names], n=1, cutoff=0.6)
    if near:
        match = next(known_name for known_name in names if known_name.lower() == near[0])
        return f"; did you mean {match}?"
    if not names:
        return ""
    return f"; expected {'one of ' if len(names) > 1 else ''}{', '.join(names[:12])}{', …' if len(names) > 12 else ''}"
