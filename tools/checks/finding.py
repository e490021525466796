"""One result of a check, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MARKS = {"ok": "✓", "warning": "!", "problem": "✗"}
WIDTH = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check. `level` is ok, warning or problem; only a problem makes a check fail."""

    level: str
    what: str
    detail: str


def finding_lines(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield each finding with its mark; further lines of its text are indented."""
    for finding in findings:
        head, *rest = finding.detail.splitlines() or [""]
        yield f"{MARKS[finding.level]} {finding.what:<{WIDTH}} {head}"
        for line in rest:
            yield f"  {'':<{WIDTH}} {line}"


def has_problem(findings: Iterable[Finding]) -> bool:
    """Return whether one of the findings is a problem."""
    return any(finding.level == "problem" for finding in findings)
