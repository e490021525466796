"""Estimates what the LLM will cost in a study, as a range: results decide how often it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith.agent.llm.candidate_pool import STALE_AFTER_TRIALS
from tunesmith.agent.llm.client.prices import Price
from tunesmith.agent.llm.client.types import TokenUse
from tunesmith.agent.llm.planner import CANDIDATES_PER_QUESTION, FIRST_CANDIDATES
from tunesmith.agent.llm.questions.lessons import LESSON_INTERVAL
from tunesmith.agent.planner.judging.source_credit import MIN_LLM_FRACTION
from tunesmith.agent.planner.study_brief import make_study_brief
from tunesmith.prompts.history_summary import estimate_tokens
from tunesmith.prompts.message import Message
from tunesmith.prompts.planner_prompts import MAX_TOKENS, starting_messages
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.units import short_number

ANSWER_TOKENS = 150
"""Approximate tokens of a candidate with its reason; a reasoning model uses several times as many."""
_TRIAL_TOKENS = 40
"""Approximate tokens that a trial adds to the prompt."""
_MAX_HISTORY_TOKENS = 2500
"""Approximate tokens of trials and results in a long prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateRange:
    """From `low`, if the LLM gets few trials, to `high`, if it gets most of them."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LLMEstimate:
    """Calls, tokens and dollars that the LLM takes for `trials` trials; dollars are None if the price is unknown."""

    trials: int
    calls: EstimateRange
    tokens: EstimateRange
    usd: EstimateRange | None


def llm_estimate_text(spec: StudySpec, project: Path, trials: int) -> str:
    """Return what the LLM is expected to cost for further trials, as part of a sentence.

    Raises:
        SpecError: the user's price list cannot be read.
    """
    from tunesmith.agent.llm.client.prices import find_price, read_own_prices

    opening = starting_messages(make_study_brief(spec, project, ()), count=FIRST_CANDIDATES)
    price = find_price(spec.planner.model or "", read_own_prices(), base_url=spec.planner.base_url)
    return render_estimate(estimate_llm(opening, trials, price))


def estimate_llm(opening: Sequence[Message], trials: int, price: Price | None) -> LLMEstimate:
    """Return the estimate for further trials.

    Args:
        opening: the prompt for starting points; later prompts are longer, up to the limit on a prompt's size.
        trials: the number of further trials.
        price: the price of the model; None if it is unknown.
    """
    first_prompt = sum(estimate_tokens(message.text) for message in opening)
    lessons = trials // LESSON_INTERVAL
    # A model with few trials is only asked when its candidates are stale, one with most trials after each result.
    calls_low = 1 + lessons + max(trials // STALE_AFTER_TRIALS - 1, 0)
    calls_high = 1 + lessons + trials
    prompt_low = first_prompt + trials * MIN_LLM_FRACTION * _TRIAL_TOKENS
    prompt_high = min(MAX_TOKENS, first_prompt + _MAX_HISTORY_TOKENS)
    low = _use(calls_low, prompt_low, CANDIDATES_PER_QUESTION * ANSWER_TOKENS)
    high = _use(calls_high, prompt_high, FIRST_CANDIDATES * ANSWER_TOKENS)
    usd = None
    if price is not None:
        usd_low, usd_high = price.cost_usd(low, requests=calls_low), price.cost_usd(high, requests=calls_high)
        usd = EstimateRange(low=usd_low or 0.0, high=usd_high or 0.0)
    return LLMEstimate(
        trials=trials,
        calls=EstimateRange(low=calls_low, high=calls_high),
        tokens=EstimateRange(low=_total(low), high=_total(high)),
        usd=usd,
    )


def render_estimate(estimate: LLMEstimate) -> str:
    """Return the estimate as part of a sentence."""
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
