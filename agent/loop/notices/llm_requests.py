"""Takes up what the LLM asks for about the study: as a separate command, or as a line for the person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunesmith.agent.llm.requests import Request
from tunesmith.agent.loop.study_run import StudyRun
from tunesmith.agent.planner.handed_over import hand_over
from tunesmith.tools.control.inbox import Inbox

if TYPE_CHECKING:
    from tunesmith.agent.llm.candidate_pool import CandidatePool

LLM = "the LLM"
"""Who sends these commands; shown to the person with each."""


def take_up_requests(run: StudyRun, pool: CandidatePool) -> None:
    """Decide each new request, tell the person and, with its next question, the LLM."""
    for request in pool.drain_requests():
        decided = hand_over(request, run.queue.view(), share=pool.share, allow=run.spec.planner.allow)
        pool.answer_request(request, decided.answer)
        if decided.command is not None:
            # The inbox keeps it, answers it and lets a person undo it, as every other command.
            Inbox(run.folder).submit(decided.command, by=LLM)
        else:
            _tell_person(run, request, decided.answer)


def _tell_person(run: StudyRun, request: Request, answer: str) -> None:
    text = f"{LLM} asks: {request.sentence}; {answer}"
    run.recorder.record_event("llm", run.now(), detail={"note": text})
    run.announcer.note(text)
