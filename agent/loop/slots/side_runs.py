"""Runs commands that are no trials after the last trial has ended: as many at once as there are slots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tunesmith.agent.loop.slots.slot_pool import PoolSlot
from tunesmith.agent.loop.study_run import StudyRun
from tunesmith.evaluator.evaluation import Evaluation
from tunesmith.study.errors import ProjectError
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Trial, TrialState


@dataclass(frozen=True, slots=True)
class _Running:
    trial: Trial
    slot: PoolSlot
    evaluation: Evaluation


def run_side_runs(
    run: StudyRun,
    waiting: Sequence[Trial],
    start: Callable[[Trial, PoolSlot], Evaluation],
    ended: Callable[[Trial, Outcome], None],
    on_tick: Callable[[], None],
) -> None:
    """Run every trial; a person, or the end of the study's time, stops those that run and those that wait.

    Args:
        run: the run; its trials have ended.
        waiting: the trials that commands run for, the first one first.
        start: starts one in a slot. One that raises ProjectError has failed for that reason.
        ended: called with each that ended and its outcome, which is a stopped one where the run stopped it.
        on_tick: called between polls, to answer commands and to record activity.
    """
    left, running, free = list(waiting), list[_Running](), list(run.slots)
    while left or running:
        on_tick()
        while left and free and not _must_stop(run):
            trial, slot = left.pop(0), free.pop(0)
            try:
                running.append(_Running(trial, slot, start(trial, slot)))
            except ProjectError as error:
                failure = Failure(kind=FailureKind.TAMPERED, reason=str(error))
                ended(trial, Outcome(state=TrialState.FAILED, failure=failure))
                free.append(slot)
        for entry in list(running):
            outcome = _polled(run, entry)
            if outcome is not None:
                running.remove(entry)
                free.append(entry.slot)
                ended(entry.trial, outcome)
        if not running and _must_stop(run):
            return
        run.wait()


def _polled(run: StudyRun, entry: _Running) -> Outcome | None:
    """Return the outcome of a command that has ended; ask one that still runs to stop where the run must."""
    outcome = entry.evaluation.poll()
    if outcome is not None:
        run.ledger.add_usage(outcome.usage)
    elif _must_stop(run):
        entry.evaluation.stop("stopped with the run")
    return outcome


def _must_stop(run: StudyRun) -> bool:
    return run.interrupts > 0 or run.ledger.is_late
