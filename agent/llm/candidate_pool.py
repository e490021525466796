"""Keeps the LLM's candidates ready: asks beside the training, within its budget, and pauses when it is in trouble.

Decides nothing about trials. In the background a slow model holds no slot; without a background (`runs=None`) a
question is answered before the call returns, as Python users and benchmarks want it.
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
from tunesmith.prompts.untrusted import one_line
from tunesmith.study.config.budget import Budget, Spent
from tunesmith.study.config.record import Lesson
from tunesmith.study.errors import SpaceExhausted
from tunesmith.study.trials.view import StudyView
from tunesmith.study.units import short_number

STALE_AFTER_TRIALS = 10
"""Candidates that were proposed so many trials ago give way to new ones."""

ANSWER_WAIT_S = 1.0
"""So long a slot waits for an answer that is on its way; then the sampler fills it."""

LESSON_INTERVAL = 10
"""After so many finished trials the LLM is asked what they teach."""

_LONGEST_PAUSE = 16
_TOLD_AT = (0.8, 1.0)
_STRIKES = 3


class BackgroundRunner(Protocol):
    """BackgroundRunner a function beside the training."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Return the future of its result."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Candidates for one trial, or why there are none.

    Attributes:
        missing: why there are none, "" when there are.
    """

    candidates: tuple[Candidate, ...]
    missing: str = ""


class CandidatePool:
    """The LLM's side of one study.

    Args:
        planner: asks the model.
        stand: makes of a view what the model is shown; may take a second, so it runs beside the training, too.
        budget: of which the three limits on the LLM count here.
        spent: what earlier runs of the study have used.
        runs: runs questions in the background; None to wait for each answer.
        count: how many candidates are asked for at a time.
        clock: seconds, for pauses.
    """

    def __init__(
        self,
        planner: LLMPlanner,
        *,
        stand: Callable[[StudyView], PromptContext],
        budget: Budget | None = None,
        spent: Spent | None = None,
        runs: BackgroundRunner | None = None,
        count: int = CANDIDATES_PER_QUESTION,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._planner = planner
        self._stand = stand
        self._budget = budget or Budget()
        self._spent = spent or Spent()
        self._runs = runs
        self._count = count
        self._clock = clock
        self._ready: list[Candidate] = []
        self._seen = 0
        self._asking: Future[Batch] | None = None
        self._learning: Future[tuple[tuple[Lesson, ...], Batch]] | None = None
        self._lessons: tuple[Lesson, ...] | None = None
        self._learned_at = -1
        self._finished: list[LoggedCall] = []
        self._notes: list[str] = []
        self._strikes = 0
        self._resume_at = 0
        self._resume_s = 0.0
        self._off = ""
        self._trouble = ""
        self._reason = ""
        self._unpriced = False
        self._told_share = max((t for t in _TOLD_AT if self.used >= t), default=0.0)

    @property
    def name(self) -> str:
        """The model's name."""
        return self._planner.name

    @property
    def spent(self) -> Spent:
        """What the LLM has used, earlier runs included; only its own three counts are kept up here."""
        return self._spent

    @property
    def used(self) -> float:
        """The used part of the tightest limit, 0 without a limit."""
        return max((share.fraction for share in self._budget.llm_shares(self._spent)), default=0.0)

    def offer(self, view: StudyView) -> Offer:
        """Return what may run now, re-checked against the present trials."""
        self.prepare(view)
        if not self._ready and self._asking is not None:
            wait_for([self._asking], timeout=ANSWER_WAIT_S)
            self._collect(view)
        self._ready = list(revalidate(self._ready, view))
        if not self._ready and self._runs is None:
            self.prepare(view)
        if self._ready:
            return Offer(tuple(self._ready))
        return Offer((), self._missing(view))

    def taken(self, candidate: Candidate) -> None:
        """Note that a candidate runs."""
        self._ready = [c for c in self._ready if c is not candidate]

    def dropped(self) -> None:
        """Note that none of the candidates is worth a trial now: others are asked for."""
        self._ready = []

    def prepare(self, view: StudyView) -> None:
        """Ask for candidates when few are left and nothing speaks against asking. Returns at once in the background."""
        self._collect(view)
        self._learn(view)
        if self._asking is not None or not self._wants_more(view) or self._missing_for_good(view):
            return
        if self._runs is None:
            self._take(self._ask(view), view)
        else:
            self._asking = self._runs.submit(self._ask, view)

    def finish(self, view: StudyView) -> None:
        """Wait a moment for answers under way, so that what they cost is on record; later ones are let go."""
        futures: tuple[Future[Any] | None, ...] = (self._asking, self._learning)
        wait_for([future for future in futures if future is not None], timeout=ANSWER_WAIT_S)
        self._collect(view)

    def lessons(self) -> tuple[Lesson, ...] | None:
        """Return new lessons since this was last asked; None when there are none."""
        lessons, self._lessons = self._lessons, None
        return lessons

    def calls(self) -> list[LoggedCall]:
        """Return the calls that ended since this was last asked, for the record."""
        told, self._finished = self._finished, []
        return told

    def notes(self) -> list[str]:
        """Return what a person should know since this was last asked."""
        notes, self._notes = self._notes, []
        return notes

    def bill(self, calls: Sequence[LoggedCall]) -> None:
        """Put calls that were made elsewhere for the study on the record and on the bill."""
        self._finished += calls
        for told in calls:
            self._charge(told)

    def why_not(self) -> str:
        """Return why the model is not to be asked anything now, "" when it may be, if only not for points."""
        if self._off:
            return self._off
        if self.used >= 1.0:
            return "the LLM's budget is spent"
        return self._reason if self._clock() < self._resume_s else ""

    def take_over(self, planner: LLMPlanner, budget: Budget) -> None:
        """Go on with a study that was changed, and drop what was offered for the old one."""
        self._planner = planner
        self._budget = budget
        self._ready = []
        self._told_share = max((t for t in _TOLD_AT if self.used >= t), default=0.0)

    # -- asking -------------------------------------------------------------------------------------------------

    def _ask(self, view: StudyView) -> Batch:
        """Ask, whatever happens: a study never ends because of an LLM, nor because of a mistake in how it is asked."""
        try:
            standing = self._stand(view)
            if any(t.state.is_finished for t in view.trials):
                return self._planner.candidates(standing, count=self._count)
            count = max(FIRST_CANDIDATES, self._count) if self._count > 1 else 1
            return self._planner.starting_points(view, count=count, belief=standing.belief)
        except Exception as error:  # noqa: BLE001  # see above
            return _broken(error, view)

    def _wants_more(self, view: StudyView) -> bool:
        stale = len(view.trials) - self._seen > STALE_AFTER_TRIALS
        return not self._ready or stale or (len(self._ready) < 2 and self._runs is not None)  # noqa: PLR2004

    def _collect(self, view: StudyView) -> None:
        if self._asking is not None and self._asking.done():
            asking, self._asking = self._asking, None
            self._take(asking.result(), view)
        if self._learning is not None and self._learning.done():
            learning, self._learning = self._learning, None
            self._learned(*learning.result())

    def _learn(self, view: StudyView) -> None:
        """Ask for lessons after every so many finished trials; those that a resumed study brings along count."""
        finished = sum(t.state.is_finished for t in view.trials)
        if self._learned_at < 0:
            self._learned_at = finished
        due = finished - self._learned_at >= LESSON_INTERVAL
        if self._learning is None and due and not self._missing_for_good(view):
            self._learned_at = finished
            if self._runs is None:
                self._learned(*self._ask_for_lessons(view))
            else:
                self._learning = self._runs.submit(self._ask_for_lessons, view)

    def _ask_for_lessons(self, view: StudyView) -> tuple[tuple[Lesson, ...], Batch]:
        try:
            return self._planner.insights(self._stand(view))
        except Exception as error:  # noqa: BLE001  # as for candidates
            return (), _broken(error, view)

    def _learned(self, lessons: tuple[Lesson, ...], batch: Batch) -> None:
        self._keep(batch)
        if lessons:
            self._lessons = lessons
            self._planner.learned(lessons)

    def _keep(self, batch: Batch) -> None:
        self.bill(batch.calls)

    def _take(self, batch: Batch, view: StudyView) -> None:
        self._keep(batch)
        if batch.trouble is None:
            self._ready, self._seen = list(batch.candidates), batch.seen
            if self._trouble:
                self._notes.append(f"the LLM {self.name} answers again")
            self._strikes, self._trouble = 0, ""
        else:
            self._strike(batch, view)

    def _strike(self, batch: Batch, view: StudyView) -> None:
        """Leave the model alone for a while, longer each time; for good when a person has to change something."""
        self._strikes += 1
        self._resume_at = view.number + min(2 ** (self._strikes - 1), _LONGEST_PAUSE)
        self._resume_s = self._clock() + (batch.retry_after_s or 0.0)
        self._off = batch.reason if batch.lasting else ""
        first = not self._trouble and (batch.trouble is BatchFailure.DOWN or self._strikes >= _STRIKES)
        if first:
            until = "" if batch.lasting else "; it is asked again later"
            self._notes.append(f"{batch.reason}; the sampler goes on alone{until}")
            self._trouble = batch.reason
        self._reason = batch.reason

    # -- why not ------------------------------------------------------------------------------------------------

    def _missing_for_good(self, view: StudyView) -> str:
        return self.why_not() or (self._reason if view.number < self._resume_at else "")

    def _missing(self, view: StudyView) -> str:
        if self._asking is not None:
            return "late: the LLM had not answered yet"
        return self._missing_for_good(view) or self._reason or "the LLM had nothing new"

    # -- money --------------------------------------------------------------------------------------------------

    def _charge(self, told: LoggedCall) -> None:
        """Count a call. A server that does not count tokens is charged for about what the text has."""
        usage = told.call.usage
        guess = (
            sum(estimate_tokens(m.text) for m in told.messages) + estimate_tokens(told.answer)
            if told.call.requests
            else 0
        )
        known = usage.input is not None and usage.output is not None
        tokens = (usage.input or 0) + (usage.output or 0) if known else guess
        self._spent = replace(
            self._spent,
            llm_calls=self._spent.llm_calls + 1,
            llm_tokens=self._spent.llm_tokens + tokens,
            llm_usd=self._spent.llm_usd + (told.call.cost_usd or 0.0),
        )
        if (
            self._budget.llm_usd is not None
            and told.call.requests
            and told.call.cost_usd is None
            and not self._unpriced
        ):
            self._unpriced = True
            price = f"the price of {self.name} is unknown, so llm_usd cannot be kept"
            self._notes.append(f"{price}; set llm_tokens, or write a price list")
        self._warn()

    def _warn(self) -> None:
        passed = max((t for t in _TOLD_AT if self.used >= t), default=0.0)
        if passed > self._told_share:
            self._told_share = passed
            tightest = max(self._budget.llm_shares(self._spent), key=lambda share: share.fraction)
            amounts = f"{short_number(tightest.used)} of {short_number(tightest.limit)}"
            end = "is spent; the sampler goes on alone" if passed >= 1.0 else "is used to 80%"
            self._notes.append(f"the LLM's budget {end} ({tightest.name} {amounts})")


def _broken(error: Exception, view: StudyView) -> Batch:
    """Return the batch of a question that could not even be asked."""
    if isinstance(error, SpaceExhausted):
        return Batch(seen=len(view.trials), trouble=BatchFailure.NOTHING_NEW, reason="every configuration was tried")
    reason = f"asking the LLM failed: {type(error).__name__}: {one_line(str(error), 160)}"
    return Batch(seen=len(view.trials), trouble=BatchFailure.UNUSABLE, reason=reason)
