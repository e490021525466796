"""What the LLM's part of a study will cost, before it starts: a range, since results decide how often it is asked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.agent.llm.candidate_pool import LESSON_INTERVAL, STALE_AFTER_TRIALS
from tunesmith.agent.llm.client.prices import Price
from tunesmith.agent.llm.client.types import TokenUse
from tunesmith.agent.llm.planner import CANDIDATES_PER_QUESTION, FIRST_CANDIDATES
from tunesmith.agent.planner.source_credit import LEAST, MOST
from tunesmith.prompts.planner_prompts import MAX_TOKENS
from tunesmith.prompts.history_summary import estimate_tokens
from tunesmith.prompts.message import Message
from tunesmith.study.units import short_number

ANSWER_TOKENS = 150
"""A candidate with its reason, roughly; a model that thinks aloud takes several times as many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """From a model that proves of little use to one that leads."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What is expected of the LLM's part; dollars are None where the price is unknown."""

    trials: int
    calls: Range
    tokens: Range
    usd: Range | None


def estimate_llm(opening: Sequence[Message], trials: int, price: Price | None) -> Estimate:
    """Return what `trials` further trials will take.

    Args:
        opening: the question for starting points; what is added later grows up to the limit on a prompt's size.
        trials: how many.
        price: of the model's tokens; None when unknown.
    """
    start = sum(estimate_tokens(message.text) for message in opening)
    lessons = trials // LESSON_INTERVAL
    # Candidates that grow stale are asked for again; each turn takes one, and asks when none is left that is worth it.
    few = 1 + lessons + max(trials // STALE_AFTER_TRIALS - 1, 0)
    many = 1 + lessons + math.ceil(MOST * trials)
    calls = Range(low=few, high=many)
    small, large = start + trials * LEAST * 40, min(MAX_TOKENS, start + 2500)
    answers = FIRST_CANDIDATES * ANSWER_TOKENS, CANDIDATES_PER_QUESTION * ANSWER_TOKENS
    low = _use(few, small, answers[1])
    high = _use(many, large, answers[0])
    usd = Range(low=price.of(low) or 0.0, high=price.of(high) or 0.0) if price else None
    return Estimate(trials=trials, calls=calls, tokens=Range(low=_total(low), high=_total(high)), usd=usd)


def estimate_text(estimate: Estimate) -> str:
    """Return the estimate as a part of a sentence."""
    parts = [f"{estimate.calls.low:.0f} to {estimate.calls.high:.0f} calls"]
    parts.append(f"{_thousands(estimate.tokens.low)} to {_thousands(estimate.tokens.high)} tokens")
    if estimate.usd is None:
        parts.append("price unknown")
    elif estimate.usd.high < 0.01:  # noqa: PLR2004  # a cent
        parts.append("under $0.01")
    else:
        parts.append(f"${estimate.usd.low:.2f} to ${estimate.usd.high:.2f}")
    return f"{', '.join(parts)} for {estimate.trials} trials"


def _use(calls: int, prompt: float, answer: float) -> TokenUse:
    return TokenUse(input=round(calls * prompt), output=round(calls * answer))


def _total(use: TokenUse) -> float:
    return float((use.input or 0) + (use.output or 0))


def _thousands(tokens: float) -> str:
    return f"{tokens / 1000:,.0f}k" if tokens >= 1000 else short_number(tokens)  # noqa: PLR2004
