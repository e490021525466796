"""A person's regular expression over lines of output. RE2 always matches it in time linear in the line.

Python's own `re` takes exponential time for some patterns, and the lines come from a script.
"""

from __future__ import annotations

import re
from typing import Any

import re2  # google-re2 ships no types

MAX_LINE_CHARS = 20_000
"""Part of a line that is read."""
MAX_PATTERN_CHARS = 500
_LITERAL = re.compile(r"(?:\\[^\w\s]|[^\\^$.|?*+()\[\]{}])++(?![?*{])")


class LinePattern:
    """A pattern with a group for the number: the one called `value`, else the first, else the whole match.

    Args:
        text: the regular expression, in the syntax of RE2: without references and lookaround.

    Raises:
        ValueError: it is not one; the text says why.
    """

    def __init__(self, text: str) -> None:
        if len(text) > MAX_PATTERN_CHARS:
            raise ValueError(f"is longer than {MAX_PATTERN_CHARS} characters")
        options = re2.Options()
        options.log_errors = False
        try:
            self._compiled: Any = re2.compile(text, options=options)
        except re2.error as error:
            reason = error.args[0].decode() if isinstance(error.args[0], bytes) else error
            raise ValueError(f"is not a regular expression of RE2: {reason}") from None
        self.text = text
        self._group = self._compiled.groupindex.get("value", min(self._compiled.groups, 1))

    @property
    def word(self) -> str:
        """A text that is in every matching line, to tell lines apart quickly; "" where the pattern shows none."""
        if re.search(r"[|\[(]\?|\||\(\?", self.text):
            return ""
        plain = re.sub(r"\([^()]*\)|\[[^\[\]]*\]|\\[A-Za-z]", "\0", self.text)
        runs = [re.sub(r"\\(.)", r"\1", run) for match in _LITERAL.finditer(plain) for run in match[0].split("\0")]
        return max(runs, key=len, default="")

    def search(self, line: str) -> tuple[int, int] | None:
        """Return where the number of the first match begins and ends; None without a match."""
        match = self._compiled.search(line[:MAX_LINE_CHARS])
        if match is None or match.start(self._group) < 0:
            return None
        start, end = match.span(self._group)
        return int(start), int(end)
