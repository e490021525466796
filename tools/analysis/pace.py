"""How long a trial takes, and how much time a run has left. Pure functions; the time is an argument."""

from __future__ import annotations

from tunesmith.study.config.budget import Budget, Spent
from tunesmith.study.trials.view import StudyView


def mean_trial_seconds(view: StudyView) -> float | None:
    """Return the mean duration of the trials that gave a value; None while none did."""
    took = [t.outcome.usage.wall_s for t in view.finished if t.outcome and t.values]
    return sum(took) / len(took) if took else None


def seconds_left(budget: Budget, spent: Spent, view: StudyView, *, at_once: int, now: float) -> float | None:
    """Return the seconds until the first limit is reached, as far as it can be estimated, else None.

    Args:
        budget: the limits, with `until` in seconds since the epoch.
        spent: what is used so far.
        view: the trials so far, for the duration of one.
        at_once: number of trials that run at the same time.
        now: the time in seconds since the epoch.
    """
    deadline = budget.deadline(spent, now)
    found = [deadline.seconds_left] if deadline else []
    each = mean_trial_seconds(view)
    if budget.trials is not None and each is not None:
        found.append(max(budget.trials - spent.full_runs, 0) * each / at_once)
    return min(found, default=None)
