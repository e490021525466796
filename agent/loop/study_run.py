"""The parts of one run of a study and the state that they share. Holds them together and decides nothing."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.agent.llm.client.types import LanguageModel
from tunesmith.agent.loop.learning_curves import LearningCurves
from tunesmith.agent.loop.limits.budget_ledger import BudgetLedger
from tunesmith.agent.loop.limits.clocks import DEADLINE_EVENT, WorkClock
from tunesmith.agent.loop.notices.announcer import Announcer
from tunesmith.agent.loop.run_options import RunOptions
from tunesmith.agent.loop.slots.slot_pool import SlotPool
from tunesmith.agent.loop.slots.trial_queue import TrialQueue
from tunesmith.agent.scheduler.early_stopping import EarlyStopping
from tunesmith.evaluator.evaluator import Evaluator
from tunesmith.evaluator.executors.handle import ExecutorHandle
from tunesmith.history.write import Recorder
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.results import study_front
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.winner import Winner
from tunesmith.study.variant import Variant
from tunesmith.tools.control.earlier_commands import EarlierCommands

if TYPE_CHECKING:
    from tunesmith.agent.code_search.search import CodeSearch
    from tunesmith.agent.llm.candidate_pool import CandidatePool
    from tunesmith.agent.loop.judging.service import Judging

TICK_S = 0.05
"""Longest sleep of the loop between two polls; a trial's end wakes it at once."""


@dataclass(slots=True, kw_only=True)
class StudyRun:
    """One run of a study.

    Attributes:
        spec: the study; commands may replace it while the study runs.
        options: where and how it runs.
        folder: the study's own folder next to the history.
        root: the project's files as a version of the code.
        model: the LLM; None without one.
        candidate_pool: asks the LLM for candidates; None without an LLM.
        code: the search over edits; None without [edits].
        judging: the judge of texts; None without [judge].
        earlier_commands: the commands of earlier runs that still hold.
        work_clock: measures the hours at work; stopped while the study is paused.
        wake: set from other threads when a trial ended or an answer arrived.
        resources: closes the evaluator and the history.
        winner: the configuration that the study would choose now.
        ended: the numbers of the trials that ended in this run, in order.
        set_aside_before: number of trials that counted nowhere when the run opened.
        trials_before: number of trials when the run opened.
        pause_reason: why the run pauses because of failures; "" unless it does.
        out_of_reach: what was last said of bounds that nothing can keep; "" for nothing.
        interrupts: how often the user asked to stop: once lets running trials finish, twice stops them.
    """

    spec: StudySpec
    options: RunOptions
    folder: Path
    recorder: Recorder
    evaluator: Evaluator
    executor: ExecutorHandle
    slots: SlotPool
    ledger: BudgetLedger
    queue: TrialQueue
    early_stopping: EarlyStopping
    curves: LearningCurves
    root: Variant
    model: LanguageModel | None
    candidate_pool: CandidatePool | None
    code: CodeSearch | None
    judging: Judging | None
    announcer: Announcer
    earlier_commands: EarlierCommands
    work_clock: WorkClock
    wake: threading.Event
    resources: ExitStack
    winner: Winner | None = None
    ended: list[int] = field(default_factory=list)
    set_aside_before: int = 0
    trials_before: int = 0
    pause_reason: str = ""
    out_of_reach: str = ""
    interrupts: int = 0

    @property
    def best(self) -> Trial | None:
        """The first trial of the winner."""
        return self.winner.trial if self.winner is not None else None

    def front(self) -> tuple[Trial, ...]:
        """Return the Pareto front of several objectives; empty for one."""
        return study_front(self.trials(), self.spec) if len(self.spec.objectives) > 1 else ()

    def choose_winner(self) -> None:
        """Choose anew among the trials so far."""
        self.winner = self.recorder.history.choose(self.recorder.study_id, self.spec)

    def count_trials(self) -> None:
        """Tell the ledger how many trials count nowhere.

        With --keep-going the failures of this run count in it, so that a run whose trials all fail ends.
        """
        aside = [t for t in self.trials() if t.is_set_aside and not t.is_replicate]
        if self.options.keep_going:
            aside = [t for t in aside if t.forgotten or t.number < self.trials_before]
        self.ledger.uncounted = len(aside) - self.set_aside_before

    def now(self) -> float:
        """Return the wall-clock time, in seconds since the epoch."""
        return self.options.clocks.wall()

    def trials(self) -> Sequence[Trial]:
        """Return every trial of the study, by number."""
        return self.recorder.history.trials(self.recorder.study_id)

    def wait(self) -> None:
        """Sleep until something ended, for `TICK_S` seconds at most."""
        self.wake.wait(TICK_S)
        self.wake.clear()

    def record_deadline(self) -> None:
        """Record the moment that `until` means, so that a run started again after a kill keeps it."""
        until, moment = self.spec.budget.until, self.ledger.budget.until
        if until is not None and moment is not None:
            detail = {"until": until.isoformat(), "moment": moment}
            self.recorder.record_event(DEADLINE_EVENT, self.now(), detail=detail)
