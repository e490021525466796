"""Credit of each source of proposals: its gain, also per dollar and per GPU-hour, and how often the LLM fell back.

Compares the LLM's gain with the gain that the sampler expected of its own suggestions for the same trials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunesmith.study.config.budget import PurposeUsage, Spent
from tunesmith.study.formatting import count
from tunesmith.study.trials.observed.judged import PURPOSES
from tunesmith.study.trials.results import StudyQuestion, present_improvements
from tunesmith.study.trials.trial import Source, Trial
from tunesmith.study.trials.view import Objective
from tunesmith.study.units import short_number
from tunesmith.tools.analysis.confirmation.significance import expected_gain

FALLBACK_WARNING_SHARE = 0.2
"""Share of fallbacks among the LLM's turns above which status and the end of a run warn."""

_MIN_TURNS = 3
"""Minimum number of turns for that warning."""


LATE = "late"
"""Kind of the fallbacks for which the LLM's answer had not come yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCredit:
    """Credit of one source.

    Attributes:
        trials: number of finished trials.
        improvements: number of new best values, the study's first value excluded.
        gain: sum of its improvements of the best value, in the first objective's unit, at least 0.
        failed: number of failed trials.
        gpu_hours: GPU time of its trials.
    """

    source: Source
    trials: int
    improvements: int
    gain: float
    failed: int
    gpu_hours: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerComparison:
    """The LLM's gain and the sampler's expected gain, over the trials for which both are known.

    Attributes:
        trials: the number of these trials.
        gained: sum of the LLM's improvements of the best value, in the first objective's unit.
        expected: sum of the expected improvements of the sampler's own suggestions.
    """

    trials: int
    gained: float
    expected: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditReport:
    """Credit of every source that proposed a trial, and the LLM's turns.

    Attributes:
        turns: number of trials that the LLM was to propose.
        fallbacks: number of those that the sampler proposed.
        reasons: the reasons for fallbacks with their counts, the most frequent first.
        versus_sampler: the LLM compared with the sampler's own suggestions; None while there are no such trials.
    """

    sources: tuple[SourceCredit, ...]
    turns: int
    fallbacks: int
    reasons: tuple[tuple[str, int], ...]
    spent: Spent
    versus_sampler: SamplerComparison | None = None

    @property
    def has_llm(self) -> bool:
        """Whether an LLM took part: it was asked, it proposed, or an answer to it was awaited."""
        proposed = any(source.source is Source.LLM for source in self.sources)
        asked = self.spent.llm_calls - sum(usage.calls for usage in self.judge_usage)
        return proposed or asked > 0 or any(kind == LATE for kind, _ in self.reasons)

    @property
    def judge_usage(self) -> tuple[PurposeUsage, ...]:
        """What a judge of texts used, which proposes nothing."""
        return tuple(usage for usage in self.spent.llm_purposes if usage.purpose in PURPOSES)

    @property
    def falls_back_often(self) -> bool:
        """Whether the share of fallbacks is above FALLBACK_WARNING_SHARE."""
        return self.turns >= _MIN_TURNS and self.fallbacks > FALLBACK_WARNING_SHARE * self.turns


def credit_report(trials: Sequence[Trial], asked: StudyQuestion, spent: Spent) -> CreditReport:
    """Return the credit of every source so far. Improvements are those among the trials of the present space."""
    own = [t for t in trials if t.counts and not t.is_replicate]
    gains: dict[int, float] = {}
    best: float | None = None
    for step in present_improvements(own, asked):
        gains[step.number] = 0.0 if best is None else abs(best - step.value)
        best = step.value
    sources = [_source_credit(source, own, gains) for source in Source if any(t.proposal.source is source for t in own)]
    fallbacks = [t for t in own if t.proposal.source is Source.FALLBACK]
    kinds = [_reason_kind(t.proposal.fallback_reason) for t in fallbacks]
    reasons = sorted(((kind, kinds.count(kind)) for kind in set(kinds)), key=lambda item: (-item[1], item[0]))
    proposed = sum(t.proposal.source is Source.LLM for t in own)
    return CreditReport(
        sources=tuple(sources),
        turns=proposed + len(fallbacks),
        fallbacks=len(fallbacks),
        reasons=tuple(reasons),
        spent=spent,
        versus_sampler=_versus_sampler(own, asked.objectives[0], gains),
    )


def credit_lines(credit: CreditReport) -> list[str]:
    """Return the credit as lines for a terminal; [] for a study without an LLM, a line for one that only judges."""
    if not credit.has_llm:
        return [f"judge: {', '.join(map(purpose_text, credit.judge_usage))}"] if credit.judge_usage else []
    spent = credit.spent
    lines = [
        f"LLM: {count(spent.llm_calls, 'call')}, {spent.llm_tokens:,} tokens, ${spent.llm_usd:.2f}; "
        f"{credit.turns - credit.fallbacks} of its {credit.turns} turns became trials"
    ]
    if len(spent.llm_purposes) > 1:
        lines.append("     " + ", ".join(purpose_text(usage) for usage in spent.llm_purposes))
    if credit.fallbacks:
        lines.append("     fell back: " + ", ".join(f"{count} {kind}" for kind, count in credit.reasons))
    for source in credit.sources:
        if source.trials and source.source is not Source.DEFAULT:
            lines.append(f"     {_source_line(source, spent)}")
    if credit.versus_sampler:
        lines.append(f"     {sampler_comparison_line(credit.versus_sampler)}")
    return [*lines, f"     {worth_text(credit)}"]


def purpose_text(usage: PurposeUsage) -> str:
    """Return what the LLM was used for, as `propose $0.12 (12 calls, 34,000 tokens)`."""
    price = f"${usage.usd:.2f} " if usage.usd else ""
    return f"{usage.purpose} {price}({count(usage.calls, 'call')}, {usage.tokens:,} tokens)"


def sampler_comparison_line(comparison: SamplerComparison) -> str:
    """Return the comparison with the sampler as a sentence."""
    gained, expected = short_number(comparison.gained), short_number(comparison.expected)
    trials = f"{comparison.trials} trial{'s' if comparison.trials > 1 else ''}"
    return f"in {trials} the LLM gained {gained}; the sampler expected {expected} from its own suggestions"


def worth_text(credit: CreditReport) -> str:
    """Return in a sentence or two what the LLM brought; "" for a study without one."""
    if not credit.has_llm:
        return ""
    own = next((source for source in credit.sources if source.source is Source.LLM), None)
    if own is None or not own.trials:
        return _nothing_text(credit)
    trials = f"its {own.trials} of {count(sum(source.trials for source in credit.sources), 'trial')}"
    if not own.improvements:
        return f"The LLM was worth nothing here: {trials} brought no new best value."
    share = own.gain / sum(source.gain for source in credit.sources)
    found = f"{own.improvements} of the {sum(source.improvements for source in credit.sources)} new best values"
    return f"The LLM was worth {share:.0%} of the gain: {found} came from {trials}."


def missed_turns_text(credit: CreditReport) -> str:
    """Return how often others proposed in the LLM's turns, or at random in the sampler's; "" if that was rare."""
    if not credit.falls_back_often:
        return ""
    if credit.has_llm and _all_late(credit):
        return f"The LLM was late in {credit.fallbacks} of its {credit.turns} turns; the sampler proposed those trials"
    reasons = ", ".join(f"{number} {kind}" for kind, number in credit.reasons)
    who = "The sampler replaced the LLM" if credit.has_llm else "Random proposals replaced the sampler's"
    return f"{who} in {credit.fallbacks} of {credit.turns} turns ({reasons})"


def _nothing_text(credit: CreditReport) -> str:
    if credit.fallbacks and credit.fallbacks == credit.turns and _all_late(credit):
        return "The LLM changed nothing: no answer came in time. It needs longer trials, or a faster model."
    return "The LLM changed nothing: none of its candidates ran."


def _all_late(credit: CreditReport) -> bool:
    return [kind for kind, _ in credit.reasons] == [LATE]


def _reason_kind(reason: str) -> str:
    # These reasons contain the model's name, which may contain colons.
    return "no answer" if reason.startswith("the model ") else reason.partition(":")[0]


def _versus_sampler(
    trials: Sequence[Trial], objective: Objective, gains: Mapping[int, float]
) -> SamplerComparison | None:
    gained = expected = 0.0
    count, best = 0, None
    for trial in trials:
        prediction = trial.proposal.rival
        if prediction is not None and best is not None and trial.state.is_finished:
            count += 1
            gained += gains.get(trial.number, 0.0)
            expected += expected_gain(prediction.mean, prediction.std, best, sign=objective.sign)
        if trial.number in gains:
            best = trial.values[objective.metric]
    return SamplerComparison(trials=count, gained=gained, expected=expected) if count else None


def _source_line(source: SourceCredit, spent: Spent) -> str:
    parts = [f"{source.source.value}: {source.trials} trials, {source.improvements} improvements"]
    parts.append(f"gain {short_number(source.gain)}")
    if source.failed:
        parts.append(f"{source.failed} failed")
    if source.gpu_hours:
        parts.append(f"{short_number(source.gain / source.gpu_hours)} per GPU-hour")
    if source.source is Source.LLM and spent.llm_usd:
        parts.append(f"{short_number(source.gain / spent.llm_usd)} per dollar")
    return ", ".join(parts)


def _source_credit(source: Source, trials: Sequence[Trial], gains: Mapping[int, float]) -> SourceCredit:
    own = [t for t in trials if t.proposal.source is source and t.state.is_finished]
    return SourceCredit(
        source=source,
        trials=len(own),
        improvements=sum(gains.get(t.number, 0.0) > 0.0 for t in own),
        gain=sum(gains.get(t.number, 0.0) for t in own),
        failed=sum(t.failure is not None for t in own),
        gpu_hours=sum(t.outcome.usage.gpu_s for t in own if t.outcome) / 3600,
    )
