"""Keeps count of what a study has used of its budget and what is left: trials, time, GPUs, energy and the LLM.

The amounts of earlier runs come from the history when a run opens; the ledger adds what this run uses.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from tunesmith.agent.loop.limits.clocks import Clocks
from tunesmith.study.config.budget import Budget, Deadline, Spent
from tunesmith.study.formatting import render_short
from tunesmith.study.trials.replicates.configurations import is_instance_run
from tunesmith.study.trials.trial import Trial, Usage
from tunesmith.study.units import JOULES_PER_KWH, short_seconds


class BudgetLedger:
    """What one study has used and may still use.

    Args:
        budget: the limits, with `until` as a moment.
        before: what earlier runs of the study used.
        clocks: the sources of time.
        opened_at: when this run opened, by the steady clock.

    Attributes:
        budget: the limits; commands may replace them while the study runs.
        before: as above.
        clocks: as above.
        llm_spent: returns what the LLM has used in all runs; None without an LLM.
        numbered: how many trials have a number, including those of earlier runs and excluding replicates.
        numbered_runs: how many runs on instances have a number, those of replicates included, those that confirm not.
        saved: by how many full runs the trials took less than `numbered` full runs.
        uncounted: number of trials that stopped counting since the run opened; below 0 when more count again.
    """

    def __init__(self, budget: Budget, before: Spent, *, clocks: Clocks, opened_at: float) -> None:
        self.budget = budget
        self.before = before
        self.clocks = clocks
        self.llm_spent: Callable[[], Spent] | None = None
        self.numbered, self.saved = before.trials, before.saved
        self.numbered_runs = self._ended_runs = before.runs
        self.uncounted = 0
        self._ended = before.trials
        self._gpu_s, self._kwh = before.gpu_hours * 3600, before.kwh
        self._opened_at = opened_at

    def add_numbered(self, *trials: Trial) -> None:
        """Count trials that got a number."""
        self.numbered += sum(not trial.is_replicate for trial in trials)
        self.numbered_runs += sum(is_instance_run(trial) for trial in trials)

    def add_ended(self, trial: Trial) -> None:
        """Count a trial that will not run again."""
        self._ended += not trial.is_replicate
        self._ended_runs += is_instance_run(trial)

    def add_usage(self, usage: Usage) -> None:
        """Count what a command used, whether or not its trial has a result."""
        self._gpu_s += usage.gpu_s
        self._kwh += (usage.energy_j or 0.0) / JOULES_PER_KWH

    # -- used ---------------------------------------------------------------------------------------------------

    def spent(self) -> Spent:
        """Return what the study has used, earlier runs included."""
        llm = self.llm_spent() if self.llm_spent is not None else self.before
        return replace(
            self.before,
            llm_usd=llm.llm_usd,
            llm_tokens=llm.llm_tokens,
            llm_calls=llm.llm_calls,
            trials=self._ended - self.uncounted,
            runs=self._ended_runs,
            saved=self.saved,
            hours=self.before.hours + self._open_s / 3600,
            gpu_hours=self._gpu_s / 3600,
            kwh=self._kwh,
        )

    @property
    def cost_exponent(self) -> float:
        """Weight of a trial's duration in the acquisition, from 0 to 1."""
        return self.budget.cost_exponent(self.spent())

    @property
    def _open_s(self) -> float:
        return self.clocks.steady() - self._opened_at

    # -- left ---------------------------------------------------------------------------------------------------

    def reached(self) -> str | None:
        """Return the name of a limit that is reached; None while there is none."""
        return self.budget.ended_by(self.spent(), self.clocks.wall())

    def trials_left(self) -> float:
        """Return how many more trials the budget allows, in full runs. Running trials count as full runs."""
        left = (
            math.inf
            if self.budget.trials is None
            else self.budget.trials - (self.numbered - self.uncounted - self.saved)
        )
        return min(left, self.instance_runs_left())

    def instance_runs_left(self) -> float:
        """Return how many more runs on instances the budget allows; inf without that limit."""
        return math.inf if self.budget.runs is None else self.budget.runs - self.numbered_runs

    def runs_left(self, typical_s: float | None, slots: int) -> float:
        """Return how many more full runs the budget allows when one takes `typical_s` seconds; None for unknown."""
        deadline = self.deadline()
        in_time = deadline.seconds_left / typical_s * slots if deadline and typical_s else math.inf
        return min(self.trials_left(), in_time)

    def deadline(self) -> Deadline | None:
        """Return the limit of time that is reached first; None without one."""
        return self.budget.deadline(self.spent(), self.clocks.wall())

    @property
    def is_late(self) -> bool:
        """Whether no time is left."""
        deadline = self.deadline()
        return deadline is not None and deadline.seconds_left == 0.0

    def too_late_for(self, needed_s: float, *, reserved_s: float, max_reserved: float) -> str:
        """Return the limit of time before which work of `needed_s` seconds cannot end; "" if it can.

        Args:
            needed_s: duration of the work, in seconds.
            reserved_s: seconds reserved for what follows it.
            max_reserved: largest share of the whole run that may be reserved, from 0 to 1.
        """
        deadline = self.deadline()
        if deadline is None:
            return ""
        limit_s = max_reserved * (self._open_s + deadline.seconds_left)
        return deadline.name if deadline.seconds_left < needed_s + min(reserved_s, limit_s) else ""

    def left_in_words(self) -> str:
        """Return what is left of the budget as text for the LLM."""
        spent = self.spent()
        shares = [*self.budget.limit_usage(spent), *self.budget.llm_limit_usage(spent)]
        parts = [
            f"{share.name} {render_short(share.limit - share.used)} of {render_short(share.limit)}" for share in shares
        ]
        if self.budget.until is not None:
            parts.append(f"{short_seconds(max(self.budget.until - self.clocks.wall(), 0.0))} until the end")
        return ", ".join(parts)
