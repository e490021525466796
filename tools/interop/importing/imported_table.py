"""What a reader finds: rows of cells by column, before it is known which column is which parameter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunesmith.study.errors import ProjectError
from tunesmith.study.trials.trial import TrialState
from tunesmith.study.trials.view import Direction

VALUE = "value."
"""Prefix of a metric's column, for sources that distinguish metrics from parameters."""


@dataclass(frozen=True, slots=True)
class ImportedRow:
    """One trial of another program.

    Attributes:
        cells: the trial's parameters and values by column; cells of a text table are text.
        state: the trial's state; None if the source does not record it.
        seconds: wall time; 0 if the source does not record it.
    """

    cells: Mapping[str, Any]
    state: TrialState | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class SkippedRow:
    """A trial that a reader left out; `reason` is the same for all trials of one kind."""

    reason: str


@dataclass(frozen=True, slots=True)
class ImportedTable:
    """The trials of a source.

    Attributes:
        source: a description for the user.
        name: a short name of the study.
        directions: by column, for sources that record whether to minimize or maximize.
        skipped: the number of trials that the reader left out, by reason.
    """

    source: str
    name: str
    rows: Sequence[ImportedRow]
    directions: Mapping[str, Direction] = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        """The columns of all rows, in order of appearance."""
        return list(dict.fromkeys(name for row in self.rows for name in row.cells))

    @property
    def row_count(self) -> int:
        """The number of trials in the source, with those that the reader left out."""
        return len(self.rows) + sum(self.skipped.values())


def make_table(
    source: str,
    name: str,
    found: Iterable[ImportedRow | SkippedRow],
    directions: Mapping[str, Direction] | None = None,
) -> ImportedTable:
    """Return the table of what a reader found.

    Raises:
        ProjectError: the reader left out every trial.
    """
    rows: list[ImportedRow] = []
    skipped: Counter[str] = Counter()
    for one in found:
        if isinstance(one, SkippedRow):
            skipped[one.reason] += 1
        else:
            rows.append(one)
    if not rows:
        reasons = "; ".join(f"{count} left out: {reason}" for reason, count in skipped.most_common(3))
        raise ProjectError(f"{source}: no trial can be read; {reasons or 'there are none'}")
    return ImportedTable(source, name, rows, directions or {}, dict(skipped.most_common()))


_WORDS = {
    TrialState.COMPLETE: "complete completed finished terminated success succeeded done ok",
    TrialState.FAILED: "failed fail crashed error errored",
    TrialState.STOPPED: "pruned stopped killed preempted early_stopped",
    TrialState.WAITING: "waiting running pending queued scheduled active paused",
}
STATES = {word: state for state, words in _WORDS.items() for word in words.split()}
"""The names of trial states in other programs, in lower case."""
