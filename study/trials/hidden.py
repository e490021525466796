"""What a judge with separate data said of a trial, once the search was over ([confirm].command). Plain data."""

from __future__ import annotations

from dataclasses import dataclass

HIDDEN_CHOICE = "hidden_choice"
"""Kind of the event that records which configuration was chosen by hidden data, with every value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenSource:
    """What values on hidden data come from. Values of another source are not comparable.

    Attributes:
        data: a hash of the data; looks are counted for each.
        judge: a hash of the command and its scripts.
    """

    data: str = ""
    judge: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenValues:
    """A configuration's values on hidden data; they exist only while the choice that was made by them holds.

    Attributes:
        values: of the first objective, in its own direction, one for each judged run.
        seeds: the training seed of each.
        is_chosen: whether the study chose this configuration by them.
        judged: number of configurations that were judged, the default included.
        look: how often data was looked at that were hidden at first; from 2 on the value of the choice is optimistic.
    """

    values: tuple[float, ...]
    seeds: tuple[int, ...]
    is_chosen: bool
    judged: int
    look: int = 1

    @property
    def mean(self) -> float:
        """The mean value."""
        return sum(self.values) / len(self.values)
