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
_MOST_WITHOUT_GAIN = 0.7
"""Credit of a trial that beats all earlier ones but the best."""
_RECENT = 8
"""Number of latest trials of a source of which it counts how much they gained."""
_FULL_GAIN = 0.2
"""Gain that counts in full, in distances of the best value from the median."""
_GAIN_WEIGHT = 2.0
"""Weight of the latest trials' gains against the credit, in logits: staying near the best is no progress."""


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
    """The credit of both sources of proposals.

    Attributes:
        llm_gains: how large a gain each of the LLM's latest trials was, from 0 to 1.
        sampler_gains: the same for the sampler.
    """

    llm: BetaCredit
    sampler: BetaCredit
    llm_gains: Sequence[float] = ()
    sampler_gains: Sequence[float] = ()

    @property
    def llm_fraction(self) -> float:
        """Fraction of the trials that the LLM gets, in [MIN_LLM_FRACTION, MAX_LLM_FRACTION].

        The probability that its next trial gets more credit than the sampler's, sharpened, and shifted towards the
        source whose latest trials gained more.
        """
        std = math.sqrt(self.llm.variance + self.sampler.variance)
        z = _SHARPNESS * (self.llm.mean - self.sampler.mean) / std
        by_credit = min(max(0.5 * (1.0 + math.erf(z / math.sqrt(2.0))), 0.01), 0.99)
        odds = by_credit / (1.0 - by_credit)
        odds *= math.pow(_gain_rate(self.llm_gains) / _gain_rate(self.sampler_gains), _GAIN_WEIGHT)
        return min(max(odds / (1.0 + odds), MIN_LLM_FRACTION), MAX_LLM_FRACTION)


def source_credits(trials: Sequence[Trial], objectives: Sequence[Objective]) -> SourceCredits:
    """Return the credit of both sources after the finished trials."""
    llm, sampler = BetaCredit(), BetaCredit()
    gains: dict[Source, list[float]] = {Source.LLM: [], Source.SAMPLER: []}
    earlier: list[float] = []
    for trial in trials:
        if trial.is_replicate or not trial.state.is_finished:
            continue
        loss = _loss(trial, objectives)
        source = trial.proposal.source
        if source in gains and earlier:
            gains[source].append(_gain(loss, earlier))
        if source is Source.LLM:
            llm = llm.after(_credit(loss, earlier))
        elif source is Source.SAMPLER:
            sampler = sampler.after(_credit(loss, earlier))
        elif source is Source.FALLBACK and trial.proposal.fallback_reason.startswith(REJECTED):
            llm = llm.after(0.0)
        if loss is not None:
            earlier.append(loss)
    return SourceCredits(llm, sampler, gains[Source.LLM][-_RECENT:], gains[Source.SAMPLER][-_RECENT:])


def _gain(loss: float | None, earlier: Sequence[float]) -> float:
    """Return the size of a gain on the best value so far, from 0 to 1: noise alone brings small ones all the time."""
    best, middle = min(earlier), sorted(earlier)[len(earlier) // 2]
    if loss is None or loss >= best:
        return 0.0
    return min((best - loss) / (_FULL_GAIN * (middle - best)), 1.0) if middle > best else 1.0


def _gain_rate(gains: Sequence[float]) -> float:
    """Return the mean gain; half of an untested trial counts as a full one, so that nothing is ever ruled out."""
    return (sum(gains) + 0.5) / (len(gains) + 1.0)


def _credit(loss: float | None, earlier: Sequence[float]) -> float:
    """Return the credit of a trial, in [0, 1]: by the part that it beats, more for a gain, 0 for a failure."""
    if loss is None:
        return 0.0
    if not earlier:
        return 0.5
    beaten = sum(loss < other for other in earlier) / len(earlier)
    return _MOST_WITHOUT_GAIN * beaten * beaten + (1.0 - _MOST_WITHOUT_GAIN) * math.sqrt(_gain(loss, earlier))


def _loss(trial: Trial, objectives: Sequence[Objective]) -> float | None:
    values = objective_values(trial, objectives)
    return None if values is None else objectives[0].sign * values[0]
