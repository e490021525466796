"""What a judge says of the texts of one trial, and what all of it comes to. Pure functions; asks nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tunesmith.agent.text_judge.proof import Proof
from tunesmith.agent.text_judge.statistics.bradley_terry import Comparison, Strength, strengths
from tunesmith.study.formatting import count
from tunesmith.study.trials.observed.judged import NOISE, SCORE, STD, STRENGTH, WIN_RATE
from tunesmith.study.units import short_number

FROM_FILE = -1
"""Number of the texts of [judge].reference where trials have theirs."""
JUDGED_EVENT = "judged"
"""Kind of the event that keeps what a judge said of a trial's texts."""
MAX_UNUSABLE = 0.5
"""Largest share of questions without a usable answer with which a trial still has a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedTexts:
    """What a judge says of the texts of one trial.

    Attributes:
        number: the trial.
        outcomes: for each opponent by its number, the outcome by example: 1 for a win, 0.5 for a tie, 0 for a loss.
        scores: the judge's score by example, without pairs.
        lengths: number of characters of each scored text.
        unusable: number of questions without a usable answer.
        reasons: what the judge said of the text of an example, where that is known.
        missing: number of examples without a text, without pairs.
        by: a hash of the judge that said so; "" of one from before this was kept.
    """

    number: int
    outcomes: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    lengths: Mapping[str, int] = field(default_factory=dict)
    unusable: int = 0
    reasons: Mapping[str, str] = field(default_factory=dict)
    missing: int = 0
    by: str = ""

    def by_example(self, reference: int) -> Mapping[str, float]:
        """Return what the trial came to on each example: its score, or its outcome against the reference."""
        return self.scores or self.outcomes.get(reference, {})

    def to_detail(self) -> dict[str, Any]:
        """Return it as JSON values, for the history."""
        outcomes = {str(number): dict(found) for number, found in self.outcomes.items()}
        return {
            "number": self.number,
            "outcomes": outcomes,
            "scores": dict(self.scores),
            "lengths": dict(self.lengths),
            "unusable": self.unusable,
            "reasons": dict(self.reasons),
            "missing": self.missing,
            "by": self.by,
        }

    @classmethod
    def from_detail(cls, detail: Mapping[str, Any]) -> JudgedTexts:
        """Return what `to_detail` made these values of."""
        outcomes = {int(number): dict(found) for number, found in detail["outcomes"].items()}
        return cls(
            number=detail["number"],
            outcomes=outcomes,
            scores=detail["scores"],
            lengths=detail["lengths"],
            unusable=detail["unusable"],
            reasons=detail.get("reasons", {}),
            missing=detail.get("missing", 0),
            by=detail.get("by", ""),
        )


@dataclass(frozen=True, slots=True)
class JudgedValues:
    """The metrics of a trial, and what they mean in words."""

    values: Mapping[str, float]
    note: str


def values_of_pairs(judged: Mapping[int, JudgedTexts], reference: int, proof: Proof) -> dict[int, JudgedValues]:
    """Return the metrics of every trial that was compared, by number.

    Args:
        judged: what the judge said, by trial.
        reference: whose strength is 0.
        proof: what labels show of the judge.
    """
    pairs = [
        Comparison(number, opponent, outcome)
        for number, texts in judged.items()
        for opponent, outcomes in texts.outcomes.items()
        for outcome in outcomes.values()
    ]
    found = strengths(pairs, reference)
    made = {
        number: _pair_values(judged[number], s, reference, proof) for number, s in found.items() if number in judged
    }
    if reference in judged:
        values = {STRENGTH: 0.0, WIN_RATE: 0.5, STD: 0.0}
        made[reference] = JudgedValues(values, f"its texts are the reference; {proof.text}")
    return made


def values_of_scores(texts: JudgedTexts, proof: Proof, *, low: int) -> JudgedValues:
    """Return the metrics of a trial whose texts were scored.

    Args:
        texts: what the judge said.
        proof: what labels show of the judge.
        low: the lowest score, which an example without a text counts as.
    """
    scores = list(texts.scores.values())
    if not scores:
        values = {SCORE: float(low), STD: 0.0}
        return JudgedValues(values, f"it wrote none of the {texts.missing} texts, which counts as {low}")
    raw = math.fsum(scores) / len(scores)
    said = f"the judge's own mean of {count(len(scores), 'text')} is {short_number(raw, 3)}"
    lacking = f"; {count(texts.missing, 'example')} without a text counted as {low}" if texts.missing else ""
    part = len(scores) / (len(scores) + texts.missing)

    def whole(value: float) -> float:
        return part * value + (1.0 - part) * low

    if proof.instrument is None:
        spread = math.fsum((s - raw) ** 2 for s in scores) / max(len(scores) - 1, 1)
        std = part * math.sqrt(spread / len(scores))
        note = f"{said}, not corrected since too few texts are labelled{lacking}; {proof.text}"
        return JudgedValues({SCORE: whole(raw), STD: std, NOISE: std}, note)
    found = proof.instrument.read(scores, [texts.lengths[name] for name in texts.scores])
    ends = f"[{short_number(whole(found.low), 3)}, {short_number(whole(found.high), 3)}]"
    note = f"people would give {short_number(whole(found.value), 3)} {ends}; {said}{lacking}; {proof.text}"
    return JudgedValues({SCORE: whole(found.value), STD: part * found.std, NOISE: part * found.noise}, note)


def _pair_values(texts: JudgedTexts, strength: Strength, reference: int, proof: Proof) -> JudgedValues:
    against = list(texts.outcomes.get(reference, {}).values())
    rate = math.fsum(against) / len(against) if against else _win_rate(strength.value)
    low, high = (_win_rate(strength.value + sign * 1.96 * strength.std) for sign in (-1, 1))
    examples = max((len(found) for found in texts.outcomes.values()), default=0)
    note = (
        f"wins {100 * rate:.0f}% of {count(examples, 'example')} against the reference, ties as halves "
        f"(by all comparisons {100 * _win_rate(strength.value):.0f}% [{100 * low:.0f}, {100 * high:.0f}]); {proof.text}"
    )
    if texts.unusable:
        note += f"; {count(texts.unusable, 'question')} had no usable answer"
    values = {STRENGTH: strength.value, WIN_RATE: rate, STD: strength.std, NOISE: strength.std}
    return JudgedValues(values, note)


def _win_rate(strength: float) -> float:
    return 1.0 / (1.0 + math.exp(-strength))
