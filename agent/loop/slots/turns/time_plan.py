"""How long a trial is planned to take, from those that ended and from how long choosing takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import median

from tunesmith.agent.loop.limits.budget_ledger import BudgetLedger
from tunesmith.study.trials.trial import Trial, TrialState

DURATION_QUANTILE = 0.9
"""Quantile of the complete trials' durations that a new trial is planned to take."""
PROPOSAL_TIME_DECAY = 0.95
"""Decay of the proposal-time estimate per proposal; the first proposal of a kind takes longest."""
START_OVERHEAD_S = 0.3
"""Seconds to start and record a trial, on top of its duration."""


class TimePlan:
    """The planned duration of a trial.

    Args:
        ledger: the limits of time, and the clocks.
        trials: returns every trial of the study.

    Attributes:
        proposal_s: seconds that choosing a trial takes.
    """

    def __init__(self, ledger: BudgetLedger, trials: Callable[[], Sequence[Trial]]) -> None:
        self._ledger, self._trials = ledger, trials
        self.proposal_s = 0.0

    def add_proposal(self, seconds: float) -> None:
        """Take over how long choosing a trial took."""
        self.proposal_s = max(seconds, PROPOSAL_TIME_DECAY * self.proposal_s)

    def planned_s(self) -> float | None:
        """Return how long another trial is planned to take, in seconds; None while that is unknown or not needed.

        A quantile above the median: by the median, half of the last trials would not end in time.
        """
        durations_s = sorted(self._durations_s())
        if not durations_s:
            return None
        slow_s = durations_s[math.ceil(DURATION_QUANTILE * len(durations_s)) - 1]
        return slow_s + START_OVERHEAD_S + self.proposal_s

    def typical_s(self) -> float | None:
        """Return the median duration of the complete trials, in seconds; None while that is unknown or not needed."""
        durations_s = self._durations_s()
        return median(durations_s) if durations_s else None

    def is_overdue(self, trial: Trial) -> bool:
        """Return whether a running trial exceeds its planned time, so that it may hang."""
        planned_s = self.planned_s()
        if planned_s is None or trial.started_at is None:
            return False
        return self._ledger.clocks.wall() - trial.started_at > planned_s

    def _durations_s(self) -> list[float]:
        """Return the duration of each complete trial, in seconds; nothing if time has no limit."""
        if self._ledger.deadline() is None:
            return []
        trials = self._trials()
        return [t.outcome.usage.wall_s for t in trials if t.outcome and t.counts and t.state is TrialState.COMPLETE]
