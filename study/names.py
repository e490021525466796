"""Finds the known name nearest to a misspelled one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_MIN_PART = 3
"""Characters from which a part of one known name means that name: "tpe" for "optuna-tpe"."""
_QUOTED = re.compile(r'"([^"]+)"')


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: "; did you mean X?", or the known names if none is similar."""
    names = list(known)
    if match := nearest_name(name, names):
        return f"; did you mean {match}?"
    if not names:
        return ""
    return f"; expected {'one of ' if len(names) > 1 else ''}{', '.join(names[:12])}{', …' if len(names) > 12 else ''}"


def nearest_name(name: str, known: Iterable[str]) -> str:
    """Return the known name that is most like a misspelled or shortened one; "" if none is."""
    by_lower = {known_name.lower(): known_name for known_name in reversed(list(known))}
    near = difflib.get_close_matches(name.lower(), list(by_lower)[::-1], n=1, cutoff=0.6)
    if not near and len(name) >= _MIN_PART:
        near = [whole for whole in by_lower if name.lower() in whole]
        near = near if len(near) == 1 else []
    return by_lower[near[0]] if near else ""


def nearest_of_listed(value: object, listed: str) -> str:
    """Return the word in quotation marks in a text such as '"min" or "max"' that is most like a value; "" if none is.

    A text that gives examples only lists nothing.
    """
    if not isinstance(value, str) or "for example" in listed or "such as" in listed:
        return ""
    return nearest_name(value, _QUOTED.findall(listed))
