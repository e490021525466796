"""Keeps the LLM's candidates for the next trials: asks ahead of time, within the budget, and pauses after failures.

Decides nothing about trials. With a background runner a slow model blocks no slot. Without one (`runner=None`) each
question is answered before the call returns, which is what the Python API and the benchmarks need.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, replace
from typing import Any, Protocol

from tunesmith.agent.llm.call_log import LoggedCall
from tunesmith.agent.llm.candidates import Candidate, revalidate
from tunesmith.agent.llm.planner import CANDIDATES_PER_QUESTION, FIRST_CANDIDATES, Batch, BatchFailure, LLMPlanner
from tunesmith.prompts.history_summary import estimate_tokens
from tunesmith.prompts.planner_prompts import PromptContext
from tunesmith.study.config.budget import Budget, Spent
from tunesmith.study.config.record import Lesson
from tunesmith.study.errors import SpaceExhausted
from tunesmith.study.formatting import one_line
from tunesmith.study.trials.view import StudyView
from tunesmith.study.units import short_number

STALE_AFTER_TRIALS = 10
"""Candidates are replaced by new ones after this number of further trials."""

ANSWER_WAIT_S = 1.0
"""Time that a slot waits for an answer that is on its way, in seconds; after that the sampler fills the slot."""

LESSON_INTERVAL = 10
"""Number of finished trials between two questions for lessons."""

_MAX_PAUSE_TRIALS = 16
_BUDGET_WARNINGS = (0.8, 1.0)
_FAILURES_BEFORE_NOTE = 3


class BackgroundRunner(Protocol):
    """Runs functions in the background."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Start the function; return the future of its result."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Candidates for one trial, or the reason why there are none.

    Attributes:
        reason: why there are no candidates; "" when there are some.
    """

    candidates: tuple[Candidate, ...]
    reason: str = ""


class CandidatePool:
    """Candidates, lessons and the LLM budget of one study.

    Args:
        planner: asks the model.
        context: builds the facts for a prompt from a view; takes up to a second, so it runs in the background as well.
        budget: limits; only the three limits on the LLM are used here.
        spent: usage of earlier runs of the study.
        runner: runs questions in the background; None to wait for each answer.
        count: candidates per question.
        clock: monotonic seconds, for pauses.
    """

    def __init__(
        self,
        planner: LLMPlanner,
        *,
        context: Callable[[StudyView], PromptContext],
        budget: Budget | None = None,
        spent: Spent | None = None,
        runner: BackgroundRunner | None = None,
        count: int = CANDIDATES_PER_QUESTION,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._planner = planner
        self._context = context
        self._budget = budget or Budget()
        self._spent = spent or Spent()
        self._runner = runner
        self._count = count
        self._clock = clock
        self._candidates: list[Candidate] = []
        self._trials_seen = 0
        self._pending_candidates: Future[Batch] | None = None
        self._pending_lessons: Future[tuple[tuple[Lesson, ...], Batch]] | None = None
        self._new_lessons: tuple[Lesson, ...] | None = None
        self._lessons_asked_at = -1
        self._calls: list[LoggedCall] = []
        self._notes: list[str] = []
        self._failures_in_a_row = 0
        self._paused_until_trial = 0
        self._paused_until_s = 0.0
        self._disabled_reason = ""
        self._failure_is_noted = False
        self._last_failure = ""
        self._unknown_price_is_noted = False
        self._warned_at = self._passed_warning()

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._planner.name

    @property
    def spent(self) -> Spent:
        """Usage including earlier runs; only its three LLM fields are updated here."""
        return self._spent

    @property
    def used(self) -> float:
        """Used fraction of the tightest LLM limit; 0 without a limit."""
        return max((share.fraction for share in self._budget.llm_limit_usage(self._spent)), default=0.0)

    def offer(self, view: StudyView) -> Offer:
        """Return the candidates that are still new, given the present trials."""
        self.prepare(view)
        if not self._candidates and self._pending_candidates is not None:
            wait_for([self._pending_candidates], timeout=ANSWER_WAIT_S)
            self._collect(view)
        self._candidates = list(revalidate(self._candidates, view))
        if not self._candidates and self._runner is None:
            self.prepare(view)
        if self._candidates:
            return Offer(tuple(self._candidates))
        return Offer((), self._reason_for_none(view))

    def mark_used(self, candidate: Candidate) -> None:
        """Remove a candidate that runs as a trial."""
        self._candidates = [c for c in self._candidates if c is not candidate]

    def discard(self) -> None:
        """Remove all candidates, because none is worth a trial now; the next `prepare` asks for others."""
        self._candidates = []

    def prepare(self, view: StudyView) -> None:
        """Ask for candidates when few are left and asking is allowed. Returns at once with a background runner."""
        self._collect(view)
        self._ask_for_lessons_when_due(view)
        if self._pending_candidates is not None or not self._needs_more(view) or self._pause_reason(view):
            return
        if self._runner is None:
            self._accept(self._ask(view), view)
        else:
            self._pending_candidates = self._runner.submit(self._ask, view)

    def finish(self, view: StudyView) -> None:
        """Wait up to ANSWER_WAIT_S for open questions, so that their cost is recorded; later answers are lost."""
        futures: tuple[Future[Any] | None, ...] = (self._pending_candidates, self._pending_lessons)
        wait_for([future for future in futures if future is not None], timeout=ANSWER_WAIT_S)
        self._collect(view)

    def drain_lessons(self) -> tuple[Lesson, ...] | None:
        """Return lessons that are new since the last call of this method; None without new ones."""
        lessons, self._new_lessons = self._new_lessons, None
        return lessons

    def drain_calls(self) -> list[LoggedCall]:
        """Return model calls that ended since the last call of this method, for the history."""
        calls, self._calls = self._calls, []
        return calls

    def drain_notes(self) -> list[str]:
        """Return messages for the user since the last call of this method."""
        notes, self._notes = self._notes, []
        return notes

    def charge(self, calls: Sequence[LoggedCall]) -> None:
        """Log calls and count them against the budget; calls made elsewhere for this study are passed in here."""
        self._calls += calls
        for logged in calls:
            self._add_usage(logged)
            self._notes += logged.call.notes

    def unavailable_reason(self) -> str:
        """Return why the model must not be asked anything now; "" when it may be asked."""
        if self._disabled_reason:
            return self._disabled_reason
        if self.used >= 1.0:
            return "the LLM's budget is spent"
        return self._last_failure if self._clock() < self._paused_until_s else ""

    def update_study(self, planner: LLMPlanner, budget: Budget) -> None:
        """Continue with a changed study; candidates for the old one are removed."""
        self._planner = planner
        self._budget = budget
        self._candidates = []
        self._warned_at = self._passed_warning()

    # -- asking -------------------------------------------------------------------------------------------------

    def _ask(self, view: StudyView) -> Batch:
        """Ask for candidates. Any exception becomes a failed batch: neither an LLM nor a bug here ends a study."""
        try:
            context = self._context(view)
            if any(t.state.is_finished for t in view.trials):
                return self._planner.candidates(context, count=self._count)
            count = max(FIRST_CANDIDATES, self._count) if self._count > 1 else 1
            return self._planner.starting_points(view, count=count, sampler=context.sampler)
        except Exception as error:  # noqa: BLE001  # see above
            return _failed_batch(error, view)

    def _needs_more(self, view: StudyView) -> bool:
        is_stale = len(view.trials) - self._trials_seen > STALE_AFTER_TRIALS
        is_low = len(self._candidates) < 2 and self._runner is not None  # noqa: PLR2004  # one in reserve
        return not self._candidates or is_stale or is_low

    def _collect(self, view: StudyView) -> None:
        if self._pending_candidates is not None and self._pending_candidates.done():
            pending, self._pending_candidates = self._pending_candidates, None
            self._accept(pending.result(), view)
        if self._pending_lessons is not None and self._pending_lessons.done():
            asked, self._pending_lessons = self._pending_lessons, None
            self._accept_lessons(*asked.result())

    def _ask_for_lessons_when_due(self, view: StudyView) -> None:
        """Ask for lessons every LESSON_INTERVAL finished trials; trials of earlier runs do not count."""
        finished = sum(t.state.is_finished for t in view.trials)
        if self._lessons_asked_at < 0:
            self._lessons_asked_at = finished
        is_due = finished - self._lessons_asked_at >= LESSON_INTERVAL
        if self._pending_lessons is None and is_due and not self._pause_reason(view):
            self._lessons_asked_at = finished
            if self._runner is None:
                self._accept_lessons(*self._ask_for_lessons(view))
            else:
                self._pending_lessons = self._runner.submit(self._ask_for_lessons, view)

    def _ask_for_lessons(self, view: StudyView) -> tuple[tuple[Lesson, ...], Batch]:
        try:
            return self._planner.lessons(self._context(view))
        except Exception as error:  # noqa: BLE001  # as in _ask
            return (), _failed_batch(error, view)

    def _accept_lessons(self, lessons: tuple[Lesson, ...], batch: Batch) -> None:
        self.charge(batch.calls)
        if lessons:
            self._new_lessons = lessons
            self._planner.use_lessons(lessons)

    def _accept(self, batch: Batch, view: StudyView) -> None:
        self.charge(batch.calls)
        if batch.failure is not None:
            self._pause(batch, view)
            return
        self._candidates, self._trials_seen = list(batch.candidates), batch.trials_seen
        if self._failure_is_noted:
            self._notes.append(f"the LLM {self.name} answers again")
        self._failures_in_a_row, self._failure_is_noted = 0, False

    def _pause(self, batch: Batch, view: StudyView) -> None:
        """Pause questions: for 1, 2, 4, ... trials after each failure in a row, for good after a permanent one."""
        self._failures_in_a_row += 1
        self._paused_until_trial = view.number + min(2 ** (self._failures_in_a_row - 1), _MAX_PAUSE_TRIALS)
        self._paused_until_s = self._clock() + (batch.retry_after_s or 0.0)
        self._disabled_reason = batch.reason if batch.permanent else ""
        is_serious = batch.failure is BatchFailure.DOWN or self._failures_in_a_row >= _FAILURES_BEFORE_NOTE
        if is_serious and not self._failure_is_noted:
            retry = "" if batch.permanent else "; it will be asked again later"
            self._notes.append(f"{batch.reason}; only the sampler proposes now{retry}")
            self._failure_is_noted = True
        self._last_failure = batch.reason

    # -- reasons ------------------------------------------------------------------------------------------------

    def _pause_reason(self, view: StudyView) -> str:
        return self.unavailable_reason() or (self._last_failure if view.number < self._paused_until_trial else "")

    def _reason_for_none(self, view: StudyView) -> str:
        if self._pending_candidates is not None:
            return "late: the LLM had not answered yet"
        return self._pause_reason(view) or self._last_failure or "the LLM had nothing new"

    # -- budget -------------------------------------------------------------------------------------------------

    def _add_usage(self, logged: LoggedCall) -> None:
        """Add one call to the usage. When the server reports no tokens, they are estimated from the texts."""
        usage = logged.call.usage
        if usage.input is not None and usage.output is not None:
            tokens = usage.input + usage.output
        elif logged.call.requests:
            tokens = sum(estimate_tokens(m.text) for m in logged.messages) + estimate_tokens(logged.answer)
        else:
            tokens = 0
        self._spent = replace(
            self._spent,
            llm_calls=self._spent.llm_calls + 1,
            llm_tokens=self._spent.llm_tokens + tokens,
            llm_usd=self._spent.llm_usd + (logged.call.cost_usd or 0.0),
        )
        if logged.call.requests and logged.call.cost_usd is None:
            self._warn_of_unknown_price()
        self._warn_of_budget()

    def _warn_of_unknown_price(self) -> None:
        if self._budget.llm_usd is not None and not self._unknown_price_is_noted:
            self._unknown_price_is_noted = True
            problem = f"the price of {self.name} is unknown, so the limit llm_usd cannot be enforced"
            self._notes.append(f"{problem}; set llm_tokens instead, or add the model to your price list")

    def _passed_warning(self) -> float:
        return max((level for level in _BUDGET_WARNINGS if self.used >= level), default=0.0)

    def _warn_of_budget(self) -> None:
        passed = self._passed_warning()
        if passed > self._warned_at:
            self._warned_at = passed
            tightest = max(self._budget.llm_limit_usage(self._spent), key=lambda share: share.fraction)
            amounts = f"{short_number(tightest.used)} of {short_number(tightest.limit)}"
            state = "is spent; only the sampler proposes now" if passed >= 1.0 else "is used to 80%"
            self._notes.append(f"the LLM's budget {state} ({tightest.name} {amounts})")


def _failed_batch(error: Exception, view: StudyView) -> Batch:
    """Return the batch for a question that raised before or while it was asked."""
    if isinstance(error, SpaceExhausted):
        reason = "every configuration was tried"
        return Batch(trials_seen=len(view.trials), failure=BatchFailure.NOTHING_NEW, reason=reason)
    reason = f"asking the LLM failed: {type(error).__name__}: {one_line(str(error), 160)}"
    return Batch(trials_seen=len(view.trials), failure=BatchFailure.UNUSABLE, reason=reason)
