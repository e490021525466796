"""What a run has used of its study's budget, and what is left of it: trials, time, GPUs and the LLM.

Everything that stands in the history is counted from there when the run begins; from then on it is added up here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from tunesmith.agent.loop.clocks import Clocks
from tunesmith.study.config.budget import JOULES, Budget, Deadline, Spent
from tunesmith.study.trials.trial import Trial, Usage
from tunesmith.study.units import short_number, short_seconds


class BudgetLedger:
    """What one run has used and may still use.

    Args:
        budget: the limits; `until` is a moment.
        before: what earlier runs of the study used.
        clocks: what tells the time.
        opened_at: when the run began, by the steady clock.
        llm: what the LLM has used in all, None where nobody asks one.

    Attributes:
        budget: as above; it may be changed while the study runs.
        begun: how many trials have a number, those of earlier runs included; replicates are not counted.
        saved: how many full runs less than `begun` they took.
    """

    def __init__(
        self,
        budget: Budget,
        before: Spent,
        *,
        clocks: Clocks,
        opened_at: float,
        llm: Callable[[], Spent | None],
    ) -> None:
        self.budget = budget
        self.before = before
        self.begun, self.saved = before.trials, before.saved
        self._ended = before.trials
        self._gpu_s, self._kwh = before.gpu_hours * 3600, before.kwh
        self._clocks, self._opened_at = clocks, opened_at
        self._llm = llm

    def add_begun(self, *trials: Trial) -> None:
        """Count trials that got a number."""
        self.begun += sum(not trial.is_replicate for trial in trials)

    def add_ended(self, trial: Trial) -> None:
        """Count a trial that will not run again."""
        self._ended += not trial.is_replicate

    def add_usage(self, usage: Usage) -> None:
        """Count what a command used, whatever became of it."""
        self._gpu_s += usage.gpu_s
        self._kwh += (usage.energy_j or 0.0) / JOULES

    # -- what is used -------------------------------------------------------------------------------------------

    def spent(self) -> Spent:
        """Return what the study has used, earlier runs included."""
        llm = self._llm() or self.before
        return replace(
            self.before,
            llm_usd=llm.llm_usd,
            llm_tokens=llm.llm_tokens,
            llm_calls=llm.llm_calls,
            trials=self._ended,
            saved=self.saved,
            hours=self.before.hours + self._open_s / 3600,
            gpu_hours=self._gpu_s / 3600,
            kwh=self._kwh,
        )

    @property
    def thrift(self) -> float:
        """How much the seconds of a trial should weigh in, from 0 to 1."""
        return self.budget.thrift(self.spent())

    @property
    def _open_s(self) -> float:
        return self._clocks.steady() - self._opened_at

    # -- what is left -------------------------------------------------------------------------------------------

    def reached(self) -> str | None:
        """Return the name of a limit that is reached, None when there is none."""
        return self.budget.ended_by(self.spent(), self._clocks.wall())

    def trials_left(self) -> float:
        """Return how many more trials the budget allows, in full runs; running ones count as such until they end."""
        return math.inf if self.budget.trials is None else self.budget.trials - (self.begun - self.saved)

    def runs_left(self, typical_s: float | None, slots: int) -> float:
        """Return how many more full runs the budget allows in all, when one takes `typical_s` seconds."""
        deadline = self.deadline()
        in_time = deadline.seconds_left / typical_s * slots if deadline and typical_s else math.inf
        return min(self.trials_left(), in_time)

    def deadline(self) -> Deadline | None:
        """Return the limit of time that is reached first, None when none is set."""
        return self.budget.deadline(self.spent(), self._clocks.wall())

    @property
    def is_late(self) -> bool:
        """Whether no time is left at all."""
        deadline = self.deadline()
        return deadline is not None and deadline.seconds_left == 0.0

    def too_late_for(self, needed_s: float, *, kept_s: float, most: float) -> str:
        """Return the limit of time before which what takes `needed_s` cannot end any more; "" for none.

        Args:
            needed_s: seconds.
            kept_s: seconds that are kept for what comes after it.
            most: the largest share of the whole run that is kept so.
        """
        deadline = self.deadline()
        if deadline is None:
            return ""
        share_s = most * (self._open_s + deadline.seconds_left)
        return deadline.name if deadline.seconds_left < needed_s + min(kept_s, share_s) else ""

    def left_in_words(self) -> str:
        """Return what is left of the budget, for the LLM."""
        spent = self.spent()
        shares = [*self.budget.shares(spent), *self.budget.llm_shares(spent)]
        parts = [
            f"{share.name} {short_number(share.limit - share.used)} of {short_number(share.limit)}" for share in shares
        ]
        if self.budget.until is not None:
            parts.append(f"{short_seconds(max(self.budget.until - self._clocks.wall(), 0.0))} until the end")
        return ", ".join(parts)
