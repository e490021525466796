"""The LLM planner: asks a language model for candidates and lessons.

It proposes only; other modules validate, choose and record. It writes nothing: each result carries the log of the
calls that produced it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar

from tunesmith.agent.llm.answer_format import KINDS, KINDS_ALONE, closed_object, planner_format
from tunesmith.agent.llm.call_log import LoggedCall, ask_and_log
from tunesmith.agent.llm.candidates import Candidate, InvalidCandidate, validate_candidates
from tunesmith.agent.llm.client.failures.errors import AnswerUnusable, Down, ModelDown, Unusable
from tunesmith.agent.llm.client.types import AnswerFormat, LanguageModel, LookupTool
from tunesmith.agent.llm.questions.operators import AskedFor, next_task
from tunesmith.agent.llm.questions.size import QuestionSize
from tunesmith.agent.llm.requests import Request, read_requests
from tunesmith.prompts.message import Message
from tunesmith.prompts.planner_prompts import (
    PromptContext,
    StudyBrief,
    insight_messages,
    proposing_messages,
    retry_message,
    second_try_message,
    starting_messages,
)
from tunesmith.study.config.record import Lesson
from tunesmith.study.formatting import one_line
from tunesmith.study.space.condition import Params
from tunesmith.study.trials.view import StudyView

T = TypeVar("T")

FIRST_CANDIDATES = 8
"""Number of candidates asked for before any result."""

CANDIDATES_PER_QUESTION = 4
"""Number of candidates asked for later."""

MAX_QUESTIONS = 3
"""Questions per batch: the first one, and two more that name the problems of the previous answer."""

MAX_LESSONS = 12

_SHOWN_ANSWER_CHARS = 4000
"""Start of an answer that a question about its mistakes repeats; nothing of it where a context is small."""


class BatchFailure(StrEnum):
    """Why a batch has no candidates; a closed list."""

    DOWN = "down"
    UNUSABLE = "unusable"
    NOTHING_NEW = "nothing new"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Result of one request for candidates or lessons.

    Attributes:
        calls: every call that was made, failed ones included.
        trials_seen: number of trials in the prompt.
        failure: why there are no candidates; None when there are some.
        reason: the failure in one line, for people.
        permanent: the failure lasts until a person changes something.
        retry_after_s: pause before the next question, in seconds.
        invalid: the candidates of the answer that cannot run, with the problem of each.
        requests: what the model asked for about the study.
    """

    candidates: tuple[Candidate, ...] = ()
    invalid: tuple[InvalidCandidate, ...] = ()
    requests: tuple[Request, ...] = ()
    calls: tuple[LoggedCall, ...] = ()
    trials_seen: int = 0
    failure: BatchFailure | None = None
    reason: str = ""
    permanent: bool = False
    retry_after_s: float | None = None


class LLMPlanner:
    """Asks one model about one study.

    Args:
        model: the model; may be a recording or a list of fallbacks.
        brief: the facts that do not change during a study.
        tools: makes read-only functions over a snapshot, which the model may call before it answers.
        objection: returns why people or the study forbid a configuration; "" if nothing does.
        clock: returns seconds since the epoch.

    Attributes:
        objection: as above.
    """

    def __init__(
        self,
        model: LanguageModel,
        brief: StudyBrief,
        *,
        tools: Callable[[StudyView], Sequence[LookupTool]] = lambda view: (),  # noqa: ARG005
        objection: Callable[[Params], str] = lambda params: "",  # noqa: ARG005
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._model = model
        self._brief = brief
        self._tools = tools
        self.objection = objection
        self._clock = clock
        self._size = QuestionSize()
        self._asked_for = AskedFor()
        self._task = ""

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._model.name

    def starting_points(
        self, view: StudyView, *, count: int = FIRST_CANDIDATES, context: PromptContext | None = None
    ) -> Batch:
        """Ask for starting points, before any result but the default's."""

        def messages(count: int, max_tokens: int) -> list[Message]:
            return starting_messages(self._brief_of(view), count=count, context=context, max_tokens=max_tokens)

        # Before any result there is nothing to look up, and a model that answers without tools answers at once.
        return self._candidates(view, messages, "start.md", count, tools=())

    def candidates(
        self, context: PromptContext, *, count: int = CANDIDATES_PER_QUESTION, refused: Sequence[str] = ()
    ) -> Batch:
        """Ask for candidates, given the results so far.

        Args:
            context: the facts for the prompt.
            count: the number of candidates.
            refused: why each candidate of the last answer was refused, if that is what the question is about.
        """
        if not refused or not self._task:
            self._task, self._asked_for = next_task(context.view, self._asked_for)
        task = self._task

        def messages(count: int, max_tokens: int) -> list[Message]:
            brief = self._brief_of(context.view)
            made = proposing_messages(brief, context, count=count, operator=task, max_tokens=max_tokens)
            return [*made, second_try_message(refused, count=count)] if refused else made

        template = "second_try.md" if refused else "propose.md"
        return self._candidates(context.view, messages, template, count, tools=self._tools(context.view))

    def continue_from(self, earlier: LLMPlanner) -> None:
        """Ask on after a change of the study: what the earlier planner asked for is not asked for again."""
        self._asked_for = earlier._asked_for  # noqa: SLF001  # its own class

    def use_lessons(self, lessons: Sequence[Lesson]) -> None:
        """Show these lessons in all further prompts."""
        self._brief = replace(self._brief, insights=tuple(lessons))

    def lessons(self, context: PromptContext) -> tuple[tuple[Lesson, ...], Batch]:
        """Ask what the trials teach.

        Returns:
            At most MAX_LESSONS lessons, each with at least one trial that exists, and the log of the call.
        """
        existing = {t.number for t in context.view.trials}
        calls: list[LoggedCall] = []
        brief, max_tokens = self._brief_of(context.view), self._size.max_tokens
        messages = insight_messages(brief, context, limit=MAX_LESSONS, max_tokens=max_tokens)
        try:
            answered = self._ask("insights.md", messages, _LESSONS_FORMAT, calls, context.view, ())
        except (ModelDown, AnswerUnusable) as error:
            if isinstance(error, ModelDown):
                self._size.shorten(error, messages, _LESSONS_FORMAT)  # for the next question
            return (), _failed_batch(error, calls, len(context.view.trials))
        supported = [Lesson(text=i.text, trials=tuple(n for n in i.trials if n in existing)) for i in answered]
        batch = Batch(calls=tuple(calls), trials_seen=len(context.view.trials))
        return tuple(i for i in supported if i.trials)[:MAX_LESSONS], batch

    def _brief_of(self, view: StudyView) -> StudyBrief:
        """Return the facts about the study, with the edited code and its parameters where proposals are for it."""
        return replace(self._brief, script=view.script, space=view.space) if view.script else self._brief

    def _candidates(
        self,
        view: StudyView,
        messages_within: Callable[[int, int], list[Message]],
        template: str,
        wanted: int,
        *,
        tools: Sequence[LookupTool],
    ) -> Batch:
        """Ask up to MAX_QUESTIONS times, naming the problems of each answer in the next question.

        A prompt that exceeds the model's context is made shorter, once and for all; that does not count as a question.
        """
        calls: list[LoggedCall] = []
        kinds = KINDS if self._brief.part.beside_sampler else KINDS_ALONE
        answer_format = planner_format(view.space, kinds)
        count = self._size.candidates(wanted, view.space)
        messages = messages_within(count, self._size.max_tokens)
        seen, problems, questions = len(view.trials), [""], 0
        requests: dict[str, Request] = {}
        while questions < MAX_QUESTIONS:
            try:
                answer = self._ask(template, messages, answer_format, calls, view, self._size.tools(tools))
            except ModelDown as error:
                if not self._size.shorten(error, messages, answer_format):
                    return _failed_batch(error, calls, seen)
                count = self._size.candidates(wanted, view.space)
                messages = messages_within(count, self._size.max_tokens)
                continue
            except AnswerUnusable as error:
                questions, problems = questions + 1, [error.reason]
                count = 1 if error.kind is Unusable.TRUNCATED else count
                messages = [*messages, retry_message(problems, count=count)]
                continue
            requests |= {request.text: request for request in read_requests(answer.requests)}
            checked = validate_candidates(answer.candidates, view, self.objection)
            if checked.valid:
                return Batch(
                    candidates=checked.valid,
                    invalid=checked.invalid,
                    requests=tuple(requests.values()),
                    calls=tuple(calls),
                    trials_seen=seen,
                )
            questions, problems = questions + 1, list(checked.problems)
            shown = [] if self._size.is_small else [Message("assistant", calls[-1].answer[:_SHOWN_ANSWER_CHARS])]
            messages = [*messages, *shown, retry_message(problems, count=count)]
        failure = BatchFailure.UNUSABLE if calls[-1].error else BatchFailure.NOTHING_NEW
        example = one_line(problems[0], 160)
        reason = f"{self.name} proposed nothing that can run, asked {MAX_QUESTIONS} times: {example}"
        asked = tuple(requests.values())
        return Batch(calls=tuple(calls), trials_seen=seen, failure=failure, reason=reason, requests=asked)

    def _ask(
        self,
        template: str,
        messages: Sequence[Message],
        answer_format: AnswerFormat[T],
        calls: list[LoggedCall],
        view: StudyView,
        tools: Sequence[LookupTool],
    ) -> T:
        latest = max((t.number for t in view.trials), default=None)
        return ask_and_log(
            self._model, template, messages, answer_format, calls, tools=tools, trial=latest, clock=self._clock
        )


def _failed_batch(error: ModelDown | AnswerUnusable, calls: Sequence[LoggedCall], trials_seen: int) -> Batch:
    is_down = isinstance(error, ModelDown)
    return Batch(
        calls=tuple(calls),
        trials_seen=trials_seen,
        failure=BatchFailure.DOWN if is_down else BatchFailure.UNUSABLE,
        reason=error.reason,
        permanent=isinstance(error, ModelDown) and error.permanent,
        retry_after_s=_pause_s(error) if isinstance(error, ModelDown) else None,
    )


def _pause_s(error: ModelDown) -> float | None:
    """Return the pause after a failure in seconds: as the server says, or as long again as it was at work."""
    is_at_work = error.kind is Down.TIMEOUT and error.retry_after_s is None
    return error.call.wall_s if is_at_work else error.retry_after_s


def _read_lessons(answer: Any) -> list[Lesson]:
    entries = answer.get("insights") if isinstance(answer, Mapping) else None
    if not isinstance(entries, list):
        raise ValueError('insights: give a list, as in {"insights": [{"text": "...", "trials": [3, 7]}]}')
    lessons = []
    for entry in entries:
        if isinstance(entry, Mapping) and isinstance(entry.get("text"), str) and isinstance(entry.get("trials"), list):
            numbers = tuple(n for n in entry["trials"] if isinstance(n, int) and not isinstance(n, bool))
            lessons.append(Lesson(text=one_line(entry["text"], 300), trials=numbers))
    return lessons


_LESSON_SCHEMA = closed_object({"text": {"type": "string"}, "trials": {"type": "array", "items": {"type": "integer"}}})
_LESSONS_FORMAT = AnswerFormat(
    "insights", closed_object({"insights": {"type": "array", "items": _LESSON_SCHEMA}}), _read_lessons
)
