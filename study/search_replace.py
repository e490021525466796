r"""Finds a search text in a file and replaces it. Lines end at "\n"; each line of the file keeps its own line end.

Models write "\n" for any line end, and copy lines as a prompt shows them: without a byte order mark, with a space
for a form feed, with the "| " before each line, without the indentation that all lines share. Such slips are repaired,
in the replacement as well; the caller refuses what then matches several times. Offsets below refer to the plain text,
in which every line ends with "\n".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tunesmith.study.formatting import strip_control

Span: TypeAlias = tuple[int, int]
"""Start and end of a match in the plain text."""


@dataclass(frozen=True, slots=True)
class Match:
    """Where a search text occurs, and what replaces it there."""

    span: Span
    replacement: str


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


def find_matches(text: str, search: str, replacement: str) -> list[Match]:
    """Return where the search text occurs; if it occurs nowhere, where it does after the first repair that helps."""
    plain, wanted, new = plain_text(text), plain_text(search), plain_text(replacement)
    if spans := _exact_spans(plain, wanted):
        return [Match(span, new) for span in spans]
    return next(filter(None, _repaired(plain, wanted, new)), [])


def replace_match(text: str, match: Match) -> str:
    """Return the text with one match replaced. New lines get the line end that is usual around them."""
    plain = plain_text(text)
    ends = ["\r\n" if line.endswith("\r") else "\n" for line in text.split("\n")[:-1]]
    start, end = match.span
    before, old, after = plain[:start], plain[start:end], plain[end:]
    new = match.replacement
    if not after and not old.endswith("\n"):
        # The file has no final newline; a search text with one matched its last line.
        new = new.removesuffix("\n")
    first, last = before.count("\n"), before.count("\n") + old.count("\n")
    middle = _ends_of_new_lines(old.split("\n")[:-1], ends[first:last], new.split("\n")[:-1], _usual(ends))
    lines = f"{before}{new}{after}".split("\n")
    all_ends = [*ends[:first], *middle, *ends[last:], ""]
    return "".join(f"{line}{end}" for line, end in zip(lines, all_ends, strict=True))


def _exact_spans(plain: str, wanted: str) -> list[Span]:
    starts = []
    start = plain.find(wanted)
    while start >= 0:
        starts.append(start)
        start = plain.find(wanted, start + len(wanted))
    return [(start, start + len(wanted)) for start in starts]


def _repaired(plain: str, wanted: str, new: str) -> Iterator[list[Match]]:
    """Yield the matches after each repair: trailing spaces, the margin of a prompt, the shared indentation."""
    for search, replacement in ((wanted, new), (_without_margin(wanted), _without_margin(new))):
        if search != wanted:
            yield [Match(span, replacement) for span in _exact_spans(plain, search)]
        yield [Match(span, replacement) for span, _ in _line_spans(plain, search, _same_line)]
        yield [Match(span, _reindented(replacement, extra)) for span, extra in _line_spans(plain, search, _lost_indent)]


def _line_spans(plain: str, wanted: str, compare: Callable[[str, str], str | None]) -> list[tuple[Span, str]]:
    """Return where whole lines match, and what every line of the match has in common by `compare`.

    `compare` takes a line of the file and one of the search text as a prompt shows them; it returns None where they do
    not match. Empty lines match each other with anything.
    """
    shown = [_as_shown(line) for line in plain.split("\n")]
    target = [_as_shown(line) for line in wanted.removesuffix("\n").split("\n")]
    if not any(target):
        return []
    offsets = [0]
    for line in plain.split("\n"):
        offsets.append(offsets[-1] + len(line) + 1)
    found = []
    for first in range(len(shown) - len(target) + 1):
        pairs = list(zip(shown[first : first + len(target)], target, strict=True))
        if any(bool(line) != bool(searched) for line, searched in pairs):
            continue
        common = {compare(line, searched) for line, searched in pairs if line}
        if len(common) == 1 and (extra := common.pop()) is not None:
            end = offsets[first + len(target)] - (0 if wanted.endswith("\n") else 1)
            found.append(((offsets[first], min(end, len(plain))), extra))
    return found


def _same_line(line: str, searched: str) -> str | None:
    return "" if line == searched else None


def _lost_indent(line: str, searched: str) -> str | None:
    """Return the indentation that the search text lacks, or after a minus sign what it has too much; else None."""
    if line.endswith(searched) and not line.removesuffix(searched).strip():
        return line.removesuffix(searched)
    if searched.endswith(line) and not searched.removesuffix(line).strip():
        return f"-{searched.removesuffix(line)}"
    return None


def _reindented(text: str, extra: str) -> str:
    if extra.startswith("-"):
        return "\n".join(line.removeprefix(extra[1:]) for line in text.split("\n"))
    return "\n".join(f"{extra}{line}" if line.strip() else line for line in text.split("\n"))


def _without_margin(text: str) -> str:
    """Return the text without the bar that a prompt shows before each line; unchanged unless every line has one."""
    lines = text.split("\n")
    if not all(re.match(r"\|( |$)", line) for line in lines if line.strip()):
        return text
    return "\n".join(re.sub(r"^\| ?", "", line) for line in lines)


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
