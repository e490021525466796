"""What a strategy of code search sees, and what it decides. Plain data and a protocol; nothing here asks or runs.

A strategy is a pure function of the state, so that a resumed study continues as the uninterrupted one would have, and
so that a simulation can drive it with the known values of recorded ideas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tunesmith.agent.code_search.arms import Arm
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import Constraint, Objective
from tunesmith.study.variant import Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchState:
    """A study's versions of the code and their trials at one moment.

    Attributes:
        trials: every trial of the present space, running ones included.
        arms: the versions that may run and be edited, "" for the user's own code.
        variants: every version of the code by id, refused and broken ones included, in the order of proposal.
        untried: valid versions without a trial, in the order in which they will run.
        noise: standard deviation of a difference of two runs, in units of the metric.
        seed_noise: measured standard deviation between seeds; None while `noise` is only assumed.
        slots: number of trials that run at once.
        trials_left: number of trials that may still be started; running ones are not among them.
        seed: the study's seed.
        number: the number of the next trial.
        examples: scores of each version with a complete trial, by example, larger is better; "" is the user's own code.
    """

    trials: Sequence[Trial]
    arms: Sequence[Arm]
    variants: Mapping[str, Variant]
    untried: Sequence[Variant]
    objective: Objective
    constraints: Sequence[Constraint] = ()
    noise: float = 0.0
    seed_noise: float | None = None
    slots: int = 1
    trials_left: float = 0.0
    seed: int = 0
    number: int = 0
    examples: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def new_and_unknown(self) -> int:
        """Number of versions whose first trial waits or runs: what they gain is not known yet."""
        finished = {t.proposal.code for t in self.trials if t.state.is_finished}
        running = {t.proposal.code for t in self.trials} - finished - {""}
        return len(self.untried) + len(running)

    @property
    def by_code(self) -> dict[str, Arm]:
        """The arms by the id of their version."""
        return {arm.code: arm for arm in self.arms}


@dataclass(frozen=True, slots=True)
class EditRequest:
    """A question that is due.

    Attributes:
        parent: the version that is shown to be edited; "" for the user's own code.
        count: the number of ideas that are asked for.
    """

    parent: str
    count: int


class Strategy(Protocol):
    """Decides what is asked and what runs. A version that waits for its first trial always runs before all else."""

    def request(self, state: SearchState) -> EditRequest | None:
        """Return the question to ask now; None when no edit is wanted. At least one arm has a complete trial."""

    def joins(self, state: SearchState) -> list[tuple[Variant, Variant]]:
        """Return pairs of versions to join now, the most promising first."""

    def tuned(self, state: SearchState) -> str:
        """Return the version that the next trial tunes, "" for the user's own code. No version is untried."""

    def base(self, variant: Variant, state: SearchState) -> str:
        """Return the version that an untried edit is moved onto before its first trial; its parent to leave it."""

    def objection(self, variant: Variant, state: SearchState) -> str:
        """Return why a valid new edit is not worth a trial; "" for one that is."""
