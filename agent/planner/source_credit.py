"""How many trials the LLM gets: by what its trials and the sampler's were worth so far, fast in both directions.

A pure function of the trials, so that a resumed study shares as before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.study.trials.trial import Source, Trial
from tunesmith.study.trials.view import Objective, objective_values

LEAST = 0.05
MOST = 0.8

REJECTED = "rejected"
"""How the reason of a fallback begins when the LLM answered, but with nothing worth a trial."""

_SHARPNESS = 1.6
_MEMORY = 0.93
"""Each further trial of a source lets its earlier ones count so much: what a source was worth long ago says less."""


@dataclass(frozen=True, slots=True)
class Worth:
    """What a source's trials were worth: pseudo-counts of a Beta distribution of the credit of the next one."""

    gained: float = 1.0
    missed: float = 1.0
    trials: int = 0

    @property
    def mean(self) -> float:
        """The expected credit of the next trial, in (0, 1)."""
        return self.gained / (self.gained + self.missed)

    @property
    def variance(self) -> float:
        """How sure that is."""
        return self.mean * (1.0 - self.mean) / (self.gained + self.missed + 1.0)

    def after(self, credit: float) -> Worth:
        """Return the worth after one more trial with this credit."""
        gained, missed = 1.0 + (self.gained - 1.0) * _MEMORY, 1.0 + (self.missed - 1.0) * _MEMORY
        return Worth(gained + credit, missed + 1.0 - credit, self.trials + 1)


@dataclass(frozen=True, slots=True)
class Shares:
    """What both sources are worth, and the LLM's share of the trials that follows from it."""

    llm: Worth
    sampler: Worth

    @property
    def llm_share(self) -> float:
        """In [LEAST, MOST]: the probability that the LLM's next trial is the better one, sharpened."""
        spread = math.sqrt(self.llm.variance + self.sampler.variance)
        z = _SHARPNESS * (self.llm.mean - self.sampler.mean) / spread
        return min(max(0.5 * (1.0 + math.erf(z / math.sqrt(2.0))), LEAST), MOST)


def shares_of(trials: Sequence[Trial], objectives: Sequence[Objective]) -> Shares:
    """Return what the finished trials say of both sources."""
    llm, sampler = Worth(), Worth()
    before: list[float] = []
    for trial in trials:
        if trial.is_replicate or not trial.state.is_finished:
            continue
        loss = _loss(trial, objectives)
        source = trial.proposal.source
        if source is Source.LLM:
            llm = llm.after(_credit(loss, before))
        elif source is Source.SAMPLER:
            sampler = sampler.after(_credit(loss, before))
        elif source is Source.FALLBACK and trial.proposal.fallback_reason.startswith(REJECTED):
            llm = llm.after(0.0)
        if loss is not None:
            before.append(loss)
    return Shares(llm, sampler)


def _credit(loss: float | None, before: Sequence[float]) -> float:
    """Return what a trial was worth, in [0, 1]: 1 for a new best, less the more earlier ones were better."""
    if loss is None:
        return 0.0
    if not before:
        return 0.5
    beaten = sum(loss < other for other in before) / len(before)
    return 1.0 if beaten == 1.0 else 0.7 * beaten * beaten


def _loss(trial: Trial, objectives: Sequence[Objective]) -> float | None:
    values = objective_values(trial, objectives)
    return None if values is None else objectives[0].sign * values[0]
