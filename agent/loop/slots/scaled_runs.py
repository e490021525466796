"""Runs the study's choice and the default at the larger scale of [confirm], once each seed, and records every run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tunesmith.agent.loop.slots.side_runs import run_side_runs
from tunesmith.agent.loop.slots.slot_pool import PoolSlot
from tunesmith.agent.loop.slots.starting import edited_code
from tunesmith.agent.loop.study_run import StudyRun
from tunesmith.evaluator.evaluation import Evaluation
from tunesmith.study.config.filled import used_placeholders
from tunesmith.study.config.scaling import scale_text, scaled_proposal, scaled_spec
from tunesmith.study.formatting import count
from tunesmith.study.trials.replicates.seeds import scaling_seed
from tunesmith.study.trials.trial import Outcome, Trial, TrialState
from tunesmith.tools.analysis.confirmation.at_scale import (
    SCALE_ENDED,
    SCALE_STARTED,
    scale_detail,
    scale_start_detail,
    scaled_trials,
)

FOLDER = "scale"
"""Folder of the larger runs in the study's folder."""
MAX_STARTS = 2
"""Number of starts after which a run that never ended is given up."""


def run_at_scale(run: StudyRun, on_tick: Callable[[], None]) -> None:
    """Run what [confirm].scale asks for and has not run yet; nothing without it or where there is nothing to compare.

    Args:
        run: the run; its trials have ended.
        on_tick: called between polls, to answer commands and to record activity.
    """
    confirm = run.spec.confirm
    if confirm is None or not confirm.scale or run.interrupts:
        return
    waiting = _waiting(run)
    if not waiting:
        return
    if run.ledger.is_late:
        run.announcer.note("no time was left to run at a larger scale; run again with more")
        return
    run.announcer.note(f"running at a larger scale ({scale_text(confirm.scale)}): {count(len(waiting), 'run')}")
    larger = scaled_spec(run.spec)

    def start(trial: Trial, slot: PoolSlot) -> Evaluation:
        code, folder = edited_code(run, trial), run.folder / FOLDER / f"{trial.number:04d}-{trial.proposal.seed}"
        detail = scale_start_detail(trial, trial.proposal.seed, confirm.scale)
        run.recorder.record_event(SCALE_STARTED, run.now(), trial=trial, detail=detail)
        return run.evaluator.start_scaled(trial, slot.resources, larger, folder, code=code)

    def ended(trial: Trial, outcome: Outcome) -> None:
        detail = scale_detail(trial, trial.proposal.seed, confirm.scale, outcome)
        run.recorder.record_event(SCALE_ENDED, run.now(), trial=trial, detail=detail)

    run_side_runs(run, waiting, start, ended, on_tick)
    if _waiting(run):
        run.announcer.note("not all runs at the larger scale have ended; the next run continues with them")


def _waiting(run: StudyRun) -> list[Trial]:
    """Return the configurations to run, scaled, seed by seed, that have neither ended nor started too often."""
    spec, confirm = run.spec, run.spec.confirm
    if confirm is None:
        return []
    history, study = run.recorder.history, run.recorder.study_id
    events = [*history.events(study, SCALE_STARTED), *history.events(study, SCALE_ENDED)]
    own = [event for event in events if event.detail["scale"] == dict(confirm.scale)]
    ended = [event.detail for event in own if event.kind == SCALE_ENDED]
    done = {(d["trial"], d["seed"]) for d in ended if d["state"] != TrialState.STOPPED.value}
    # A run that was stopped, for lack of time or by a person, may start again; it does not count as an attempt.
    stopped = [(d["trial"], d["seed"]) for d in ended if d["state"] == TrialState.STOPPED.value]
    started = [(e.detail["trial"], e.detail["seed"]) for e in own if e.kind == SCALE_STARTED]
    takes_seed = "seed" in used_placeholders(spec)
    seeds = [scaling_seed(spec.study.seed, index) for index in range(confirm.scale_seeds if takes_seed else 1)]
    compared = scaled_trials(run.trials(), spec)
    wanted = [(trial, seed) for seed in seeds for trial in compared]
    return [
        replace(trial, proposal=scaled_proposal(trial.proposal, spec, seed), hidden=None)
        for trial, seed in wanted
        if (key := (trial.number, seed)) not in done and started.count(key) - stopped.count(key) < MAX_STARTS
    ]
