"""Asks for lessons every few finished trials. Decides nothing about trials."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from tunesmith.agent.llm.background import BackgroundRunner
from tunesmith.agent.llm.planner import Batch
from tunesmith.study.config.record import Lesson
from tunesmith.study.trials.view import StudyView

LESSON_INTERVAL = 10
"""Number of finished trials between two questions for lessons."""

LessonAnswer = tuple[tuple[Lesson, ...], Batch]
"""Lessons, and the log of the calls that brought them."""


class LessonQuestions:
    """The questions for lessons of one run.

    Args:
        ask: asks about a view; never raises.
        runner: runs questions in the background; None to wait for each answer.
    """

    def __init__(self, ask: Callable[[StudyView], LessonAnswer], runner: BackgroundRunner | None) -> None:
        self._ask = ask
        self._runner = runner
        self._asked_at = -1
        self.pending: Future[LessonAnswer] | None = None

    def is_due(self, view: StudyView) -> bool:
        """Return whether to ask now; trials of earlier runs do not count."""
        finished = sum(t.state.is_finished for t in view.trials)
        if self._asked_at < 0:
            self._asked_at = finished
        return self.pending is None and finished - self._asked_at >= LESSON_INTERVAL

    def start(self, view: StudyView) -> None:
        """Ask about a view."""
        self._asked_at = sum(t.state.is_finished for t in view.trials)
        if self._runner is not None:
            self.pending = self._runner.submit(self._ask, view)
            return
        self.pending = Future()
        self.pending.set_result(self._ask(view))

    def collect(self) -> LessonAnswer | None:
        """Return an answer that has come; None without one."""
        if self.pending is None or not self.pending.done():
            return None
        asked, self.pending = self.pending, None
        return asked.result()
