"""Starts a trial in a slot, then lets the planner prepare its next proposals."""

from __future__ import annotations

from dataclasses import replace

from tunesmith.agent.loop.slots.slot_pool import PoolSlot
from tunesmith.agent.loop.study_run import StudyRun
from tunesmith.evaluator.evaluation import Evaluation
from tunesmith.evaluator.evaluator import EditedCode
from tunesmith.study.errors import ProjectError
from tunesmith.study.trials.replicates.unlisted import is_listed, not_listed_text
from tunesmith.study.trials.results import is_present
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Trial, TrialState
from tunesmith.study.trials.view import ancestors
from tunesmith.study.variant import short_id


def start_trial(run: StudyRun, slot: PoolSlot, trial: Trial) -> bool:
    """Start a trial in a free slot; return whether it runs.

    A trial whose edited code cannot run fails at once. One that waited while the space or the instances changed does
    not run: the command would give it another configuration than its own.
    """
    if not is_present(trial, run.trials(), run.spec.space):
        _set_aside(run, trial, "it lies outside the present space")
        return False
    if not is_listed(trial, run.spec.instance_set):
        _set_aside(run, trial, not_listed_text(trial, run.spec.instance_set))
        return False
    now, index = run.now(), slot.resources.index
    try:
        code = edited_code(run, trial)
    except ProjectError as error:
        running = run.recorder.record_start(trial, index, now)
        failure = Failure(kind=FailureKind.CRASH, reason=str(error))
        run.recorder.record_outcome(running, Outcome(state=TrialState.FAILED, failure=failure), run.now())
        run.ledger.add_ended(running)
        return False
    slot.forget_observations()
    run.slots.note_sharing(slot)
    running = replace(trial, state=TrialState.RUNNING, slot=index, started_at=now)
    earlier = _shorter_runs(run, running)
    # Started, then recorded: where its folder cannot be made, the trial still waits and has lost no attempt.

    def start() -> Evaluation:
        return run.evaluator.start(running, slot.resources, slot.reported.append, earlier=earlier, code=code)

    slot.evaluation = run.judging.start(running, start) if run.judging is not None else start()
    run.recorder.record_start(trial, index, now)
    return True


def _set_aside(run: StudyRun, trial: Trial, reason: str) -> None:
    """Record that a waiting trial does not run because it does not belong to the study as it is now."""
    outcome = Outcome(state=TrialState.STOPPED, note=f"not run: {reason}")
    run.recorder.record_outcome(trial, outcome, run.now())
    run.ledger.add_ended(trial)
    run.announcer.note(f"trial {trial.number} does not run: {reason}")


def edited_code(run: StudyRun, trial: Trial) -> EditedCode | None:
    """Return the edited code that a trial runs; None for the project's own files.

    Raises:
        ProjectError: the study does not know the version any more, or edited code cannot run here.
    """
    code = trial.proposal.code
    if not code:
        return None
    if run.code is None or code not in run.code.variants():
        raise ProjectError(f"{short_id(code)} is not known; [edits] was removed from study.toml")
    if run.evaluator.edits_problem:
        raise ProjectError(run.evaluator.edits_problem)
    return EditedCode(*run.code.changed_files(code, trial.params))


def prepare_proposals(run: StudyRun) -> None:
    """Let the LLM prepare its next candidates and edits while trials run."""
    if run.candidate_pool is None or run.queue.is_tuning_over():
        return  # An answer could not be used any more.
    view = run.queue.view()
    run.candidate_pool.prepare(run.code.tuned(view)[1] if run.code is not None else view)
    if run.code is not None:
        run.code.prepare(view)


def _shorter_runs(run: StudyRun, trial: Trial) -> list[Trial]:
    """Return the earlier runs of the same configuration that this trial continues."""
    if run.spec.fidelity is None or trial.is_replicate:
        return []
    earlier = ancestors(trial, run.trials())
    run.early_stopping.trial_started(trial, earlier)
    return earlier
