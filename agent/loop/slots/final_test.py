"""Runs the held-out [test] of a study once, after everything else, on the trial that was chosen."""

from __future__ import annotations

from collections.abc import Callable

from tunesmith.agent.loop.study_run import StudyRun
from tunesmith.evaluator.evaluation import Evaluation
from tunesmith.study.errors import DiskFull, ProjectError
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Trial, TrialState, Usage
from tunesmith.tools.analysis.confirmation.held_out_test import (
    TEST_ENDED,
    TEST_STARTED,
    end_event_detail,
    is_test_due,
    start_event_detail,
)
from tunesmith.tools.analysis.findings.summary import summarize


def run_final_test(run: StudyRun, on_tick: Callable[[], None]) -> None:
    """Run [test] on the best trial unless it has run before. A test that was killed with its run starts again.

    Args:
        run: the run; its trials have ended.
        on_tick: called between polls, to answer commands and to record activity.
    """
    if run.spec.test is None or run.interrupts or run.ledger.is_late:
        return
    trial = _trial_to_test(run)
    if trial is None:
        return
    run.recorder.record_event(TEST_STARTED, run.now(), trial=trial, detail=start_event_detail(trial))
    run.announcer.note(f"running the held-out test of trial {trial.number}")
    try:
        outcome = _wait_for(run, run.evaluator.test(trial, next(iter(run.slots)).resources), on_tick)
    except DiskFull:
        raise
    except ProjectError as error:
        outcome = Outcome(
            state=TrialState.FAILED, failure=Failure(kind=FailureKind.TAMPERED, reason=str(error)), usage=Usage()
        )
    run.recorder.record_event(TEST_ENDED, run.now(), trial=trial, detail=end_event_detail(trial, outcome))
    run.ledger.add_usage(outcome.usage)


def _trial_to_test(run: StudyRun) -> Trial | None:
    record, history = run.recorder.record, run.recorder.history
    trials = history.trials(record.id)
    events = [*history.events(record.id, TEST_STARTED), *history.events(record.id, TEST_ENDED)]
    best = summarize(record, trials).best
    if best is None or not is_test_due(trials[best.number], sorted(events, key=lambda event: event.at)):
        return None
    return trials[best.number]


def _wait_for(run: StudyRun, test: Evaluation, on_tick: Callable[[], None]) -> Outcome:
    """Return the outcome of the test; stop it at the deadline or on a second interrupt."""
    while (outcome := test.poll()) is None:
        on_tick()
        if run.interrupts >= 2:  # noqa: PLR2004  # the second one
            test.stop("interrupted by a person")
        elif run.ledger.is_late:
            test.stop("the study's time is up")
        run.wait()
    return outcome
