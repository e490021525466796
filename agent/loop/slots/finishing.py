"""What the loop does when a trial's process has ended: record the result, or run the trial again first."""

from __future__ import annotations

from dataclasses import replace

from tunesmith.agent.code_search.equal_start import equal_start
from tunesmith.agent.code_search.suspicious_gains import identical_run, is_suspicious_gain, resolve_rerun
from tunesmith.agent.code_search.training_time import LongerTraining, longer_training
from tunesmith.agent.loop.notices.events import Finished
from tunesmith.agent.loop.slots.slot_pool import PoolSlot, retry_reason
from tunesmith.agent.loop.slots.starting import edited_code
from tunesmith.agent.loop.slots.timed_pair import TimedPair
from tunesmith.agent.loop.study_run import StudyRun
from tunesmith.evaluator.evaluation import Evaluation
from tunesmith.evaluator.files.free_disk import has_free_disk
from tunesmith.study.config.record import usage_detail
from tunesmith.study.trials.replicates.seeds import tuning_seed
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Trial, TrialState, Usage
from tunesmith.study.variant import short_id
from tunesmith.tools.analysis.bounds.infeasibility import out_of_reach_text
from tunesmith.tools.analysis.broken_environment import FAILURES, failing_streak, pause_reason

FAILURES_BEFORE_WARNING = 3
"""Number of first trials that all fail the same way before the user is warned."""
TIMED_EVENT = "timed"
"""Kind of the event that says what comparing the training time of two versions used."""
TRIALS_BETWEEN_MODELS = 5
"""Number of complete trials after which a model is asked again whether a bound can be kept; it takes 0.1 s."""


def finish_trial(run: StudyRun, slot: PoolSlot, outcome: Outcome) -> None:
    """Record the outcome of the trial in a slot, unless it gets a second attempt or a check on another seed."""
    trial = slot.trial
    assert trial is not None  # noqa: S101  # only an occupied slot has an outcome
    if isinstance(slot.evaluation, TimedPair):
        _record_pair(run, slot.evaluation, outcome)
    elif (finding := _longer_training(run, trial, outcome)) is not None:
        if not finding.is_certain:
            _run_both_again(run, slot, outcome, finding)
            return
        failure = Failure(kind=FailureKind.TAMPERED, reason=finding.reason)
        outcome = replace(outcome, state=TrialState.FAILED, failure=failure)
    outcome = _with_counted_time_out(run, outcome)
    if slot.first_outcome is not None:
        _record(run, slot, trial, resolve_rerun(slot.first_outcome, outcome, run.trials(), run.spec))
    elif reason := retry_reason(slot, outcome, has_free_disk=has_free_disk(run.folder)):
        _queue_second_attempt(run, slot, trial, reason, outcome.usage)
    elif _is_suspicious(run, trial, outcome):
        _rerun_on_another_seed(run, slot, trial, outcome)
    else:
        _record(run, slot, trial, outcome)


def _record(run: StudyRun, slot: PoolSlot, trial: Trial, outcome: Outcome) -> None:
    ended = run.recorder.record_outcome(trial, outcome, run.now(), rest=slot.unwritten)
    slot.clear()
    run.early_stopping.trial_ended()
    run.slots.trial_ended()
    note_ended(run, ended)
    run.ledger.add_usage(outcome.usage)
    run.ledger.saved = run.recorder.history.saved_runs(run.recorder.study_id, run.spec)
    before = run.best
    run.choose_winner()
    improved = (
        run.best is not None and run.best.number == ended.number and (before is None or before.number != ended.number)
    )
    run.announcer.emit(
        Finished(
            trial=ended,
            best=run.best,
            winner=run.winner,
            improved=improved,
            spent=run.ledger.spent(),
            front=run.front(),
        )
    )
    pause_if_broken(run)
    if not run.pause_reason:
        _warn_of_bad_start(run, ended)
        _note_out_of_reach(run)
    _update_code_version(run, ended)


def note_ended(run: StudyRun, trial: Trial) -> None:
    """Count a trial that ended."""
    run.ended.append(trial.number)
    run.ledger.add_ended(trial)
    run.count_trials()


def pause_if_broken(run: StudyRun) -> None:
    """End the run when trials fail for every configuration, and take that back when one of the last ones works."""
    streak = [] if run.options.keep_going else failing_streak(run.trials(), run.ended)
    if streak and not run.pause_reason:
        run.pause_reason = pause_reason(streak)
        run.announcer.note(run.pause_reason)
        run.announcer.notifier.send_paused(run.pause_reason, streak[-1])
    elif not streak:
        run.pause_reason = ""
    if run.pause_reason:
        run.queue.ended_by = FAILURES
    elif run.queue.ended_by == FAILURES:
        run.queue.ended_by = ""


def _queue_second_attempt(run: StudyRun, slot: PoolSlot, trial: Trial, reason: str, usage: Usage) -> None:
    """Queue a trial again under its own number, as attempt 2."""
    slot.clear()
    run.queue.waiting.append(run.recorder.record_requeue(trial, run.now(), reason=reason, attempt=2, usage=usage))
    run.ledger.add_usage(usage)
    run.early_stopping.forget(trial)
    run.curves.drop(trial.number)
    run.announcer.note(f"#{trial.number} runs again: {reason}")


def _longer_training(run: StudyRun, trial: Trial, outcome: Outcome) -> LongerTraining | None:
    """Return how edited code trained longer than the code that it was made from; None if it may, or did not."""
    edits = run.spec.edits
    # A judge of time measures what this would guess.
    is_timed = run.spec.evaluate is not None and run.spec.evaluate.is_time
    if not trial.proposal.code or run.code is None or edits is None or edits.time == "free" or is_timed:
        return None
    return longer_training(trial, outcome, run.trials(), run.code.variants(), run.curves.last_steps)


def _run_both_again(run: StudyRun, slot: PoolSlot, outcome: Outcome, finding: LongerTraining) -> None:
    """Compare the time of a trial with that of the code before it under the same load, before it counts as tampered."""
    trial, code = slot.trial, finding.compared.proposal.code
    assert trial is not None  # noqa: S101  # only an occupied slot has an outcome
    space = run.code.space_of(code) if run.code is not None and code else run.spec.space
    params = {name: value for name, value in trial.params.items() if name in space.parameters}
    before = replace(trial, proposal=replace(trial.proposal, params=params, variant=finding.compared.proposal.variant))
    run.announcer.note(f"trial {trial.number} seems to train longer ({finding.reason}); both run again to compare")
    slot.evaluation = TimedPair(
        trial,
        outcome,
        finding,
        edited=lambda: run.evaluator.time_training(trial, slot.resources, "timed", code=edited_code(run, trial)),
        before=lambda: run.evaluator.time_training(
            before, slot.resources, "timed-before", code=edited_code(run, before)
        ),
        at_once=not slot.resources.gpus,
    )


def _record_pair(run: StudyRun, pair: TimedPair, outcome: Outcome) -> None:
    run.ledger.add_usage(pair.usage)
    run.recorder.record_event(TIMED_EVENT, run.now(), trial=pair.trial, detail=usage_detail(pair.usage))
    if outcome.state is TrialState.COMPLETE:
        run.announcer.note(f"trial {pair.trial.number} trains no longer than the code before it, so it counts")


def _with_counted_time_out(run: StudyRun, outcome: Outcome) -> Outcome:
    """Return the outcome; a time-out as a complete run of `par` times the timeout, if [instances] says so."""
    instances, timeout_s, failure = run.spec.instances, run.spec.run.timeout, outcome.failure
    if instances is None or instances.par is None or timeout_s is None:
        return outcome
    if failure is None or failure.kind is not FailureKind.TIMEOUT:
        return outcome
    counted = instances.par * timeout_s
    note = f"timed out after {timeout_s:g} s, which counts as {counted:g} (PAR{instances.par:g})"
    values = {**outcome.values, run.spec.objectives[0].metric: counted}
    return replace(outcome, state=TrialState.COMPLETE, values=values, failure=None, note=note)


def _is_suspicious(run: StudyRun, trial: Trial, outcome: Outcome) -> bool:
    trials = run.trials() if trial.proposal.code else []
    return is_suspicious_gain(trial, outcome, trials, run.spec)


def _rerun_on_another_seed(run: StudyRun, slot: PoolSlot, trial: Trial, outcome: Outcome) -> None:
    """Run edited code again on another seed before an implausible gain counts."""
    slot.first_outcome = outcome
    run.announcer.note(f"trial {trial.number} improved suspiciously much; re-running with another seed")
    seed = tuning_seed(trial.proposal.seed, trial.number)
    rerun = replace(trial, proposal=replace(trial.proposal, seed=seed))
    code = edited_code(run, rerun)

    def start() -> Evaluation:
        return run.evaluator.start(rerun, slot.resources, lambda observation: None, code=code)

    slot.evaluation = run.judging.start(rerun, start) if run.judging is not None else start()


def _warn_of_bad_start(run: StudyRun, trial: Trial) -> None:
    """Warn once when no trial has worked yet: most often the command is wrong, and a night would be lost."""
    if trial.number != FAILURES_BEFORE_WARNING - 1 or run.best is not None or trial.failure is None:
        return
    kind, reason = trial.failure.kind, trial.failure.reason
    if all(t.failure and t.failure.kind is kind for t in run.trials() if t.state.is_finished):
        failed = f"all {FAILURES_BEFORE_WARNING} trials so far failed as {kind.value}: {reason}"
        run.announcer.note(f"{failed}; if the command is wrong, stop with Ctrl-C")


def _note_out_of_reach(run: StudyRun) -> None:
    """Say it once when a model of the trials shows that nothing in the space keeps the bounds."""
    if run.best is not None or not run.spec.metric_constraints:
        return
    finished = sum(t.state is TrialState.COMPLETE for t in run.trials())
    if run.out_of_reach or finished % TRIALS_BETWEEN_MODELS:
        return
    run.out_of_reach = out_of_reach_text(run.trials(), run.spec.metric_constraints, run.spec.space)
    if run.out_of_reach:
        run.announcer.note(run.out_of_reach)


def repeated_trial(run: StudyRun, trial: Trial) -> Trial | None:
    """Return the trial of other code whose first values the first trial of a version repeats; None without one."""
    if run.code is None or not trial.proposal.code or trial.is_replicate:
        return None
    variant = run.code.variants().get(trial.proposal.code)
    trials = run.trials()
    is_first = not any(t.proposal.code == trial.proposal.code and t.number < trial.number for t in trials)
    return equal_start(trial, trials, run.curves.series, variant.diff) if variant is not None and is_first else None


def _update_code_version(run: StudyRun, trial: Trial) -> None:
    """Record what a trial shows about the version of the code that it ran, such as that it is broken."""
    if run.code is None or trial.is_replicate:
        return
    trials = run.trials()
    identical = identical_run(trial, trials, run.curves.values)
    if identical is None and trial.state is TrialState.STOPPED:
        identical = repeated_trial(run, trial)
    fate = run.code.variant_outcome(trial, trials, identical)
    if fate is not None:
        run.recorder.record_variant_state(fate.variant, fate.state, fate.reason)
        run.announcer.note(f"{short_id(fate.variant.id)} is {fate.state.value}: {fate.reason}")
