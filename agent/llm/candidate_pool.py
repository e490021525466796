"""Keeps the LLM's candidates for the next trials: asks when a question pays, within the budget, pauses after failures.

Decides nothing about trials. With a background runner a slow model blocks no slot. Without one (`runner=None`) each
question is answered before the call returns, which is what the Python API and the benchmarks need.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, replace
from typing import Any

from tunesmith.agent.llm.background import BackgroundRunner
from tunesmith.agent.llm.call_log import LoggedCall
from tunesmith.agent.llm.candidates import Candidate, revalidate
from tunesmith.agent.llm.fate_log import FateLog
from tunesmith.agent.llm.llm_budget import LLMBudget
from tunesmith.agent.llm.planner import CANDIDATES_PER_QUESTION, Batch, BatchFailure, LLMPlanner
from tunesmith.agent.llm.questions.answer_wait import AnswerWait
from tunesmith.agent.llm.questions.lessons import LessonQuestions
from tunesmith.agent.llm.questions.pace import QuestionPace, RethinkRule
from tunesmith.agent.llm.questions.pauses import QuestionPauses
from tunesmith.agent.llm.questions.timing import waiting_allowance_s
from tunesmith.agent.llm.requests import MAX_REQUESTS, Request
from tunesmith.prompts.candidate_fates import CandidateFate
from tunesmith.prompts.planner_prompts import PromptContext
from tunesmith.study.config.budget import Budget, Spent
from tunesmith.study.config.record import Lesson
from tunesmith.study.errors import SpaceExhausted
from tunesmith.study.formatting import one_line
from tunesmith.study.space.values import config_key
from tunesmith.study.trials.trial import Source
from tunesmith.study.trials.view import StudyView

STALE_AFTER_TRIALS = 10
"""Candidates are replaced by new ones after this number of further trials."""

ANSWER_WAIT_S = 1.0
"""Time that the end of a run waits for an answer that is on its way, in seconds."""

ContextMaker = Callable[[StudyView, Sequence[CandidateFate]], PromptContext]
"""Builds the facts for a prompt from a view and the candidates that are no trials."""


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
        context: takes up to a second, so it runs in the background as well.
        budget: limits; only the three limits on the LLM are used here.
        spent: usage of earlier runs of the study.
        runner: runs questions in the background; None to wait for each answer.
        count: candidates per question.
        rethinks: when candidates that did not run are asked for again after a result.
        slots: number of trials that run at once.
        clock: monotonic seconds, for pauses and waiting.
    """

    def __init__(  # noqa: PLR0913  # each is another part of a study
        self,
        planner: LLMPlanner,
        *,
        context: ContextMaker,
        budget: Budget | None = None,
        spent: Spent | None = None,
        runner: BackgroundRunner | None = None,
        count: int = CANDIDATES_PER_QUESTION,
        rethinks: RethinkRule = "when cheap",
        slots: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._planner = planner
        self._context = context
        self._usage = LLMBudget(planner.name, budget or Budget(), spent or Spent())
        self._runner = runner
        self._pace = QuestionPace(rethinks, count=count, slots=slots, usage=self._usage)
        self._candidates: list[Candidate] = []
        self._regions: list[Candidate] = []
        self._fates = FateLog()
        self._trials_seen = 0
        self._pending: Future[Batch] | None = None
        self._wait = AnswerWait(clock)
        self._lesson_questions = LessonQuestions(self._ask_for_lessons, runner)
        self._new_lessons: tuple[Lesson, ...] | None = None
        self._requests: list[Request] = []
        self._answered: list[str] = []
        self._pauses = QuestionPauses(planner.name, clock)
        self._is_rethinking = False

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._planner.name

    @property
    def spent(self) -> Spent:
        """Usage including earlier runs; only its three LLM fields are updated here."""
        return self._usage.spent

    @property
    def used(self) -> float:
        """Used fraction of the tightest LLM limit; 0 without a limit."""
        return self._usage.used

    @property
    def share(self) -> float:
        """Fraction of the trials that the model gets now; the arbiter sets it."""
        return self._pace.share

    @share.setter
    def share(self, share: float) -> None:
        self._pace.share = share

    @property
    def asks_ahead(self) -> bool:
        """Whether questions are asked in the background, which costs the sampler's turns no time."""
        return self._runner is not None

    # -- candidates ---------------------------------------------------------------------------------------------

    def offer(self, view: StudyView) -> Offer:
        """Return the candidates that are still new, given the present trials."""
        self.prepare(view)
        self._candidates = list(revalidate(self._candidates, view, self._planner.objection))
        if not self._candidates and self._runner is None:
            self.prepare(view)
        if self._candidates:
            return Offer(tuple(self._candidates))
        return Offer((), self.reason_for_none(view))

    def mark_used(self, candidate: Candidate) -> None:
        """Remove a candidate that runs as a trial."""
        self._candidates = [c for c in self._candidates if c is not candidate]

    def refuse(self, candidate: Candidate, reason: str, view: StudyView) -> None:
        """Remove a candidate that does not run; the model learns why with the next question."""
        self.mark_used(candidate)
        self._fates.refuse(candidate, reason, after=view.number)

    def run_ahead(self, candidate: Candidate, reason: str, view: StudyView) -> None:
        """Remember why a candidate runs next before others that the model put higher."""
        self._fates.run_ahead(candidate, reason, number=view.number)

    def was_refused(self, candidate: Candidate) -> bool:
        """Return whether the model gave this configuration before and knows that it is refused."""
        return self._fates.was_refused(candidate)

    def region(self, view: StudyView) -> Candidate | None:
        """Return the region in which the model wants the sampler to work now; None without one."""
        self._regions = [r for r in self._regions if r.runs > 0 and view.space.contains(r.params)]
        return self._regions[0] if self._regions else None

    def use_region(self, region: Candidate, view: StudyView) -> None:
        """Count one trial of the sampler in a region."""
        self._regions = [replace(r, runs=r.runs - 1) if r is region else r for r in self._regions]
        if region.runs <= 1:
            self._fates.end_region(region, "all its trials ran", after=view.number)

    def second_try(self, view: StudyView, refused: Sequence[str]) -> None:
        """Ask again at once, naming why every candidate was refused."""
        if self._pending is None and not self._pause_reason(view):
            self._start_question(view, tuple(refused))

    # -- waiting ------------------------------------------------------------------------------------------------

    def must_wait(self, view: StudyView) -> bool:
        """Return whether a slot waits for the answer on its way: within the allowance, if the answer is needed."""
        self.prepare(view)
        if self._candidates and not self._is_rethinking:
            self._wait.end()
            return False
        if self._pending is not None:
            self._wait.begin(waiting_allowance_s(view.trials))
        return self.is_waiting

    @property
    def is_waiting(self) -> bool:
        """Whether a slot waits for an answer, which has not come and may still be waited for."""
        return self._wait.goes_on(self._pending)

    # -- asking -------------------------------------------------------------------------------------------------

    def prepare(self, view: StudyView) -> None:
        """Ask for candidates when that pays and is allowed. Returns at once with a background runner."""
        self._collect(view)
        if view.space.cardinality <= 1:
            return  # nothing but a text, which the code search asks about
        if self._lesson_questions.is_due(view) and not self._pause_reason(view):
            self._lesson_questions.start(view)
            self._collect(view)
        if self._pending is None and self._needs_more(view) and not self._pause_reason(view):
            self._start_question(view, ())

    def finish(self, view: StudyView) -> None:
        """Wait up to ANSWER_WAIT_S for open questions, so that their cost is recorded; later answers are lost."""
        futures: tuple[Future[Any] | None, ...] = (self._pending, self._lesson_questions.pending)
        wait_for([future for future in futures if future is not None], timeout=ANSWER_WAIT_S)
        self._collect(view)

    def drain_lessons(self) -> tuple[Lesson, ...] | None:
        """Return lessons that are new since the last call of this method; None without new ones."""
        lessons, self._new_lessons = self._new_lessons, None
        return lessons

    def drain_calls(self) -> list[LoggedCall]:
        """Return model calls that ended since the last call of this method, for the history."""
        return self._usage.drain_calls()

    def drain_requests(self) -> list[Request]:
        """Return what the model asked for about the study since the last call of this method."""
        requests, self._requests = self._requests, []
        return requests

    def answer_request(self, request: Request, answer: str) -> None:
        """Keep what became of a request, for the next question."""
        self._answered = [*self._answered, f"{request.text}: {answer}"][-MAX_REQUESTS:]

    def drain_notes(self) -> list[str]:
        """Return messages for the user since the last call of this method."""
        return [*self._pauses.drain_notes(), *self._usage.drain_notes()]

    def charge(self, calls: Sequence[LoggedCall]) -> None:
        """Log calls and count them against the budget; calls made elsewhere for this study are passed in here."""
        self._usage.charge(calls)

    def unavailable_reason(self) -> str:
        """Return why the model must not be asked anything now; "" when it may be asked."""
        if self._pauses.disabled_reason:
            return self._pauses.disabled_reason
        return "the LLM's budget is spent" if self.used >= 1.0 else self._pauses.reason_by_time

    def update_study(self, planner: LLMPlanner, budget: Budget) -> None:
        """Continue with a changed study; candidates for the old one are removed."""
        planner.continue_from(self._planner)
        self._planner = planner
        self._usage.change_limits(budget)
        self._candidates, self._regions = [], []

    def _start_question(self, view: StudyView, refused: tuple[str, ...]) -> None:
        self._pace.begin(view)
        self._candidates = list(revalidate(self._candidates, view, self._planner.objection))
        fates = self._fates.with_waiting(self._candidates, self._regions, after=view.number)
        self._is_rethinking = bool(self._candidates) or bool(refused)
        if self._runner is None:
            self._accept(self._ask(view, fates, refused), view)
        else:
            self._pending = self._runner.submit(self._ask, view, fates, refused)

    def _ask(self, view: StudyView, fates: tuple[CandidateFate, ...], refused: tuple[str, ...]) -> Batch:
        """Ask for candidates. Any exception becomes a failed batch: neither an LLM nor a bug here ends a study."""
        try:
            starts = self._pace.starts(view)
            context = replace(
                self._context(view, fates),
                requests=tuple(self._answered),
                dropped=self._fates.dropped,
                starts=starts,
            )
            first = all(t.proposal.source is Source.DEFAULT for t in view.trials if t.state.is_finished)
            count = self._pace.candidates(starts, first=first)
            if first:
                return self._planner.starting_points(view, count=count, context=context)
            return self._planner.candidates(context, count=count, refused=refused)
        except Exception as error:  # noqa: BLE001  # see above
            return _failed_batch(error, view)

    def _needs_more(self, view: StudyView) -> bool:
        """Return whether a question pays now; the rule in words is in docs/llm.md."""
        is_stale = len(view.trials) - self._trials_seen > STALE_AFTER_TRIALS
        is_low = len(self._candidates) < 2 and self._runner is not None  # noqa: PLR2004  # one in reserve
        return not self._candidates or is_stale or is_low or self._pace.must_rethink(view)

    def _collect(self, view: StudyView) -> None:
        if self._pending is not None and self._pending.done():
            self._wait.end()
            pending, self._pending = self._pending, None
            self._accept(pending.result(), view)
        answered = self._lesson_questions.collect()
        if answered is not None:
            self._accept_lessons(*answered)

    def _ask_for_lessons(self, view: StudyView) -> tuple[tuple[Lesson, ...], Batch]:
        try:
            return self._planner.lessons(self._context(view, ()))
        except Exception as error:  # noqa: BLE001  # as in _ask
            return (), _failed_batch(error, view)

    def _accept_lessons(self, lessons: tuple[Lesson, ...], batch: Batch) -> None:
        self.charge(batch.calls)
        if lessons:
            self._new_lessons = lessons
            self._planner.use_lessons(lessons)

    def _accept(self, batch: Batch, view: StudyView) -> None:
        self.charge(batch.calls)
        self._requests += batch.requests
        if batch.failure is not None:
            self._pauses.add(batch, view)
            return
        self._pace.add_answer(batch.calls)
        self._take(batch, view)
        self._pauses.end()

    def _take(self, batch: Batch, view: StudyView) -> None:
        """Replace the candidates by those of an answer; what it does not give again is dropped."""
        self._fates.refuse_invalid(batch.invalid, after=view.number)
        given = {config_key(candidate.params) for candidate in batch.candidates}
        left_out = [c for c in self._candidates if config_key(c.params) not in given]
        self._fates.dropped += len(left_out)
        self._candidates = [c for c in batch.candidates if c.kind != "region"]
        regions = [c for c in batch.candidates if c.kind == "region"]
        for old in (region for region in self._regions if regions and region.runs > 0):
            reason = f"replaced by a newer one, {old.runs} of its trials did not run"
            self._fates.end_region(old, reason, after=view.number)
        self._regions = regions or self._regions
        self._trials_seen, self._is_rethinking = batch.trials_seen, False

    # -- reasons ------------------------------------------------------------------------------------------------

    def _pause_reason(self, view: StudyView) -> str:
        return self.unavailable_reason() or self._pauses.reason(view)

    def reason_for_none(self, view: StudyView) -> str:
        """Return why there are no candidates now."""
        if self._pending is not None:
            return "late: the LLM had not answered yet"
        return self._pause_reason(view) or self._pauses.last_failure or "the LLM had nothing new"


def _failed_batch(error: Exception, view: StudyView) -> Batch:
    """Return the batch for a question that raised before or while it was asked."""
    if isinstance(error, SpaceExhausted):
        reason = "every configuration was tried"
        return Batch(trials_seen=len(view.trials), failure=BatchFailure.NOTHING_NEW, reason=reason)
    reason = f"asking the LLM failed: {type(error).__name__}: {one_line(str(error), 160)}"
    return Batch(trials_seen=len(view.trials), failure=BatchFailure.UNUSABLE, reason=reason)
