"""The main loop of a study: poll trials, finish them, enforce limits, fill slots, and write to the history.

The only process that writes the study's history. All state needed to resume is in the history, so the loop may be
killed at any line and started again. Knows no terminal: the display receives events.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from tunesmith.agent.loop.activity import record_activity
from tunesmith.agent.loop.breakdown import DEBUG_VARIABLE, internal_error, removed_files
from tunesmith.agent.loop.commands.service import CommandService
from tunesmith.agent.loop.factory import open_run
from tunesmith.agent.loop.judging.waiting import slots_without_judge, unjudged_slots
from tunesmith.agent.loop.limits.clocks import CLOCK_EVENT, ClockDrift, clock_jump_text
from tunesmith.agent.loop.limits.heap import keep_heap_small, return_free_memory
from tunesmith.agent.loop.limits.lock_wait import LockWait
from tunesmith.agent.loop.limits.watchdog import Watchdog, short_thread_slices
from tunesmith.agent.loop.notices.changed_files import changed_files_text
from tunesmith.agent.loop.notices.events import Ended, LoopEvent, Observed, Opened, Started
from tunesmith.agent.loop.notices.unread import unread_parameters
from tunesmith.agent.loop.recovery import Recovery, recover
from tunesmith.agent.loop.run_options import RunOptions
from tunesmith.agent.loop.slots.final_test import run_final_test
from tunesmith.agent.loop.slots.finishing import finish_trial, repeated_trial
from tunesmith.agent.loop.slots.hidden_choice import choose_by_hidden_data
from tunesmith.agent.loop.slots.scaled_runs import run_at_scale
from tunesmith.agent.loop.slots.slot_pool import PoolSlot
from tunesmith.agent.loop.slots.starting import prepare_proposals, start_trial
from tunesmith.agent.planner.estimates.cost_estimate import llm_estimate_text
from tunesmith.evaluator.files.free_disk import FREE_AGAIN, has_free_disk, waiting_for_disk_text
from tunesmith.evaluator.sandbox.limits import weak_limits
from tunesmith.history.without_secrets import redact_observations
from tunesmith.history.write import ObservationBatch
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import HistoryRemoved, TunesmithError
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.results import baseline_trial
from tunesmith.tools.analysis.findings.summary import summarize
from tunesmith.tools.control.inbox import Inbox

FLUSH_S = 1.0
"""Longest time that an observation waits before it is written."""
TRIALS_IN_ESTIMATE = 50
"""Number of trials for which the LLM's cost is estimated when the study has no limit of trials."""
DAMAGE_EVENT = "history_damaged"
"""Kind of the event that says what of the history was lost to damage of its file."""
SLOW_TURNS = "slow_turns.log"
"""File in the study's folder with the turns of the loop that took too long."""
TIME_LIMITS = ("hours", "until", "gpu_hours", "kwh")
"""Limits at which running trials are stopped."""


class Loop:
    """One run of a study. Create it, then call `run` once. `interrupt` may be called from a signal handler.

    Args:
        spec: the study.
        options: where and how it runs.
        on_event: called with every event, from the thread that calls `run`.

    Raises:
        InputError: another process writes the history, or a GPU or a package is missing.
    """

    def __init__(self, spec: StudySpec, options: RunOptions, *, on_event: Callable[[LoopEvent], None]) -> None:
        self._drift = ClockDrift(options.clocks)
        self._run = open_run(spec, options, on_event)
        self._run.recorder.wait_while(LockWait(self._run).keeps_waiting)
        self._inbox = Inbox(self._run.folder)
        self._watchdog = Watchdog(self._run.folder / SLOW_TURNS)
        self._commands = CommandService(self._run, self._inbox)
        self._announced_interrupts = 0
        self._had_free_disk = True
        self._steady = options.clocks.steady
        self._flushed_at = self._steady()

    def interrupt(self) -> None:
        """Ask the run to stop: the first call lets running trials finish, the second stops them. Signal-safe."""
        self._run.interrupts += 1

    @property
    def is_interrupted(self) -> bool:
        """Whether `interrupt` was called."""
        return self._run.interrupts > 0

    def run(self) -> Ended:
        """Run until a limit is reached, the space is exhausted, or `interrupt` is called; return how the run ended.

        Raises:
            TunesmithError: the run cannot continue; the message says why.
        """
        keep_heap_small()
        try:
            with self._inbox.owned(), short_thread_slices():
                self._open()
                self._watchdog.beat()
                self._watchdog.start()
                while not self._is_over():
                    self._watchdog.beat()
                    self._poll_trials()
                    self._commands.handle_commands()
                    self._enforce_limits()
                    self._advance_judging()
                    has_started = self._fill_slot()
                    record_activity(self._run)
                    self._flush_observations()
                    if not has_started:
                        self._run.wait()
                if not self._run.pause_reason:
                    choose_by_hidden_data(self._run, self._between_polls)
                    run_at_scale(self._run, self._between_polls)
                    run_final_test(self._run, self._between_polls)
                return self._end()
        except TunesmithError as error:
            known = error if isinstance(error, HistoryRemoved) else self._removed_files() or error
            self._run.announcer.notifier.send_failure(str(known))
            self._run.announcer.notifier.close()
            raise known from None
        except Exception as error:
            broken = self._broken_off(error)
            if broken is None:
                raise
            raise broken from None
        finally:
            self._close()

    # -- opening ------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        run = self._run
        recovery = recover(run)
        run.announcer.emit(self._opened_event(recovery))
        if run.recorder.damage:
            run.recorder.record_event(DAMAGE_EVENT, run.now(), detail={"text": run.recorder.damage})
            run.announcer.note(run.recorder.damage)
        if run.recorder.moved_from:
            run.announcer.note(f"this project moved: the study's earlier trials ran in {run.recorder.moved_from}")
        if recovery.orphans:
            processes = f"{recovery.orphans} process{'es' if recovery.orphans > 1 else ''}"
            run.announcer.note(f"ended {processes} left over from an earlier run")
        outside = run.recorder.history.left_out_text(run.recorder.record)
        for text in [
            *unused_parts(run.spec),
            *unread_parameters(run.spec, run.evaluator.snapshot.folder),
            *weak_limits(run.spec),
            *run.earlier_commands.words,
            *([outside] if outside else []),
        ]:
            run.announcer.note(text)
        for study in run.recorder.earlier:
            run.announcer.note(f"learns from {study.name}, {len(study.trials)} trials")
        run.recorder.record_variant(run.root)
        history, study_id = run.recorder.history, run.recorder.study_id
        if changed := changed_files_text(run.trials(), run.evaluator.snapshot, history, study_id):
            run.announcer.note(changed)
        run.record_deadline()

    def _opened_event(self, recovery: Recovery) -> Opened:
        run, record = self._run, self._run.recorder.record
        return Opened(
            record=record,
            slots=run.slots.size,
            gpus=tuple(gpu.id for gpu in run.executor.inventory.gpus),
            finished=record.spent.trials,
            requeued=recovery.requeued,
            best=run.best,
            winner=run.winner,
            front=run.front(),
            default=baseline_trial(run.trials(), run.spec),
            budget=run.ledger.budget,
            estimate=self._llm_estimate(),
        )

    def _llm_estimate(self) -> str:
        """Return the LLM's expected cost for the trials that are left; "" without an LLM or with a recorded one."""
        run = self._run
        recording = run.options.recording
        if run.candidate_pool is None or (recording is not None and recording.replay is not None):
            return ""
        trials = run.ledger.budget.trials
        left = TRIALS_IN_ESTIMATE if trials is None else trials - run.ledger.numbered
        return llm_estimate_text(run.spec, run.options.project, left) if left > 0 else ""

    # -- polling ------------------------------------------------------------------------------------------------

    def _poll_trials(self) -> None:
        """Read what running trials report, stop hopeless ones, and finish those that ended."""
        run = self._run
        for slot in run.slots:
            if slot.evaluation is None:
                continue
            outcome = slot.evaluation.poll()
            observations = slot.take_reported()
            if observations:
                self._take_in(slot, observations)
            if outcome is not None:
                self._keep(slot, slot.thinning.last_points())
                finish_trial(run, slot, outcome)
            elif observations:
                decision = run.early_stopping.stop_decision(slot.evaluation.trial, observations, run.queue.view)
                if decision:
                    slot.evaluation.stop(decision.note, decision.failure)
                elif other := repeated_trial(run, slot.evaluation.trial):
                    slot.evaluation.stop(
                        f"it repeats the first values of trial {other.number}, so the edit changes nothing"
                    )

    def _take_in(self, slot: PoolSlot, observations: Sequence[Observation]) -> None:
        trial = slot.trial
        assert trial is not None  # noqa: S101  # only an occupied slot reports
        observations = redact_observations(observations)
        self._keep(slot, slot.thinning.kept(observations))
        latest = {observation.metric: observation.value for observation in observations}
        self._run.announcer.emit(Observed(trial=trial, latest=latest, step=observations[-1].step))

    def _keep(self, slot: PoolSlot, observations: Sequence[Observation]) -> None:
        """Add points to the curves of a running trial."""
        trial = slot.trial
        assert trial is not None  # noqa: S101  # only an occupied slot reports
        slot.unwritten += observations
        self._run.curves.add(trial.number, observations)
        self._run.early_stopping.observe(trial, observations)

    def _flush_observations(self) -> None:
        """Write new observations, once a second at most."""
        if self._steady() - self._flushed_at < FLUSH_S:
            return
        unwritten = self._run.slots.take_unwritten()
        if unwritten:
            batches = [ObservationBatch(trial=trial, observations=found) for trial, found in unwritten]
            self._run.recorder.record_observations(batches)
        self._flushed_at = self._steady()

    # -- limits -------------------------------------------------------------------------------------------------

    def _enforce_limits(self) -> None:
        """Stop running trials after a second interrupt or when no time is left."""
        run = self._run
        run.work_clock.is_stopped = run.queue.is_paused and not run.slots.running()
        self._announce_interrupts()
        self._announce_clock_jump()
        if run.interrupts >= 2:  # noqa: PLR2004  # the second one
            for slot in run.slots.running():
                self._requeue(slot)
        elif run.queue.ended_by in ("", *TIME_LIMITS) and run.ledger.is_late:
            for slot in unjudged_slots(run):
                self._requeue(slot, "its texts wait for the judge")
            for slot in run.slots.running():
                assert slot.evaluation is not None  # noqa: S101  # it runs
                slot.evaluation.stop("the study's time is up")

    def _announce_interrupts(self) -> None:
        """Say what an interrupt does. `interrupt` itself cannot: a signal may arrive within any statement."""
        interrupts, running = self._run.interrupts, len(self._run.slots.running())
        if interrupts > self._announced_interrupts and running:
            trials = f"{running} running trial{'s' if running > 1 else ''}"
            text = f"stopping: {trials} will finish (Ctrl-C again to end them now); resume with the same command"
            if interrupts > 1:
                text = f"ending {trials} now; they are queued again when you resume"
            self._run.announcer.note(text)
        self._announced_interrupts = interrupts

    def _announce_clock_jump(self) -> None:
        jump_s = self._drift.jump_s()
        if jump_s:
            self._run.recorder.record_event(CLOCK_EVENT, self._run.now(), detail={"jump_s": jump_s})
            self._run.announcer.note(clock_jump_text(jump_s))

    def _advance_judging(self) -> None:
        """Take the judge's answers in, and queue trials again that wait for a judge whom nobody may or can ask now."""
        run = self._run
        if run.judging is None:
            return
        if run.judging.advance():
            run.choose_winner()
        for slot in slots_without_judge(run):
            self._requeue(slot, "its texts wait for the judge")

    def _requeue(self, slot: PoolSlot, reason: str = "interrupted by a person") -> None:
        """Kill a trial and queue it again. It is not its own fault, so the attempt does not count against it."""
        run, evaluation = self._run, slot.evaluation
        assert evaluation is not None  # noqa: S101  # it runs
        evaluation.kill("interrupted")
        while evaluation.poll() is None:
            run.wait()
        trial = evaluation.trial
        run.recorder.record_requeue(trial, run.now(), reason=reason, attempt=trial.attempt)
        run.early_stopping.forget(trial)
        slot.clear()

    # -- filling slots ------------------------------------------------------------------------------------------

    def _fill_slot(self) -> bool:
        """Start a trial in a free slot if one is due; return whether one was started.

        One per iteration: choosing a trial may take long, and others end meanwhile.
        """
        run = self._run
        if run.interrupts or run.queue.ended_by or not run.slots.free():
            return False
        if not self._has_free_disk() or (run.judging is not None and not run.judging.is_ready):
            if run.judging is None or not run.judging.keeps_run_open or run.ledger.is_late:
                run.queue.end_if_over()
            return False
        trial = run.queue.next()
        if trial is None:
            return False
        slot = run.slots.find_slot(trial)
        if slot is None:
            # It stays the next one until a GPU has enough free memory.
            run.queue.waiting.insert(0, trial)
            return False
        if start_trial(run, slot, trial):
            assert slot.trial is not None  # noqa: S101  # it runs
            run.announcer.emit(Started(trial=slot.trial))
            prepare_proposals(run)
        return True

    def _has_free_disk(self) -> bool:
        """Return whether the disk has room for another trial; announce when that changes."""
        has_free = has_free_disk(self._run.folder)
        if has_free != self._had_free_disk:
            self._had_free_disk = has_free
            text = FREE_AGAIN if has_free else waiting_for_disk_text(self._run.folder)
            self._run.announcer.note(text)
            if not has_free:
                self._run.announcer.notifier.send_disk_full(text)
        return has_free

    # -- ending -------------------------------------------------------------------------------------------------

    def _is_over(self) -> bool:
        return bool(self._run.interrupts or self._run.queue.ended_by) and not self._run.slots.running()

    def _between_polls(self) -> None:
        self._watchdog.beat()
        self._commands.handle_commands()
        record_activity(self._run)

    def _end(self) -> Ended:
        self._watchdog.close()
        run = self._run
        if run.candidate_pool is not None:
            run.candidate_pool.finish(run.queue.view())
        if run.code is not None:
            run.code.finish(run.queue.view())
        record_activity(run)
        by = run.queue.ended_by or "interrupted"
        run.recorder.record_end(by, run.now())
        record, trials = run.recorder.record, run.trials()
        ended = Ended(
            record=record,
            by=by,
            best=run.best,
            winner=run.winner,
            pause_reason=run.pause_reason,
            finished=len(run.ended),
            budget=run.ledger.budget,
        )
        notifier = run.announcer.notifier
        notifier.send_end(ended, lambda: summarize(record, trials).headline)
        notifier.close()
        record_activity(run)
        run.announcer.emit(ended)
        return ended

    def _removed_files(self) -> TunesmithError | None:
        return removed_files(self._run.options.history, self._run.folder)

    def _broken_off(self, error: Exception) -> TunesmithError | None:
        """Put running trials back, send the message of [notify], and return the error for people; None to debug."""
        found: TunesmithError | None = None
        try:
            for slot in self._run.slots.running():
                self._requeue(slot)
        except Exception as second:  # noqa: BLE001  # the first one is what people need to know, except for this cause
            found = second if isinstance(second, HistoryRemoved) else None
        found = found or self._removed_files() or internal_error(error, self._run.folder)
        notifier = self._run.announcer.notifier
        notifier.send_failure(str(found))
        notifier.close()
        return None if os.environ.get(DEBUG_VARIABLE) else found

    def _close(self) -> None:
        """Kill what still runs and release the history, even after an error."""
        self._watchdog.close()
        for slot in self._run.slots.running():
            assert slot.evaluation is not None  # noqa: S101  # it runs
            slot.evaluation.kill("tunesmith ended")
        self._run.resources.close()
        return_free_memory()  # the report needs room for its packages


def unused_parts(spec: StudySpec) -> list[str]:
    """Return a line for each part of the study file that this version reads but does not act on."""
    parts = []
    if spec.texts and not spec.planner.model:
        files = ", ".join(file for text in spec.texts for file in text.files)
        given = "texts run" if "," in files else "text runs"
        parts.append(f"without a model in [planner] nobody rewrites {files}: only the given {given}")
    elif spec.edits and not spec.planner.model:
        parts.append("[edits]: without a model in [planner] nobody proposes edits; only people do, by chat")
    return parts
