"""Which trials wait for a judge that nobody can or may ask now; the loop queues them again, and nothing is lost."""

from __future__ import annotations

from tunesmith.agent.loop.judging.judged_trial import JudgedTrial
from tunesmith.agent.loop.slots.slot_pool import PoolSlot
from tunesmith.agent.loop.study_run import StudyRun


def unjudged_slots(run: StudyRun) -> list[PoolSlot]:
    """Return the slots whose trials have ended and wait for the judge."""
    running = run.slots.running()
    return [slot for slot in running if isinstance(slot.evaluation, JudgedTrial) and slot.evaluation.is_judged]


def slots_without_judge(run: StudyRun) -> list[PoolSlot]:
    """Return the slots whose trials must wait for a later run: the judge's budget is spent, or it is down and a person
    ends the run. A spent budget ends the study, since no further trial would get a value.
    """
    judging = run.judging
    if judging is None:
        return []
    waiting = unjudged_slots(run)
    if limit := judging.spent_limit:
        if not run.queue.ended_by:
            run.queue.ended_by = limit
            spent = f"the budget of the LLM is spent ([budget].{limit}), and trials need it for their judge"
            run.announcer.note(f"{spent}; raise it and run the same command again")
        return waiting
    return waiting if run.interrupts and judging.is_down else []
