"""Decides whose turn it is, the LLM's or the sampler's. A pure function of the view and of what both have earned."""

from __future__ import annotations

from dataclasses import dataclass

from tunesmith.agent.planner.judging.source_credit import MAX_LLM_FRACTION, MIN_LLM_FRACTION
from tunesmith.study.trials.replicates.seeds import derived_seed
from tunesmith.study.trials.trial import Source
from tunesmith.study.trials.view import StudyView, objective_values

OPENING_TRIALS = 8
"""Number of first trials in which turns alternate or go to the LLM, unless it performs badly."""

_MIN_FRACTION_TO_ALTERNATE = 0.3
"""Fraction of trials by credit below which the LLM no longer alternates with the sampler."""

TRIALS_TO_JUDGE = 3
"""Number of its own trials before which the LLM alternates at any fraction: two trials without a gain, while the
sampler refines in small steps that all are new bests, say little of it."""

_FRACTION_TO_LEAD = 0.5
"""Fraction of trials by credit from which on the LLM gets all first trials: the sampler has no model yet."""

ODDS_KEPT = 0.6
"""Part of its odds that the LLM keeps with each of its trials since the last new best, whoever found that: a model that
worked on the same best trial several times has said what it knows, until there is another one to think about."""

ODDS_GAINED, MAX_GAIN = 1.25, 4.0
"""Factor on the LLM's odds for each trial of the sampler since the last new best, and the most that they give.

Copies of the best trial earn credit but bring nothing, and a model that misleads must not come back by a plateau.
"""

FRUITLESS = 2
"""Number of such trials of the LLM from which on even the first turns are drawn by these odds."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Whether the LLM proposes the next trial, and why."""

    is_llm: bool
    reason: str


def next_turn(view: StudyView, fraction: float) -> Turn:
    """Return whose turn it is: by lead or in alternation among the first trials, then by the LLM's fraction."""
    fruitless = fruitless_trials(view, Source.LLM)
    tried = sum(trial.proposal.source is Source.LLM for trial in view.trials)
    may_alternate = fraction >= _MIN_FRACTION_TO_ALTERNATE or tried < TRIALS_TO_JUDGE
    if view.number >= OPENING_TRIALS or not may_alternate or fruitless >= FRUITLESS:
        gained = min(ODDS_GAINED ** fruitless_trials(view, Source.SAMPLER), MAX_GAIN)
        odds = fraction / max(1.0 - fraction, 1e-9) * ODDS_KEPT**fruitless * gained
        return drawn_turn(view, min(max(odds / (1.0 + odds), min(MIN_LLM_FRACTION, fraction)), MAX_LLM_FRACTION))
    is_odd = view.number % 2 == 1
    if fraction >= _FRACTION_TO_LEAD and not is_odd:
        return Turn(True, f"the LLM leads so far ({fraction:.0%}): its turn again")
    whose = "LLM" if is_odd else "sampler"
    return Turn(is_odd, f"LLM and sampler alternate at first: the {whose}'s turn")


def drawn_turn(view: StudyView, fraction: float) -> Turn:
    """Return whose turn it is by a draw with the LLM's fraction of the trials."""
    is_llm = derived_seed(view.seed, "turn", view.number) / 2**31 < fraction
    whose = "its" if is_llm else "the sampler's"
    return Turn(is_llm, f"the LLM gets {fraction:.0%} of the trials: {whose} turn")


def fruitless_trials(view: StudyView, source: Source) -> int:
    """Return the number of a source's finished trials since the best value last improved, whoever improved it."""
    best, count = float("inf"), 0
    for trial in view.trials:
        if trial.is_replicate or not trial.state.is_finished:
            continue
        values = objective_values(trial, view.objectives)
        loss = float("inf") if values is None else view.objectives[0].sign * values[0]
        if loss < best:
            best, count = loss, 0
        elif trial.proposal.source is source:
            count += 1
    return count
