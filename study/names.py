"""Finds the known name nearest to a misspelled one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: "; did you mean X?", or the known names if none is similar."""
    names = list(known)
    if match := nearest_name(name, names):
        return f"; did you mean {match}?"
    if not names:
        return ""
    return f"; expected {'one of ' if len(names) > 1 else ''}{', '.join(names[:12])}{', …' if len(names) > 12 else ''}"


def nearest_name(name: str, known: Iterable[str]) -> str:
    """Return the known name that is most like a misspelled one; "" if none is."""
    by_lower = {known_name.lower(): known_name for known_name in reversed(list(known))}
    near = difflib.get_close_matches(name.lower(), list(by_lower)[::-1], n=1, cutoff=0.6)
    return by_lower[near[0]] if near else ""
