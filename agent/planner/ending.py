"""Near the end of a study's budget the sampler no longer explores: it repeats leaders that noise hides, or refines.

A repeat on another seed tells which of the best configurations is really the best; it pays where their distance is
within the noise of a run and nothing confirms the choice afterwards. Otherwise the last trials go to the neighbourhood
of the best. Pure functions of the view.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from tunesmith.agent.llm.candidates import Candidate, Interval
from tunesmith.agent.planner.box_search import fill_free
from tunesmith.agent.planner.judging.scorer import Scorer
from tunesmith.agent.planner.repeats import may_repeat
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import Bool, Choice, Parameter
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import StudyView
from tunesmith.study.trials.winner import incumbent, leaderboard, winner

LAST_FRACTION, MIN_LAST = 0.1, 2
"""Part of the budget that is its end, and the number of trials that it has at least."""

MIN_TRIALS = 10
"""Number of trials before which no end begins: there is nothing to refine yet."""

HALF_WIDTH = 0.05
"""Half width of the neighbourhood that is refined, as a part of each range."""

_LEADERS = 4
"""Number of leading configurations that may be repeated."""


def is_ending(view: StudyView) -> bool:
    """Return whether the trials left are the end of a budget; never without a limit."""
    done = len(view.finished)
    last = max(MIN_LAST, LAST_FRACTION * (done + view.runs_left)) if math.isfinite(view.runs_left) else 0.0
    return done >= MIN_TRIALS and len(view.objectives) == 1 and view.runs_left <= last


def due_repeat(view: StudyView) -> Trial | None:
    """Return the leader to run again: of those within the noise of the best, the one that ran least; None without."""
    found = winner(view.trials, view)
    if found is None or not found.noise or found.is_confirmed:
        return None
    objective = view.objectives[0]
    near = [
        t
        for t in leaderboard(view.trials, view)[:_LEADERS]
        if objective.sign * (t.values[objective.metric] - found.expected) <= found.noise and may_repeat(view, t.number)
    ]
    return min(near, key=lambda t: _runs(t, view)) if len(near) > 1 else None


def refined(view: StudyView, scorer: Scorer) -> Mapping[str, Value] | None:
    """Return the point near the best trial that the sampler's model thinks best; None without one that is new."""
    best = incumbent(view.trials, view)
    if best is None:
        return None
    numbers = {n: v for n, v in best.params.items() if not isinstance(view.space.parameters[n], Choice | Bool)}
    free = {n: _around(view.space.parameters[n], value) for n, value in numbers.items()}
    return fill_free(view, Candidate(params=best.params, free=free), scorer) if free else None


def _around(parameter: Parameter, value: Value) -> Interval:
    unit = parameter.to_unit(value)  # type: ignore[arg-type]  # each kind takes its own type
    ends = [parameter.from_unit(min(max(unit + d, 0.0), 1.0)) for d in (-HALF_WIDTH, HALF_WIDTH)]
    low, high = sorted(float(end) for end in ends)  # type: ignore[arg-type]
    return Interval(low, high)


def _runs(trial: Trial, view: StudyView) -> int:
    return sum(trial.number in (t.number, t.proposal.replicate_of) for t in view.trials)
