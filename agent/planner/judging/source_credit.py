"""Credit of the LLM and the sampler for their trials, and the fraction of trials that the LLM gets for it.

A pure function of the trials, so a resumed study divides its trials as before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.study.trials.trial import Source, Trial
from tunesmith.study.trials.view import Objective, objective_values

MIN_LLM_FRACTION, MAX_LLM_FRACTION = 0.05, 0.95
"""Limits of the fraction: a source that brings nothing keeps one trial in twenty, to show that it has improved."""

REJECTED = "rejected"
"""Prefix of a proposal's fallback reason when the LLM answered with no candidate that was worth a trial."""

_SHARPNESS = 1.6
"""Factor on the standardized difference of both credits; above 1 the fraction reacts more strongly."""
_DECAY = 0.93
"""Decay of a source's earlier credit per further trial of this source."""


@dataclass(frozen=True, slots=True)
class BetaCredit:
    """The credit of a source's next trial: a Beta distribution with the pseudo-counts `alpha` and `beta`."""

    alpha: float = 1.0
    beta: float = 1.0

    @property
    def mean(self) -> float:
        """The expected credit, in (0, 1)."""
        return self.alpha / (self.alpha + self.beta)

    @property
    def variance(self) -> float:
        """The variance of the credit."""
        return self.mean * (1.0 - self.mean) / (self.alpha + self.beta + 1.0)

    def after(self, credit: float) -> BetaCredit:
        """Return the distribution after one more trial with this credit, in [0, 1]."""
        alpha, beta = 1.0 + (self.alpha - 1.0) * _DECAY, 1.0 + (self.beta - 1.0) * _DECAY
        return BetaCredit(alpha + credit, beta + 1.0 - credit)


@dataclass(frozen=True, slots=True)
class SourceCredits:
    """The credit of both sources of proposals."""

    llm: BetaCredit
    sampler: BetaCredit

    @property
    def llm_fraction(self) -> float:
        """Fraction of the trials that the LLM gets, in [MIN_LLM_FRACTION, MAX_LLM_FRACTION].

        The probability that its next trial gets more credit than the sampler's, sharpened.
        """
        std = math.sqrt(self.llm.variance + self.sampler.variance)
        z = _SHARPNESS * (self.llm.mean - self.sampler.mean) / std
        return min(max(0.5 * (1.0 + math.erf(z / math.sqrt(2.0))), MIN_LLM_FRACTION), MAX_LLM_FRACTION)


def source_credits(trials: Sequence[Trial], objectives: Sequence[Objective]) -> SourceCredits:
    """Return the credit of both sources after the finished trials."""
    llm, sampler = BetaCredit(), BetaCredit()
    earlier: list[float] = []
    for trial in trials:
        if trial.is_replicate or not trial.state.is_finished:
            continue
        loss = _loss(trial, objectives)
        source = trial.proposal.source
        if source is Source.LLM:
            llm = llm.after(_credit(loss, earlier))
        elif source is Source.SAMPLER:
            sampler = sampler.after(_credit(loss, earlier))
        elif source is Source.FALLBACK and trial.proposal.fallback_reason.startswith(REJECTED):
            llm = llm.after(0.0)
        if loss is not None:
            earlier.append(loss)
    return SourceCredits(llm, sampler)


def _credit(loss: float | None, earlier: Sequence[float]) -> float:
    """Return the credit of a trial, in [0, 1]: 1 for a new best, 0 for a failure, else by the part that it beats."""
    if loss is None:
        return 0.0
    if not earlier:
        return 0.5
    beaten = sum(loss < other for other in earlier) / len(earlier)
    return 1.0 if beaten == 1.0 else 0.7 * beaten * beaten


def _loss(trial: Trial, objectives: Sequence[Objective]) -> float | None:
    values = objective_values(trial, objectives)
    return None if values is None else objectives[0].sign * values[0]
