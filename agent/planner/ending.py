"""Near the end of a study's budget the sampler's turn repeats leaders that noise hides, in place of a new point.

A repeat on another seed tells which of the best configurations is really the best; it pays where their distance is
within the noise of a run and nothing confirms the choice afterwards. Pure functions of the view.
"""

from __future__ import annotations

import math

from tunesmith.agent.planner.repeats import may_repeat
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import StudyView
from tunesmith.study.trials.winner import leaderboard, winner

LAST_FRACTION, MIN_LAST = 0.1, 2
"""Part of the budget that is its end, and the number of trials that it has at least."""

MIN_TRIALS = 10
"""Number of trials before which no end begins: leaders are not known yet."""

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


def _runs(trial: Trial, view: StudyView) -> int:
    return sum(trial.number in (t.number, t.proposal.replicate_of) for t in view.trials)
