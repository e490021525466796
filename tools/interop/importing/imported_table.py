"""What was found elsewhere: rows of cells by name, before anybody knows which cell is which parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunesmith.study.trials.trial import TrialState
from tunesmith.study.trials.view import Direction

VALUE = "value."
"""What stands before a metric's name where the source tells metrics from parameters."""


@dataclass(frozen=True, slots=True)
class FoundRow:
    """One trial of somebody else's.

    Attributes:
        cells: what is known, by column; texts from a table are still texts.
        state: finished, waiting or running; None where the source does not say.
        seconds: of wall time; 0 where it does not say.
    """

    cells: Mapping[str, Any]
    state: TrialState | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Found:
    """A source that was read.

    Attributes:
        source: what it is, for people.
        name: a short name for it, letters and digits.
        directions: by column, where the source says what is better.
    """

    source: str
    name: str
    rows: Sequence[FoundRow]
    directions: Mapping[str, Direction] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        """Every column of any row, in order."""
        return list(dict.fromkeys(name for row in self.rows for name in row.cells))


_WORDS = {
    TrialState.COMPLETE: "complete completed finished terminated success succeeded done ok",
    TrialState.FAILED: "failed fail crashed error errored",
    TrialState.STOPPED: "pruned stopped killed preempted early_stopped",
    TrialState.WAITING: "waiting running pending queued scheduled active",
}
STATES = {word: state for state, words in _WORDS.items() for word in words.split()}
"""What other programs call a trial's state, in lower case."""
