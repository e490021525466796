"""Decides when a question pays: what an answer costs in seconds and dollars, against what a trial costs.

The rule in words is in docs/llm.md. Pure functions of the trials and of the questions asked so far.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tunesmith.agent.llm.call_log import LoggedCall
from tunesmith.study.config.budget import Budget, Spent
from tunesmith.study.trials.trial import Source, Trial, TrialState
from tunesmith.study.trials.view import StudyView, objective_values
from tunesmith.study.trials.winner import winner

MAX_TIME_FRACTION = 0.5
"""Largest seconds of an answer, in trials' seconds, at which a question is cheap."""

MAX_PRICE_FRACTION = 0.2
"""Largest dollars of an answer, in trials' dollars, at which a question is cheap."""

USD_PER_GPU_HOUR, USD_PER_CPU_HOUR = 2.0, 0.05
"""What a rented GPU and a rented core cost, about, to compare a trial's price with a question's."""

IDLE_FRACTION = 0.015
"""Fraction of the training time so far that slots may have waited for answers."""

FIRST_WAIT_S = 1.0
"""Seconds that slots may wait before anything was trained."""

USUAL_ANSWER_S = 30.0
"""Seconds that an answer is expected to take before one has come."""

SURPRISE = 3.0
"""Distance from its prediction at which a value is a surprise, in predicted standard deviations."""

_LATEST = 5
"""Number of latest questions whose cost is expected of the next one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionCost:
    """Seconds and dollars of one question with its retries; dollars are None where the price is unknown."""

    seconds: float
    usd: float | None
    tokens: int


def question_cost(calls: Sequence[LoggedCall]) -> QuestionCost:
    """Return the cost of the calls that one question took."""
    prices = [call.call.cost_usd for call in calls]
    tokens = sum((call.call.usage.input or 0) + (call.call.usage.output or 0) for call in calls)
    usd = None if any(price is None for price in prices) else sum(price or 0.0 for price in prices)
    return QuestionCost(seconds=sum(call.call.wall_s for call in calls), usd=usd, tokens=tokens)


def is_cheap(view: StudyView, asked: Sequence[QuestionCost], budget: Budget, spent: Spent) -> bool:
    """Return whether one question per trial is cheap; False until one answer and one trial are known.

    Args:
        view: the study; its finished trials give the cost of a trial.
        asked: the questions so far, the latest last.
        budget: its limits on the LLM.
        spent: what the LLM used so far.
    """
    trial_s = typical_seconds(view.trials)
    if not asked or not trial_s:
        return False
    latest = asked[-_LATEST:]
    if median(cost.seconds for cost in latest) > MAX_TIME_FRACTION * trial_s:
        return False
    prices = [cost.usd for cost in latest if cost.usd is not None]
    if prices and median(prices) > MAX_PRICE_FRACTION * trial_usd(view.trials):
        return False
    return _lasts(latest, view.runs_left, budget, spent)


def seems_cheap(view: StudyView) -> bool:
    """Return whether one question per trial is probably cheap, before an answer has come; by seconds only."""
    return MAX_TIME_FRACTION * typical_seconds(view.trials) >= USUAL_ANSWER_S


def typical_seconds(trials: Sequence[Trial]) -> float:
    """Return the median seconds of a complete trial; 0 while none is known."""
    seconds = [t.outcome.usage.wall_s for t in trials if t.outcome and t.state is TrialState.COMPLETE]
    return median(seconds) if seconds else 0.0


def trial_usd(trials: Sequence[Trial]) -> float:
    """Return about what the machine costs during a complete trial, in dollars.

    A trial without a measured processor time, as in Python, counts as one core.
    """
    prices = []
    for trial in trials:
        if trial.outcome and trial.state is TrialState.COMPLETE:
            usage = trial.outcome.usage
            cpu_s = usage.cpu_s or usage.wall_s
            prices.append((usage.gpu_s * USD_PER_GPU_HOUR + cpu_s * USD_PER_CPU_HOUR) / 3600)
    return median(prices) if prices else 0.0


def waiting_allowance_s(trials: Sequence[Trial]) -> float:
    """Return the seconds that slots may wait for answers in all, by the training so far."""
    return FIRST_WAIT_S + IDLE_FRACTION * sum(t.outcome.usage.wall_s for t in trials if t.outcome)


def news(view: StudyView, *, since: int) -> bool:
    """Return whether a trial after the first `since` finished ones is a new best, a failure or a surprise."""
    finished = sorted((t for t in view.finished), key=lambda t: t.ended_at or 0.0)
    fresh = finished[since:]
    if not fresh:
        return False
    best = winner(view.trials, view)
    if best is not None and any(t.number == best.trial.number for t in fresh):
        return True
    return any(_is_surprise(trial, view) for trial in fresh)


def _is_surprise(trial: Trial, view: StudyView) -> bool:
    values, prediction = objective_values(trial, view.objectives[:1]), trial.proposal.prediction
    if values is None:
        return trial.failure is not None
    if prediction is None or trial.proposal.source is Source.LLM or not prediction.std:
        return False
    return abs(values[0] - prediction.mean) > SURPRISE * prediction.std


def _lasts(latest: Sequence[QuestionCost], runs_left: float, budget: Budget, spent: Spent) -> bool:
    """Return whether the LLM's budget pays for a question per trial to the end."""
    if math.isinf(runs_left):
        return True
    needs = {
        "llm_usd": median(cost.usd or 0.0 for cost in latest),
        "llm_tokens": median(float(cost.tokens) for cost in latest),
        "llm_calls": 1.0,
    }
    return all(share.used + needs[share.name] * runs_left <= share.limit for share in budget.llm_limit_usage(spent))
