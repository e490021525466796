"""Takes up what the LLM asks for about the study: as a separate command, or as a line for the person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tunesmith.agent.llm.requests import Request
from tunesmith.agent.loop.study_run import StudyRun
from tunesmith.agent.planner.handed_over import ASKS_PERSON, PERSON_DECIDED, HandedOver, hand_over
from tunesmith.tools.analysis.llm_requests import REQUEST_KEY
from tunesmith.tools.control.earlier_commands import COMMAND_EVENT
from tunesmith.tools.control.inbox import Inbox

if TYPE_CHECKING:
    from tunesmith.agent.llm.candidate_pool import CandidatePool

LLM = "the LLM"
"""Who sends these commands; shown to the person with each."""


def take_up_requests(run: StudyRun, pool: CandidatePool) -> None:
    """Decide each new request, tell the person and, with its next question, the LLM."""
    for request in pool.drain_requests():
        if _is_decided_by_person(request, run):
            decided = HandedOver(PERSON_DECIDED)
        else:
            decided = hand_over(request, run.queue.view(), share=pool.share, allow=run.spec.planner.allow)
        pool.answer_request(request, decided.answer)
        if decided.command is not None:
            # The inbox keeps it, answers it and lets a person undo it, as every other command.
            Inbox(run.folder).submit(decided.command, by=LLM)
        else:
            _tell_person(run, request, decided.answer)


def _is_decided_by_person(request: Request, run: StudyRun) -> bool:
    """Return whether a person changed the same parameter or rule by a command: what they undid stays undone."""
    for event in run.recorder.history.events(run.recorder.study_id, COMMAND_EVENT):
        order = event.detail.get("order")
        if event.detail.get("by") == LLM or not event.detail.get("done") or not isinstance(order, Mapping):
            continue
        is_same_parameter = order.get("kind") in ("pin", "bounds") and order.get("name") == request.name
        if is_same_parameter or (order.get("kind") == "forbid" and order.get("rule") == request.condition):
            return True
    return False


def _tell_person(run: StudyRun, request: Request, answer: str) -> None:
    """Print and keep a request with its answer, once in a study: models ask again with every answer."""
    text = f"{LLM} asks: {request.sentence}; {answer}"
    known = [event.detail for event in run.recorder.history.events(run.recorder.study_id, "llm")]
    if any(d.get("text") == request.text and d.get("answer") == answer for d in known):
        return
    detail: dict[str, Any] = {"note": text, "text": request.text, "answer": answer}
    if answer == ASKS_PERSON:
        detail[REQUEST_KEY] = request.to_json()
    run.recorder.record_event("llm", run.now(), detail=detail)
    run.announcer.note(text)
