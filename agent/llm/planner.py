"""The LLM planner: asks a language model for candidates and for lessons. It proposes; others decide, check and record.

Knows no loop and writes nothing: what it was told, asked and charged is handed back with the answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar

from tunesmith.agent.llm.call_log import LoggedCall, ask_and_log
from tunesmith.agent.llm.candidates import Candidate, candidates_format, validate_candidates
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
from tunesmith.study.sampler_state import SamplerBelief
from tunesmith.study.trials.view import StudyView

T = TypeVar("T")

FIRST_CANDIDATES = 8
CANDIDATES_PER_QUESTION = 4
"""How many candidates are asked for before any result, and later."""

MAX_QUESTIONS = 3
"""A model that proposes nothing new is told what collided, twice at most."""

MAX_LESSONS = 12
STAGNATION_TRIALS = 5
"""After so many trials without gain another kind of move is asked for."""


class BatchFailure(StrEnum):
    """Why a turn of the LLM brought nothing; a closed list."""

    DOWN = "down"
    UNUSABLE = "unusable"
    NOTHING_NEW = "nothing new"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one request to the LLM brought.

    Attributes:
        seen: how many trials were known when it was asked.
        trouble: why there are no candidates; None when there are.
        reason: the trouble in a line, for people.
        lasting: a person has to change something before asking again makes sense.
        retry_after_s: how long the server asks to be left alone.
    """

    candidates: tuple[Candidate, ...] = ()
    calls: tuple[LoggedCall, ...] = ()
    seen: int = 0
    trouble: BatchFailure | None = None
    reason: str = ""
    lasting: bool = False
    retry_after_s: float | None = None


class LLMPlanner:
    """Asks one model about one study.

    Args:
        model: answers; may be a recording or a list of fallbacks.
        subject: what does not change while the study runs.
        tools: makes the read-only functions that the model may call before it answers, over a snapshot.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        model: LanguageModel,
        subject: StudyBrief,
        *,
        tools: Callable[[StudyView], Sequence[LookupTool]] = lambda view: (),  # noqa: ARG005
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._model = model
        self._subject = subject
        self._tools = tools
        self._clock = clock

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model.name

    def starting_points(
        self, view: StudyView, *, count: int = FIRST_CANDIDATES, belief: SamplerBelief | None = None
    ) -> Batch:
        """Return points to start with, asked for before any result."""
        return self._candidates(view, starting_messages(self._subject, count=count, belief=belief), "start.md", count)

    def candidates(self, standing: PromptContext, *, count: int = CANDIDATES_PER_QUESTION) -> Batch:
        """Return candidates for the study as it stands."""
        operator = choose_operator(standing.view)
        messages = proposing_messages(self._subject, standing, count=count, operator=operator)
        return self._candidates(standing.view, messages, "propose.md", count)

    def learned(self, lessons: Sequence[Lesson]) -> None:
        """Show these lessons from now on."""
        self._subject = replace(self._subject, insights=tuple(lessons))

    def insights(self, standing: PromptContext) -> tuple[tuple[Lesson, ...], Batch]:
        """Return what the trials teach, each lesson with trials that exist, and what asking cost."""
        existing = {t.number for t in standing.view.trials}
        calls: list[LoggedCall] = []
        messages = insight_messages(self._subject, standing, limit=MAX_LESSONS)
        try:
            found = self._ask("insights.md", messages, _INSIGHTS, calls, ())
        except (ModelDown, AnswerUnusable) as error:
            return (), _troubled(error, calls, len(standing.view.trials))
        kept = [Lesson(text=i.text, trials=tuple(n for n in i.trials if n in existing)) for i in found]
        return tuple(i for i in kept if i.trials)[:MAX_LESSONS], Batch(
            calls=tuple(calls), seen=len(standing.view.trials)
        )

    def _candidates(self, view: StudyView, messages: list[Message], template: str, count: int) -> Batch:
        calls: list[LoggedCall] = []
        form = candidates_format(view.space)
        seen, problems = len(view.trials), [""]
        for _ in range(MAX_QUESTIONS):
            try:
                raw = self._ask(template, messages, form, calls, self._tools(view))
            except ModelDown as error:
                return _troubled(error, calls, seen)
            except AnswerUnusable as error:
                problems = [error.reason]
                messages = [*messages, retry_message(problems, count=count)]
                continue
            sifted = validate_candidates(raw, view)
            if sifted.sound:
                return Batch(candidates=sifted.sound, calls=tuple(calls), seen=seen)
            problems = list(sifted.problems)
            said = Message("assistant", calls[-1].answer[:4000])
            messages = [*messages, said, retry_message(problems, count=count)]
        trouble = BatchFailure.UNUSABLE if calls[-1].error else BatchFailure.NOTHING_NEW
        reason = f"{self.name} proposed nothing that can run, asked {MAX_QUESTIONS} times: {one_line(problems[0], 160)}"
        return Batch(calls=tuple(calls), seen=seen, trouble=trouble, reason=reason)

    def _ask(
        self,
        template: str,
        messages: Sequence[Message],
        form: AnswerFormat[T],
        calls: list[LoggedCall],
        tools: Sequence[LookupTool],
    ) -> T:
        return ask_and_log(self._model, template, messages, form, calls, tools=tools, clock=self._clock)


def choose_operator(view: StudyView) -> str:
    """Return which kind of move to ask for: refine while that pays, another kind in turn after trials without gain."""
    stale = trials_since_improvement(view)
    if stale < STAGNATION_TRIALS:
        return "refine" if len(view.finished) > STAGNATION_TRIALS else "explore"
    return ("explore", "combine", "ablate", "simplify")[(stale // STAGNATION_TRIALS - 1) % 4]


def _troubled(error: ModelDown | AnswerUnusable, calls: Sequence[LoggedCall], seen: int) -> Batch:
    down = isinstance(error, ModelDown)
    return Batch(
        calls=tuple(calls),
        seen=seen,
        trouble=BatchFailure.DOWN if down else BatchFailure.UNUSABLE,
        reason=error.reason,
        lasting=isinstance(error, ModelDown) and error.lasting,
        retry_after_s=error.retry_after_s if isinstance(error, ModelDown) else None,
    )


def _read_insights(found: Any) -> list[Lesson]:
    entries = found.get("insights") if isinstance(found, Mapping) else None
    if not isinstance(entries, list):
        raise ValueError('insights: give a list, as in {"insights": [{"text": "...", "trials": [3, 7]}]}')
    lessons = []
    for entry in entries:
        if isinstance(entry, Mapping) and isinstance(entry.get("text"), str) and isinstance(entry.get("trials"), list):
            numbers = tuple(n for n in entry["trials"] if isinstance(n, int) and not isinstance(n, bool))
            lessons.append(Lesson(text=one_line(entry["text"], 300), trials=numbers))
    return lessons


_INSIGHTS = AnswerFormat(
    "insights",
    {
        "type": "object",
        "properties": {
            "insights": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "text": {"type": "string"},
                        "trials": {"type": "array", "items": {"type": "integer"}},
                    },
                    "required": ["text", "trials"],
                    "additionalProperties": False,
                },
            }
        },
        "required": ["insights"],
        "additionalProperties": False,
    },
    _read_insights,
)
