r"""Finds a search text in a file and replaces it. Lines end at "\n"; each line of the file keeps its own line end.

Models write "\n" for any line end, and copy lines as a prompt shows them: without a byte order mark, with a space
for a form feed. Offsets below refer to the plain text, in which every line ends with "\n".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

from tunesmith.study.formatting import strip_control

Span: TypeAlias = tuple[int, int]
"""Start and end of a match in the plain text."""


def split_lines(text: str) -> list[str]:
    r"""Return the lines without their ends, "\n" or "\r\n".

    Unlike str.splitlines, it does not split at a form feed, U+2028 and other characters that Python allows in a line.
    """
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def split_lines_with_ends(text: str) -> list[str]:
    r"""Return the lines with their ends, "\n" or "\r\n"; the last line may have none."""
    lines = [f"{line}\n" for line in text.split("\n")]
    lines[-1] = lines[-1].removesuffix("\n")
    return lines if lines[-1] else lines[:-1]


def plain_text(text: str) -> str:
    r"""Return the text with "\n" as the only line end."""
    return text.replace("\r\n", "\n")


def find_matches(text: str, search: str) -> list[Span]:
    """Return where the search text occurs; if it occurs nowhere, where whole lines look the same in a prompt."""
    plain, wanted = plain_text(text), plain_text(search)
    starts = []
    start = plain.find(wanted)
    while start >= 0:
        starts.append(start)
        start = plain.find(wanted, start + len(wanted))
    return [(start, start + len(wanted)) for start in starts] or _similar_matches(plain, wanted)


def replace_match(text: str, match: Span, replacement: str) -> str:
    """Return the text with one match replaced. New lines get the line end that is usual around them."""
    plain = plain_text(text)
    ends = ["\r\n" if line.endswith("\r") else "\n" for line in text.split("\n")[:-1]]
    before, old, after = plain[: match[0]], plain[match[0] : match[1]], plain[match[1] :]
    new = plain_text(replacement)
    if not after and not old.endswith("\n"):
        # The file has no final newline; a search text with one matched its last line.
        new = new.removesuffix("\n")
    first, last = before.count("\n"), before.count("\n") + old.count("\n")
    middle = _ends_of_new_lines(old.split("\n")[:-1], ends[first:last], new.split("\n")[:-1], _usual(ends))
    lines = f"{before}{new}{after}".split("\n")
    all_ends = [*ends[:first], *middle, *ends[last:], ""]
    return "".join(f"{line}{end}" for line, end in zip(lines, all_ends, strict=True))


def _similar_matches(plain: str, wanted: str) -> list[Span]:
    shown = [_as_shown(line) for line in plain.split("\n")]
    target = [_as_shown(line) for line in wanted.removesuffix("\n").split("\n")]
    if not any(target):
        return []
    offsets = [0]
    for line in plain.split("\n"):
        offsets.append(offsets[-1] + len(line) + 1)
    found = []
    for first in range(len(shown) - len(target) + 1):
        if shown[first : first + len(target)] == target:
            end = offsets[first + len(target)] - (0 if wanted.endswith("\n") else 1)
            found.append((offsets[first], min(end, len(plain))))
    return found


def _as_shown(line: str) -> str:
    return strip_control(line).rstrip()


def _ends_of_new_lines(old: Sequence[str], old_ends: Sequence[str], new: Sequence[str], usual: str) -> list[str]:
    """Return a line end for each new line: its own where the line stays, else the usual one of the old lines."""
    ends = [_usual(old_ends) if old_ends else usual] * len(new)
    same = min(len(old), len(new))
    for index in range(same):
        if old[index] != new[index]:
            break
        ends[index] = old_ends[index]
    for index in range(1, same + 1):
        if old[-index] != new[-index]:
            break
        ends[-index] = old_ends[-index]
    return ends


def _usual(ends: Sequence[str]) -> str:
    return Counter(ends).most_common(1)[0][0] if ends else "\n"
