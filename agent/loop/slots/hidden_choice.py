"""Has the leaders of a study judged by data that its search never saw, once, and records which one that chooses.

Runs when all trials have ended. Values are kept in memory until every leader is judged and are then recorded in one
event together with the choice: a run that is killed before has looked at nothing, and judges again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tunesmith.agent.loop.slots.side_runs import run_side_runs
from tunesmith.agent.loop.slots.slot_pool import PoolSlot
from tunesmith.agent.loop.study_run import StudyRun
from tunesmith.agent.scheduler.repeats.hidden_leaders import OWN_FILES, HiddenLook, next_look
from tunesmith.evaluator.evaluation import Evaluation
from tunesmith.evaluator.files.hidden_digest import hidden_source
from tunesmith.evaluator.files.private_files import HIDDEN
from tunesmith.evaluator.files.workspace import remove_judge_workspace, workspace_of
from tunesmith.study.config.record import usage_detail
from tunesmith.study.formatting import count, strip_control
from tunesmith.study.trials.hidden import HIDDEN_CHOICE
from tunesmith.study.trials.observed.resources import usage_in_sequence
from tunesmith.study.trials.trial import Outcome, Trial, TrialState
from tunesmith.tools.analysis.confirmation.hidden_choice import Judged


def choose_by_hidden_data(run: StudyRun, on_tick: Callable[[], None]) -> None:
    """Judge the leaders that no earlier look judged, and record the choice; do nothing where none is new.

    Args:
        run: the run; its trials have ended.
        on_tick: called between polls, to answer commands and to record activity.
    """
    confirm, history = run.spec.confirm, run.recorder.history
    if confirm is None or confirm.command is None or run.interrupts:
        return
    events, source = history.events(run.recorder.study_id, HIDDEN_CHOICE), hidden_source(run.spec, run.options.project)
    look = next_look(run.spec, run.trials(), events, run.queue.steering, source)
    if look.is_settled:
        return
    if run.ledger.is_late:
        run.announcer.note("no time was left to choose by hidden data; run again with more")
        return
    if look.new and look.number > 1:
        run.announcer.note(f"look {look.number} at the hidden data: what it chooses looks better than it is")
    outcomes = _outcomes(run, _judged_runs(look.new, look), on_tick) if look.new else {}
    if outcomes is None:
        run.announcer.note("the choice by hidden data was stopped before it was made; the next run makes it")
        return
    judged = [_judged(leader, look, outcomes, run.spec.objectives[0].metric) for leader in look.new]
    choice = look.choice(judged, run.spec)
    if choice is None:
        reason = next((one.reason for one in judged if one.reason), "no leader kept files")
        run.announcer.note(f"no configuration was chosen by hidden data: {reason}")
        return
    trial, detail = choice
    usages = [outcome.usage for outcome in outcomes.values()]
    used = usage_detail(usage_in_sequence(usages) if usages else None)
    run.recorder.record_event(HIDDEN_CHOICE, run.now(), trial=trial, detail={**detail, **used})
    run.choose_winner()
    known = sum(bool(row["values"]) for row in detail["judged"])
    run.announcer.note(f"trial {trial.number} was chosen by hidden data among {count(known, 'configuration')}")


def _judged_runs(leaders: Sequence[Trial], look: HiddenLook) -> list[Trial]:
    """Return the runs to judge: those of the leaders on the look's seeds, or the leaders' own where it has none."""
    if not look.seeds:
        return list(leaders)
    numbers, seeds = {t.number for t in leaders}, set(look.seeds)
    repeats = [t for t in look.trials if t.proposal.replicate_of in numbers and t.proposal.seed in seeds]
    return [t for t in repeats if t.state is TrialState.COMPLETE and t.counts]


def _judged(leader: Trial, look: HiddenLook, outcomes: Mapping[int, Outcome], metric: str) -> Judged:
    """Return what the judge said of the runs of one configuration."""
    runs = [t for t in _judged_runs([leader], look) if t.number in outcomes]
    found = {(t.proposal.seed if look.seeds else OWN_FILES): outcomes[t.number] for t in runs}
    complete = {seed: outcome for seed, outcome in found.items() if outcome.state is TrialState.COMPLETE}
    values = {seed: outcome.values[metric] for seed, outcome in complete.items() if metric in outcome.values}
    reasons = [_reason(outcome) for outcome in found.values() if outcome.state is not TrialState.COMPLETE]
    missing = f"the judge printed no {metric}" if found else "no run of it on a fresh seed completed"
    return Judged(trial=leader.number, values=values, reason="" if values else next(iter(reasons), missing))


def _reason(outcome: Outcome) -> str:
    return strip_control(f"{outcome.failure.kind.value}: {outcome.failure.reason}" if outcome.failure else outcome.note)


def _outcomes(run: StudyRun, waiting: Sequence[Trial], on_tick: Callable[[], None]) -> dict[int, Outcome] | None:
    """Return what the judge said of each run; None if that was interrupted."""
    run.announcer.note(f"choosing by hidden data: {count(len(waiting), 'run')} to judge")
    found: dict[int, Outcome] = {}

    def start(trial: Trial, slot: PoolSlot) -> Evaluation:
        return run.evaluator.judge_hidden(trial, slot.resources)

    def ended(trial: Trial, outcome: Outcome) -> None:
        if outcome.state is not TrialState.STOPPED:
            found[trial.number] = outcome
        remove_judge_workspace(workspace_of(run.folder, trial.number), name=HIDDEN)

    run_side_runs(run, waiting, start, ended, on_tick)
    return found if len(found) == len(waiting) else None
