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

from tunesmith.agent.llm.call_log import LoggedCall, ask_and_log
from tunesmith.agent.llm.candidates import Candidate, candidates_format, closed_object, validate_candidates
from tunesmith.agent.llm.client.errors import AnswerUnusable, ModelDown
from tunesmith.agent.llm.client.types import AnswerFormat, LanguageModel, LookupTool
from tunesmith.prompts.message import Message
from tunesmith.prompts.planner_prompts import (
    PromptContext,
    StudyBrief,
    insight_messages,
    proposing_messages,
    retry_message,
    starting_messages,
    trials_since_improvement,
)
from tunesmith.study.config.record import Lesson
from tunesmith.study.formatting import one_line
from tunesmith.study.sampler_state import SamplerState
from tunesmith.study.trials.view import StudyView

T = TypeVar("T")

FIRST_CANDIDATES = 8
"""Number of candidates asked for before any result."""

CANDIDATES_PER_QUESTION = 4
"""Number of candidates asked for later."""

MAX_QUESTIONS = 3
"""Questions per batch: the first one, and two more that name the problems of the previous answer."""

MAX_LESSONS = 12

STAGNATION_TRIALS = 5
"""Trials without improvement after which another kind of move is asked for."""


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
        retry_after_s: pause that the server asked for, in seconds.
    """

    candidates: tuple[Candidate, ...] = ()
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
        clock: returns seconds since the epoch.
    """

    def __init__(
        self,
        model: LanguageModel,
        brief: StudyBrief,
        *,
        tools: Callable[[StudyView], Sequence[LookupTool]] = lambda view: (),  # noqa: ARG005
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._model = model
        self._brief = brief
        self._tools = tools
        self._clock = clock

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._model.name

    def starting_points(
        self, view: StudyView, *, count: int = FIRST_CANDIDATES, sampler: SamplerState | None = None
    ) -> Batch:
        """Ask for starting points, before any result."""
        return self._candidates(view, starting_messages(self._brief, count=count, sampler=sampler), "start.md", count)

    def candidates(self, context: PromptContext, *, count: int = CANDIDATES_PER_QUESTION) -> Batch:
        """Ask for candidates, given the results so far."""
        operator = choose_operator(context.view)
        messages = proposing_messages(self._brief, context, count=count, operator=operator)
        return self._candidates(context.view, messages, "propose.md", count)

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
        messages = insight_messages(self._brief, context, limit=MAX_LESSONS)
        try:
            answered = self._ask("insights.md", messages, _LESSONS_FORMAT, calls, ())
        except (ModelDown, AnswerUnusable) as error:
            return (), _failed_batch(error, calls, len(context.view.trials))
        supported = [Lesson(text=i.text, trials=tuple(n for n in i.trials if n in existing)) for i in answered]
        batch = Batch(calls=tuple(calls), trials_seen=len(context.view.trials))
        return tuple(i for i in supported if i.trials)[:MAX_LESSONS], batch

    def _candidates(self, view: StudyView, messages: list[Message], template: str, count: int) -> Batch:
        """Ask up to MAX_QUESTIONS times, naming the problems of each answer in the next question."""
        calls: list[LoggedCall] = []
        answer_format = candidates_format(view.space)
        seen, problems = len(view.trials), [""]
        for _ in range(MAX_QUESTIONS):
            try:
                raw = self._ask(template, messages, answer_format, calls, self._tools(view))
            except ModelDown as error:
                return _failed_batch(error, calls, seen)
            except AnswerUnusable as error:
                problems = [error.reason]
                messages = [*messages, retry_message(problems, count=count)]
                continue
            checked = validate_candidates(raw, view)
            if checked.valid:
                return Batch(candidates=checked.valid, calls=tuple(calls), trials_seen=seen)
            problems = list(checked.problems)
            answer = Message("assistant", calls[-1].answer[:4000])
            messages = [*messages, answer, retry_message(problems, count=count)]
        failure = BatchFailure.UNUSABLE if calls[-1].error else BatchFailure.NOTHING_NEW
        example = one_line(problems[0], 160)
        reason = f"{self.name} proposed nothing that can run, asked {MAX_QUESTIONS} times: {example}"
        return Batch(calls=tuple(calls), trials_seen=seen, failure=failure, reason=reason)

    def _ask(
        self,
        template: str,
        messages: Sequence[Message],
        answer_format: AnswerFormat[T],
        calls: list[LoggedCall],
        tools: Sequence[LookupTool],
    ) -> T:
        return ask_and_log(self._model, template, messages, answer_format, calls, tools=tools, clock=self._clock)


def choose_operator(view: StudyView) -> str:
    """Return the kind of move to ask for: refine while that improves, else another kind every STAGNATION_TRIALS."""
    stagnant = trials_since_improvement(view)
    if stagnant < STAGNATION_TRIALS:
        return "refine" if len(view.finished) > STAGNATION_TRIALS else "explore"
    return ("explore", "combine", "ablate", "simplify")[(stagnant // STAGNATION_TRIALS - 1) % 4]


def _failed_batch(error: ModelDown | AnswerUnusable, calls: Sequence[LoggedCall], trials_seen: int) -> Batch:
    is_down = isinstance(error, ModelDown)
    return Batch(
        calls=tuple(calls),
        trials_seen=trials_seen,
        failure=BatchFailure.DOWN if is_down else BatchFailure.UNUSABLE,
        reason=error.reason,
        permanent=isinstance(error, ModelDown) and error.permanent,
        retry_after_s=error.retry_after_s if isinstance(error, ModelDown) else None,
    )


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
