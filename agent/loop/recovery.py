"""Takes over what earlier runs of a study left: orphaned processes, unfinished trials, and learning curves."""

from __future__ import annotations

from dataclasses import dataclass

from tunesmith.agent.loop.study_run import StudyRun
from tunesmith.evaluator.supervision.orphans import end_orphans
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Trial, TrialState


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What an earlier run left: the number of processes that were still alive, and of lost trials queued again."""

    orphans: int
    requeued: int


def recover(run: StudyRun) -> Recovery:
    """End orphaned processes, queue unfinished trials, and load the curves and the incumbent."""
    orphans = end_orphans(run.folder)
    requeued = sum(_resume_trial(run, trial) for trial in run.recorder.history.unfinished(run.recorder.study_id))
    if run.candidate_pool is not None:
        run.curves.load(run.recorder.history.curves(run.recorder.study_id))
    run.choose_winner()
    trials = run.trials()
    run.trials_before = len(trials)
    run.set_aside_before = sum(t.is_set_aside and not t.is_replicate for t in trials)
    return Recovery(orphans=orphans, requeued=requeued)


def _resume_trial(run: StudyRun, trial: Trial) -> bool:
    """Queue an unfinished trial; return whether it had started before and gets its second attempt.

    A trial that never started just waits again. One that was lost twice fails.
    """
    run.ledger.add_numbered(trial)
    if trial.state is TrialState.WAITING:
        run.queue.waiting.append(trial)
        return False
    waits = run.judging is not None and run.judging.has_run(trial)
    if trial.attempt == 1 or run.options.after_full_disk or waits:
        reason = "its process was lost when tunesmith ended"
        attempt = 2
        if waits:
            reason, attempt = "its texts wait for the judge", trial.attempt
        if run.options.after_full_disk:
            reason, attempt = "it was ended because the disk was full", trial.attempt
        run.queue.waiting.append(run.recorder.record_requeue(trial, run.now(), reason=reason, attempt=attempt))
        run.early_stopping.forget(trial)
        return True
    failure = Failure(kind=FailureKind.LOST, reason="lost twice: tunesmith ended while it ran, both times")
    run.recorder.record_outcome(trial, Outcome(state=TrialState.FAILED, failure=failure), run.now())
    run.ledger.add_ended(trial)
    return False
