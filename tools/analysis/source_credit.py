"""When is the LLM worth it: what each source gained, per dollar and per GPU-hour, against what the sampler's own points
were expected to gain in the LLM's place; and how often the LLM fell back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunesmith.study.config.budget import Spent
from tunesmith.study.trials.results import improvements
from tunesmith.study.trials.trial import Source, Trial
from tunesmith.study.trials.view import Constraint, Objective
from tunesmith.study.units import short_number
from tunesmith.tools.analysis.significance import expected_gain

FALLBACK_WARNING_SHARE = 0.2
"""From this share of the LLM's turns on a study says in its first line that they fell back."""

_FEW_TURNS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCredit:
    """What one source did.

    Attributes:
        trials: finished ones.
        improvements: how often it found a new best after the first value.
        gain: by how much it moved the best value, in the first objective's unit; 0 or more.
        gpu_hours: what its trials used.
    """

    source: Source
    trials: int
    improvements: int
    gain: float
    failed: int
    gpu_hours: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerComparison:
    """The LLM's trials for which it is known what the sampler expected of its own point.

    Attributes:
        gained: by how much they moved the best value, in the first objective's unit.
        expected: by how much the sampler's points were expected to move it, summed over the same trials.
    """

    trials: int
    gained: float
    expected: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditReport:
    """All sources that ran, and the LLM's turns.

    Attributes:
        versus_sampler: the LLM against what the sampler would have tried; None while nothing is known of that.
        turns: trials that were the LLM's to propose.
        fallbacks: those of them in which the sampler stood in, with the reasons and how often each.
    """

    sources: tuple[SourceCredit, ...]
    turns: int
    fallbacks: int
    reasons: tuple[tuple[str, int], ...]
    spent: Spent
    versus_sampler: SamplerComparison | None = None

    @property
    def falls_back_often(self) -> bool:
        """Whether more than a fifth of the LLM's turns fell back."""
        return self.turns >= _FEW_TURNS and self.fallbacks > FALLBACK_WARNING_SHARE * self.turns


def credit_report(
    trials: Sequence[Trial], objectives: Sequence[Objective], constraints: Sequence[Constraint], spent: Spent
) -> CreditReport:
    """Return what every source was worth so far."""
    own = [t for t in trials if not t.is_replicate]
    gains: dict[int, float] = {}
    best: float | None = None
    for step in improvements(own, objectives, constraints):
        gains[step.number] = 0.0 if best is None else abs(best - step.value)
        best = step.value
    sources = [_of(source, own, gains) for source in Source if any(t.proposal.source is source for t in own)]
    stood_in = [t for t in own if t.proposal.source is Source.FALLBACK]
    kinds = [_kind(t.proposal.fallback_reason) for t in stood_in]
    reasons = sorted(((kind, kinds.count(kind)) for kind in set(kinds)), key=lambda item: (-item[1], item[0]))
    proposed = sum(t.proposal.source is Source.LLM for t in own)
    return CreditReport(
        sources=tuple(sources),
        turns=proposed + len(stood_in),
        fallbacks=len(stood_in),
        reasons=tuple(reasons),
        spent=spent,
        versus_sampler=_versus_sampler(own, objectives[0], gains),
    )


def credit_lines(meter: CreditReport) -> list[str]:
    """Return the meter for a terminal; nothing when no LLM took part."""
    if not meter.turns and not meter.spent.llm_calls:
        return []
    spent = meter.spent
    lines = [
        f"LLM: {spent.llm_calls} calls, {spent.llm_tokens:,} tokens, ${spent.llm_usd:.2f}; "
        f"{meter.turns - meter.fallbacks} of its {meter.turns} turns became trials"
    ]
    if meter.fallbacks:
        lines.append("     fell back: " + ", ".join(f"{count} {kind}" for kind, count in meter.reasons))
    for source in meter.sources:
        if source.trials and source.source is not Source.DEFAULT:
            lines.append(f"     {_line(source, spent)}")
    if meter.versus_sampler:
        lines.append(f"     {sampler_comparison_line(meter.versus_sampler)}")
    return lines


def sampler_comparison_line(instead: SamplerComparison) -> str:
    """Return the comparison with the sampler in a sentence."""
    gained, expected = short_number(instead.gained), short_number(instead.expected)
    trials = f"{instead.trials} trial{'s' if instead.trials > 1 else ''}"
    return f"in {trials} the LLM gained {gained}, where the sampler expected {expected} of its own points"


def _kind(reason: str) -> str:
    # A model's name has colons of its own.
    return "no answer" if reason.startswith("the model ") else reason.partition(":")[0]


def _versus_sampler(
    trials: Sequence[Trial], objective: Objective, gains: Mapping[int, float]
) -> SamplerComparison | None:
    gained = expected = 0.0
    count, best = 0, None
    for trial in trials:
        rival = trial.proposal.rival
        if rival is not None and best is not None and trial.state.is_finished:
            count += 1
            gained += gains.get(trial.number, 0.0)
            expected += expected_gain(rival.mean, rival.std, best, sign=objective.sign)
        if trial.number in gains:
            best = trial.values[objective.metric]
    return SamplerComparison(trials=count, gained=gained, expected=expected) if count else None


def _line(source: SourceCredit, spent: Spent) -> str:
    parts = [f"{source.source.value}: {source.trials} trials, {source.improvements} improvements"]
    parts.append(f"gain {short_number(source.gain)}")
    if source.failed:
        parts.append(f"{source.failed} failed")
    if source.gpu_hours:
        parts.append(f"{short_number(source.gain / source.gpu_hours)} per GPU-hour")
    if source.source is Source.LLM and spent.llm_usd:
        parts.append(f"{short_number(source.gain / spent.llm_usd)} per dollar")
    return ", ".join(parts)


def _of(source: Source, trials: Sequence[Trial], gains: dict[int, float]) -> SourceCredit:
    mine = [t for t in trials if t.proposal.source is source and t.state.is_finished]
    return SourceCredit(
        source=source,
        trials=len(mine),
        improvements=sum(gains.get(t.number, 0.0) > 0.0 for t in mine),
        gain=sum(gains.get(t.number, 0.0) for t in mine),
        failed=sum(t.failure is not None for t in mine),
        gpu_hours=sum(t.outcome.usage.gpu_s for t in mine if t.outcome) / 3600,
    )
