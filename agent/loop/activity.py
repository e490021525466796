"""Records what the LLM, the code search and the notifier did in the background since the last call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunesmith.agent.llm.call_log import to_llm_call
from tunesmith.agent.loop.notices.llm_requests import take_up_requests
from tunesmith.agent.loop.study_run import StudyRun
from tunesmith.study.variant import Variant, VariantState, moved_ids, short_id

if TYPE_CHECKING:
    from tunesmith.agent.code_search.search import CodeSearch
    from tunesmith.agent.llm.candidate_pool import CandidatePool


def record_activity(run: StudyRun) -> None:
    """Record LLM calls, lessons and new versions of the code, and pass on notes for the user."""
    for text in run.announcer.notifier.problems():
        run.announcer.note(text)
    if run.code is not None:
        _record_versions(run, run.code)
    if run.candidate_pool is not None:
        _record_llm(run, run.candidate_pool)


def _record_versions(run: StudyRun, code: CodeSearch) -> None:
    outcomes = code.drain_outcomes()
    moved = moved_ids(code.variants().values())
    for variant in code.drain_variants():
        run.recorder.record_variant(variant)
        if variant.joined not in moved:
            run.announcer.note(_version_text(variant))
    for fitted in code.drain_fitted():
        run.recorder.record_variant_declared(fitted)
    for outcome in outcomes:
        run.recorder.record_variant_state(outcome.variant, outcome.state, outcome.reason)
        run.announcer.note(f"{short_id(outcome.variant.id)}: {outcome.reason}")
    _record_notes(run, code.drain_notes())
    if run.candidate_pool is not None:
        # Edits and candidates share one budget.
        run.candidate_pool.charge(code.drain_calls())


def _record_llm(run: StudyRun, candidate_pool: CandidatePool) -> None:
    calls, lessons = candidate_pool.drain_calls(), candidate_pool.drain_lessons()
    if calls:
        run.recorder.record_llm_calls([to_llm_call(call) for call in calls])
    if lessons:
        run.recorder.record_lessons(lessons, run.now())
    _record_notes(run, candidate_pool.drain_notes())
    take_up_requests(run, candidate_pool)


def _record_notes(run: StudyRun, notes: list[str]) -> None:
    for text in notes:
        run.recorder.record_event("llm", run.now(), detail={"note": text})
        run.announcer.note(text)


def _version_text(variant: Variant) -> str:
    """Return a new version of the code as one line."""
    head = f"{short_id(variant.id)} ({variant.direction})"
    if variant.state is VariantState.SOUND:
        return f"{head}: {variant.rationale}"
    return f"{head} is not run, {variant.state.value}: {variant.reason}"
