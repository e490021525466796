"""Pauses questions after failures, and says so once: for 1, 2, 4, ... trials, for good where a person must act."""

from __future__ import annotations

from collections.abc import Callable

from tunesmith.agent.llm.planner import Batch, BatchFailure
from tunesmith.study.trials.view import StudyView

_MAX_PAUSE_TRIALS = 16
_FAILURES_BEFORE_NOTE = 3


class QuestionPauses:
    """The failures of one run's questions.

    Args:
        name: name of the model, for messages.
        clock: returns monotonic seconds.

    Attributes:
        last_failure: why the last failed question brought nothing; "" before the first.
        disabled_reason: why no question is asked any more in this run; "" while questions are.
    """

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        self._name = name
        self._clock = clock
        self._in_a_row = 0
        self._until_trial = 0
        self._until_s = 0.0
        self._is_noted = False
        self._notes: list[str] = []
        self.last_failure = ""
        self.disabled_reason = ""

    def add(self, batch: Batch, view: StudyView) -> None:
        """Take in a failed batch."""
        self._in_a_row += 1
        self._until_trial = view.number + min(2 ** (self._in_a_row - 1), _MAX_PAUSE_TRIALS)
        self._until_s = self._clock() + (batch.retry_after_s or 0.0)
        self.disabled_reason = batch.reason if batch.permanent else ""
        self.last_failure = batch.reason
        is_serious = batch.failure is BatchFailure.DOWN or self._in_a_row >= _FAILURES_BEFORE_NOTE
        if is_serious and not self._is_noted:
            retry = "" if batch.permanent else "; it will be asked again later"
            self._notes.append(f"{batch.reason}; only the sampler proposes now{retry}")
            self._is_noted = True

    def end(self) -> None:
        """Take in an answer: the model works again."""
        if self._is_noted:
            self._notes.append(f"the LLM {self._name} answers again")
        self._in_a_row, self._is_noted = 0, False

    @property
    def reason_by_time(self) -> str:
        """Why the model is not asked before some seconds have passed; "" when it may be asked."""
        return self.last_failure if self._clock() < self._until_s else ""

    def reason(self, view: StudyView) -> str:
        """Return why the model is not asked for this trial; "" when it may be asked."""
        return self.last_failure if view.number < self._until_trial else ""

    def drain_notes(self) -> list[str]:
        """Return messages for the user since the last call of this method."""
        notes, self._notes = self._notes, []
        return notes
