"""Numbers of trials as people write them: "3-9, 12"."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tunesmith.study.errors import Mistake, SpecError

MAX_RANGE = 10_000
"""Largest number of trials in one range."""
_PART = re.compile(r"#?(\d{1,9})(?:\s*(?:-|\.\.|to)\s*#?(\d{1,9}))?")


def parse_numbers(text: str) -> tuple[int, ...]:
    """Return the numbers in a text such as "3-9, 12", in order, each once.

    Raises:
        SpecError: the text has anything else in it; the message shows what.
    """
    numbers: list[int] = []
    for part in re.split(r"[,;\s]+", re.sub(r"\s{0,20}(-|\.\.|\bto\b)\s{0,20}", r"\1", text.strip())):
        found = _PART.fullmatch(part)
        if found is None:
            raise _wrong(f"{part!r} is not a trial number; write numbers and ranges, such as 3-9 or 3,5")
        first, last = int(found[1]), int(found[2] or found[1])
        if not first <= last < first + MAX_RANGE:
            raise _wrong(f"the range {part} is empty or too long; write the smaller number first")
        numbers += range(first, last + 1)
    return tuple(dict.fromkeys(numbers))


def numbers_text(numbers: Iterable[int]) -> str:
    """Return numbers as text, such as "trial 3" or "trials 3-9, 12"; "" for none."""
    ranges: list[list[int]] = []
    for number in sorted(set(numbers)):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    texts = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)
    if not texts:
        return ""
    return f"trial {texts}" if texts.isdigit() else f"trials {texts}"


def _wrong(message: str) -> SpecError:
    return SpecError([Mistake("trials", message)], where="the command")
