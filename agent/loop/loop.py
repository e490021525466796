"""Runs one study: asks, runs, watches and records until the budget is spent. The only process that writes its history.

Everything it needs to go on stands in the history: it may be killed at any line and started again. Knows no terminal:
whoever watches gets `LoopEvent`.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from tunesmith.agent.code_search.factory import make_code_search
from tunesmith.agent.code_search.search import CodeSearch
from tunesmith.agent.code_search.suspicious_gains import is_suspicious_gain, resolve_rerun, identical_run
from tunesmith.agent.llm.background import DaemonRunner
from tunesmith.agent.loop.budget_ledger import BudgetLedger
from tunesmith.agent.loop.clocks import CLOCK_EVENT, DEADLINE_EVENT, ClockDrift, Clocks, clock_jump_text, resolve_budget
from tunesmith.agent.loop.commands.decisions import (
    COMMAND_EVENT,
    CommandDecision,
    RunState,
    decide,
    event_detail,
    read_earlier_commands,
)
from tunesmith.agent.loop.events import Ended, Finished, LoopEvent, Note, Observed, Opened, Started
from tunesmith.agent.loop.notifications import Notifier
from tunesmith.agent.loop.slot_pool import PoolSlot, SlotPool, retry_reason
from tunesmith.agent.loop.trial_queue import Proposers, TrialQueue, TrialStore
from tunesmith.agent.planner.factory import Tape, kept, llm_estimate, make_arbiter, make_planner, open_model
from tunesmith.agent.sampler.registry import make_sampler
from tunesmith.agent.scheduler.early_stopping import Watch
from tunesmith.evaluator.evaluation import EditedCode, Evaluation, Evaluator
from tunesmith.evaluator.executors.handle import ExecutorHandle
from tunesmith.evaluator.executors.slots import Slot
from tunesmith.evaluator.free_disk import has_free_disk, waiting_for_disk_text
from tunesmith.evaluator.supervision.orphans import end_orphans
from tunesmith.history.read import History
from tunesmith.history.write import ObservationBatch, Recorder
from tunesmith.prompts.history_summary import downsample
from tunesmith.study.commands import parse_command
from tunesmith.study.config.budget import Spent
from tunesmith.study.config.record import Event
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import InputError, ProjectError, ToolRefused, TunesmithError
from tunesmith.study.trials.observation import Observation
from tunesmith.study.trials.results import incumbent, is_feasible
from tunesmith.study.trials.seeds import tuning_seed
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Proposal, Trial, TrialState, Usage
from tunesmith.study.trials.view import StudyView, ancestors
from tunesmith.study.units import short_number
from tunesmith.study.variant import Variant, VariantState, short_id
from tunesmith.tools.analysis.held_out_test import (
    TEST_ENDED,
    TEST_STARTED,
    is_test_due,
    test_ended_detail,
    test_started_detail,
)
from tunesmith.tools.analysis.summary import summarize
from tunesmith.tools.control.inbox import Inbox, PendingCommand
from tunesmith.tools.variants.rules import gate_rules

FLUSH_S = 1.0
"""Observations are written at most this long after they were made."""
BAD_START = 3
"""After so many failures in a row from the first trial on, a person is told."""
ESTIMATED = 50
"""For so many trials the LLM's cost is estimated when only time is limited."""
TICK_S = 0.05
"""How long the loop sleeps when no trial ends; a trial's end wakes it at once."""


T = TypeVar("T")


class Loop:
    """One run of a study. Make it, then call `run` once; `interrupt` may be called meanwhile from a signal handler.

    Args:
        spec: the study.
        project: the folder of study.toml; trials run from a copy of it.
        history: the history file.
        tell: is handed every piece of news, from the thread that calls `run`.
        tape: where the LLM's answers are kept or come from.
        unsafe_edits: whether edited code may run without the sandbox.
        clocks: what tells the time.

    Raises:
        InputError: the history is held by another process, a GPU or a package is missing.
    """

    def __init__(  # noqa: PLR0913, PLR0915  # each is another part of a study
        self,
        spec: StudySpec,
        *,
        project: Path,
        history: Path,
        cpus: int,
        tell: Callable[[LoopEvent], None],
        tape: Tape | None = None,
        unsafe_edits: bool = False,
        clocks: Clocks = Clocks(),  # noqa: B008  # frozen
    ) -> None:
        before = _events_before(history, spec.study.name)
        self._kept = read_earlier_commands(spec, before[COMMAND_EVENT])
        spec = self._kept.spec
        self._spec, self._project = spec, project
        self._answered = set(self._kept.names)
        self._replays = tape is not None and tape.replay is not None
        self._show = tell
        self._notifier = Notifier(spec, project=project, wall=clocks.wall)
        self._clock, self._steady = clocks.wall, clocks.steady
        self._drift = ClockDrift(clocks)
        sampler = make_sampler(spec.planner.sampler)
        self._model = open_model(spec.planner, tape) if spec.planner.model else None
        self._folder = history.parent / spec.study.name
        self._wake = threading.Event()
        self._site = ExecutorHandle(spec, folder=self._folder, cpus=cpus, wake=self._wake.set)
        budget = resolve_budget(spec.budget, self._clock(), deadlines=before[DEADLINE_EVENT], ends=before["ended"])
        opened_at = self._steady()
        self._recorder = Recorder(history, spec, project=str(project), now=self._clock(), steady=self._steady)
        self._opened = ExitStack()
        self._opened.callback(self._recorder.close)
        spent = self._recorder.record.spent
        self._account = BudgetLedger(budget, spent, clocks=clocks, opened_at=opened_at, llm=self._llm_spent)
        runner = DaemonRunner(self._wake.set)
        arbiter, self._candidate_pool = make_arbiter(
            spec,
            sampler,
            model=self._model,
            project=project,
            runner=runner,
            budget=budget,
            spent=spent,
            lessons=self._recorder.lessons_known(),
            left=self._account.left_in_words,
            curves=self._curves_so_far,
            wishes=self._kept.steering.words,
        )
        self._mailbox = Inbox(self._folder)
        self._evaluator = self._or_leave(
            lambda: Evaluator(
                spec, project=project, folder=self._folder, unsafe_edits=unsafe_edits, executor=self._site.executor
            )
        )
        self._opened.callback(self._evaluator.close)
        self._places = SlotPool(
            self._or_leave(lambda: self._site.slots(spec)),
            spec,
            memory_gib={gpu.id: gpu.memory_gib for gpu in self._site.inventory.gpus},
            trials=self._trials,
        )
        self._root = Variant(id=self._evaluator.variant, files=self._evaluator.editable, created_at=self._clock())
        self._code = self._or_leave(lambda: self._open_code(runner)) if spec.edits else None
        self._watch = Watch(spec, self._recorder.history.curves(self._recorder.study_id))
        self._agenda = TrialQueue(
            spec,
            past=TrialStore(trials=self._trials, record=self._record, earlier=self._recorder.earlier),
            account=self._account,
            places=self._places,
            proposers=Proposers(arbiter=arbiter, sampler=sampler, code=self._code, variant=self._evaluator.variant),
            watch=self._watch,
            steering=self._kept.steering,
            clocks=clocks,
            note=lambda text: self._tell(Note(text=text)),
        )
        self._curves: dict[int, list[float]] = defaultdict(list)
        self._best: Trial | None = None
        self._interrupts = 0
        self._interrupts_told = 0
        self._had_room = True
        self._flushed_at = self._steady()

    def _open_code(self, runner: DaemonRunner) -> CodeSearch:
        if self._model is not None and self._evaluator.refuses_edits:
            raise ProjectError(f"[edits]: {self._evaluator.refuses_edits}")
        return make_code_search(
            self._spec,
            self._root,
            self._recorder.history.variants(self._recorder.study_id),
            project=self._project,
            model=self._model,
            candidate_pool=self._candidate_pool,
            runner=runner,
            curve=lambda number: ", ".join(short_number(v) for v in downsample(self._curves.get(number, []))),
        )

    def _or_leave(self, make: Callable[[], T]) -> T:
        """Return what only now can be told, such as a cluster's places; where it is missing, nothing is left open."""
        try:
            return make()
        except InputError:
            self._opened.close()
            raise

    def _llm_spent(self) -> Spent | None:
        return self._candidate_pool.spent if self._candidate_pool is not None else None

    def _trials(self) -> Sequence[Trial]:
        return self._recorder.history.trials(self._recorder.study_id)

    def _record(self, proposal: Proposal) -> Trial:
        return self._recorder.record_proposal(proposal, self._clock())

    def interrupt(self) -> None:
        """Ask to end: once lets running trials finish, twice ends them now. Safe in a signal handler."""
        self._interrupts += 1

    def run(self) -> Ended:
        """Run until a limit is reached, the space is exhausted, or `interrupt` was called; return how it ended."""
        try:
            with self._mailbox.owned():
                self._open()
                while not self._is_over():
                    self._collect()
                    self._serve()
                    self._obey()
                    started = self._fill()
                    self._heed()
                    self._flush()
                    if not started:
                        self._wake.wait(TICK_S)
                        self._wake.clear()
                self._test()
                return self._end()
        except TunesmithError as error:
            self._notifier.broke(str(error))
            self._notifier.close()
            raise
        finally:
            self._leave()

    def _tell(self, news: LoopEvent) -> None:
        self._show(news)
        self._notifier.heed(news)

    # -- opening ------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        record = self._recorder.record
        strays = end_orphans(self._folder)
        requeued = self._recover()
        if self._candidate_pool is not None:
            self._recall_curves()
        best, default = self._recorder.history.best(record), self._recorder.history.default(record.id)
        self._best = best
        self._tell(
            Opened(
                record=record,
                slots=self._places.wanted,
                gpus=tuple(gpu.id for gpu in self._site.inventory.gpus),
                finished=record.spent.trials,
                requeued=requeued,
                best=best,
                default=default,
                budget=self._account.budget,
                estimate=self._llm_estimate(),
            )
        )
        if strays:
            self._tell(Note(text=f"ended {strays} process{'es' if strays > 1 else ''} left over from an earlier run"))
        for text in [*unused_parts(self._spec), *self._kept.words]:
            self._tell(Note(text=text))
        for study in self._recorder.earlier:
            self._tell(Note(text=f"learns from {study.name}, {len(study.trials)} trials"))
        self._note_variant()
        self._keep_deadline()

    def _keep_deadline(self) -> None:
        until, moment = self._spec.budget.until, self._account.budget.until
        if until is not None and moment is not None:
            detail = {"until": until.isoformat(), "moment": moment}
            self._recorder.record_event(DEADLINE_EVENT, self._clock(), detail=detail)

    def _llm_estimate(self) -> str:
        """Return what the LLM will take for the trials that are left, or for some when only time is limited."""
        if self._candidate_pool is None or self._replays:
            return ""
        trials = self._account.budget.trials
        left = ESTIMATED if trials is None else trials - self._account.begun
        return llm_estimate(self._spec, self._project, left) if left > 0 else ""

    def _recover(self) -> int:
        """Queue what an earlier run left unfinished: lost trials run again once, those never started simply run."""
        lost = 0
        for trial in self._recorder.history.unfinished(self._recorder.study_id):
            self._account.add_begun(trial)
            if trial.state is TrialState.WAITING:
                self._agenda.queue.append(trial)
            elif trial.attempt == 1:
                reason = "its process was lost when tunesmith ended"
                self._agenda.queue.append(self._recorder.record_requeue(trial, self._clock(), reason=reason, attempt=2))
                self._watch.forget(trial)
                lost += 1
            else:
                failure = Failure(kind=FailureKind.LOST, reason="lost twice: tunesmith ended while it ran, both times")
                outcome = Outcome(state=TrialState.FAILED, failure=failure)
                self._recorder.record_outcome(trial, outcome, self._clock())
                self._account.add_ended(trial)
        return lost

    def _note_variant(self) -> None:
        if self._recorder.record_variant(self._root) and self._account.before.trials:
            self._tell(
                Note(text="the project's files changed since the last run; earlier trials ran with the old ones")
            )

    # -- one turn -----------------------------------------------------------------------------------------------

    def _heed(self) -> None:
        """Keep what the LLM was asked and said, and pass on what a person should know."""
        for text in self._notifier.problems():
            self._tell(Note(text=text))
        if self._code is not None:
            self._heed_code(self._code)
        if self._candidate_pool is None:
            return
        calls, lessons = self._candidate_pool.drain_calls(), self._candidate_pool.drain_lessons()
        if calls:
            self._recorder.record_llm_calls([kept(told) for told in calls])
        if lessons:
            self._recorder.record_lessons(lessons, self._clock())
        for text in self._candidate_pool.drain_notes():
            self._recorder.record_event("llm", self._clock(), detail={"note": text})
            self._tell(Note(text=text))

    def _heed_code(self, code: CodeSearch) -> None:
        """Keep the versions that were made, and put what they cost on the LLM's bill."""
        for variant in code.drain_variants():
            self._recorder.record_variant(variant)
            self._tell(Note(text=_told(variant)))
        for text in code.drain_notes():
            self._recorder.record_event("llm", self._clock(), detail={"note": text})
            self._tell(Note(text=text))
        if self._candidate_pool is not None:
            self._candidate_pool.charge(code.drain_calls())

    def _recall_curves(self) -> None:
        """Take in the curves that earlier runs of the study saw, for the LLM."""
        first = self._spec.objectives[0].metric
        for number, observations in self._recorder.history.curves(self._recorder.study_id).items():
            self._curves[number] = [o.value for o in observations if o.metric == first]

    def _curves_so_far(self, view: StudyView) -> dict[int, list[float]]:  # noqa: ARG002  # all that are known
        """Return every curve as a few numbers. Called beside the training, so it touches no database."""
        return {number: downsample(list(values)) for number, values in list(self._curves.items())}

    def _collect(self) -> None:
        """Take in what running trials report, and record those that ended."""
        for place in self._places:
            if place.evaluation is None:
                continue
            seen = len(place.unwritten)
            outcome = place.evaluation.poll()
            news = place.unwritten[seen:]
            if news:
                self._tell_progress(place, news)
            if outcome is not None:
                self._finish(place, outcome)
            elif news and (verdict := self._watch.verdict(place.evaluation.trial, news, self._agenda.view)):
                place.evaluation.stop(verdict.note, verdict.failure)

    def _tell_progress(self, place: PoolSlot, news: Sequence[Observation]) -> None:
        assert place.trial is not None  # noqa: S101  # only a place with an evaluation reports
        first = self._spec.objectives[0].metric
        self._curves[place.trial.number] += [o.value for o in news if o.metric == first]
        self._watch.saw(place.trial, news)
        latest = {observation.metric: observation.value for observation in news}
        self._tell(Observed(trial=place.trial, latest=latest, step=news[-1].step))

    def _finish(self, place: PoolSlot, outcome: Outcome) -> None:
        assert place.trial is not None  # noqa: S101  # only a place with an evaluation finishes
        again = retry_reason(place, outcome, has_room=has_free_disk(self._folder)) if place.first is None else ""
        if again:
            self._run_again(place, again, outcome.usage)
            return
        if place.first is None and self._is_doubtful(place.trial, outcome):
            self._doubt(place, outcome)
            return
        if place.first is not None:
            trials = self._trials()
            outcome, place.first = resolve_rerun(place.first, outcome, trials, self._spec), None
        trial = self._recorder.record_outcome(place.trial, outcome, self._clock(), rest=place.unwritten)
        place.clear()
        self._watch.ended()
        self._places.ended()
        self._account.add_ended(trial)
        self._account.add_usage(outcome.usage)
        if self._spec.pace == "curves":
            self._account.saved = self._recorder.history.saved_runs(self._recorder.study_id)
        improved = self._improves(trial)
        if improved:
            self._best = trial
        self._tell(Finished(trial=trial, best=self._best, improved=improved, spent=self._account.spent()))
        self._warn_of_a_bad_start(trial)
        self._settle_version(trial)

    def _is_doubtful(self, trial: Trial, outcome: Outcome) -> bool:
        trials = self._trials() if trial.proposal.code else []
        return is_suspicious_gain(trial, outcome, trials, self._spec)

    def _doubt(self, place: PoolSlot, outcome: Outcome) -> None:
        """Run a trial again on another seed before a gain that nothing makes plausible counts."""
        assert place.evaluation is not None  # noqa: S101  # it ended just now
        trial, place.first = place.evaluation.trial, outcome
        text = f"trial {trial.number} is too good to be taken at its word; it runs again on another seed"
        self._tell(Note(text=text))
        seed = tuning_seed(trial.proposal.seed, trial.number)
        again = replace(trial, proposal=replace(trial.proposal, seed=seed))
        code = self._code_of(again)
        place.evaluation = self._evaluator.start(again, place.slot, lambda observation: None, code=code)

    def _settle_version(self, trial: Trial) -> None:
        """Note what a trial says of the version of the code that it ran."""
        if self._code is None or trial.is_replicate:
            return
        trials = self._trials()
        fate = self._code.variant_outcome(trial, trials, identical_run(trial, trials, self._curves))
        if fate is not None:
            self._recorder.record_variant_state(fate.variant, fate.state, fate.reason)
            name = short_id(fate.variant.id)
            self._tell(Note(text=f"{name} is {fate.state.value}: {fate.reason}"))

    def _run_again(self, place: PoolSlot, reason: str, usage: Usage) -> None:
        """Queue a trial for a second attempt; its number stays, and the attempt counts."""
        assert place.trial is not None  # noqa: S101  # it ran just now
        trial = place.trial
        place.clear()
        waiting = self._recorder.record_requeue(trial, self._clock(), reason=reason, attempt=2, usage=usage)
        self._agenda.queue.append(waiting)
        self._account.add_usage(usage)
        self._watch.forget(trial)
        self._curves.pop(trial.number, None)
        self._tell(Note(text=f"#{trial.number} runs again: {reason}"))

    def _warn_of_a_bad_start(self, trial: Trial) -> None:
        """Say it once when nothing has worked yet: most often the command is wrong, and a night would be lost on it."""
        if trial.number != BAD_START - 1 or self._best is not None or trial.failure is None:
            return
        trials = self._trials()
        if all(t.failure and t.failure.kind is trial.failure.kind for t in trials if t.state.is_finished):
            kind, reason = trial.failure.kind.value, trial.failure.reason
            text = f"all {BAD_START} trials so far failed as {kind}: {reason}; if the command is wrong, end with Ctrl-C"
            self._tell(Note(text=text))

    def _improves(self, trial: Trial) -> bool:
        if trial.is_replicate or trial.state is not TrialState.COMPLETE or not is_feasible(trial, self._spec.bounds):
            return False
        rivals = [trial] if self._best is None else [self._best, trial]
        return incumbent(rivals, self._spec.objectives) is trial

    def _obey(self) -> None:
        """End running trials when a person asked twice or when no time is left."""
        self._tell_interrupts()
        self._tell_jump()
        if self._interrupts >= 2:
            for place in self._places.running():
                self._put_back(place)
        elif self._agenda.ended_by in ("", "hours", "until", "gpu_hours", "kwh") and self._account.is_late:
            for place in self._places.running():
                assert place.evaluation is not None  # noqa: S101  # it runs
                place.evaluation.stop("the study's time is up")

    def _tell_interrupts(self) -> None:
        """Say what an interrupt does. Not done in `interrupt` itself, where a signal may have cut any line in two."""
        asked, running = self._interrupts, len(self._places.running())
        if asked > self._interrupts_told and running:
            trials = f"{running} running trial{'s' if running > 1 else ''}"
            text = f"stopping: {trials} will finish (Ctrl-C again to end them now); resume with the same command"
            if asked > 1:
                text = f"ending {trials} now; what ran is queued again when you resume"
            self._tell(Note(text=text))
        self._interrupts_told = asked

    def _tell_jump(self) -> None:
        jump_s = self._drift.jump_s()
        if jump_s:
            self._recorder.record_event(CLOCK_EVENT, self._clock(), detail={"jump_s": jump_s})
            self._tell(Note(text=clock_jump_text(jump_s)))

    def _put_back(self, place: PoolSlot) -> None:
        """End a trial at once and let it wait: it was ended by a person, so the attempt does not count against it."""
        evaluation = place.evaluation
        assert evaluation is not None  # noqa: S101  # it runs
        evaluation.kill("interrupted")
        while evaluation.poll() is None:
            self._wake.wait(TICK_S)
            self._wake.clear()
        reason = "interrupted by a person"
        self._recorder.record_requeue(evaluation.trial, self._clock(), reason=reason, attempt=evaluation.trial.attempt)
        self._watch.forget(evaluation.trial)
        place.clear()

    def _fill(self) -> bool:
        """Start a trial in a free place if one is due; return whether one was.

        One a turn: choosing it may take long, and meanwhile others end.
        """
        if self._interrupts or self._agenda.ended_by or not self._places.free():
            return False
        if not self._has_room():
            self._agenda.end_if_over()
            return False
        trial = self._agenda.next()
        if trial is None:
            return False
        place = self._places.roomy(trial)
        if place is None:
            # It is the next one as soon as a GPU has room for it.
            self._agenda.queue.insert(0, trial)
            return False
        self._start(place, trial)
        return True

    def _has_room(self) -> bool:
        """Tell whether the disk has room for another trial; a person is told when that changes."""
        has = has_free_disk(self._folder)
        if has != self._had_room:
            self._had_room = has
            text = "the disk has room again" if has else waiting_for_disk_text(self._folder)
            self._tell(Note(text=text))
            if not has:
                self._notifier.stuck(text)
        return has

    def _code_of(self, trial: Trial) -> EditedCode | None:
        """Return the edited code that a trial runs, None for the project as it stands.

        Raises:
            ProjectError: the study has no such version any more, or it cannot run here.
        """
        if not trial.proposal.code:
            return None
        if self._code is None or trial.proposal.code not in self._code.variants():
            raise ProjectError(f"{short_id(trial.proposal.code)} is not known; [edits] was taken out of study.toml")
        if self._evaluator.refuses_edits:
            raise ProjectError(self._evaluator.refuses_edits)
        return EditedCode(*self._code.files_of(trial.proposal.code))

    def _start(self, place: PoolSlot, trial: Trial) -> None:
        running = self._recorder.record_start(trial, place.slot.index, self._clock())
        place.unwritten = []
        self._places.note_sharing(place)
        earlier = self._shorter_runs(running)
        try:
            code = self._code_of(running)
        except ProjectError as error:
            failure = Failure(kind=FailureKind.CRASH, reason=str(error))
            self._recorder.record_outcome(running, Outcome(state=TrialState.FAILED, failure=failure), self._clock())
            self._account.add_ended(running)
            return
        place.evaluation = self._evaluator.start(
            running, place.slot, place.unwritten.append, earlier=earlier, code=code
        )
        self._tell(Started(trial=running))
        self._prepare()

    def _prepare(self) -> None:
        """While trials run, the next proposals are prepared."""
        if self._candidate_pool is None:
            return
        view = self._agenda.view()
        self._candidate_pool.prepare(self._code.unedited_view(view) if self._code is not None else view)
        if self._code is not None:
            self._code.prepare(view)

    def _shorter_runs(self, trial: Trial) -> list[Trial]:
        """Return the runs that this one goes on from; their curves go before its own."""
        if self._spec.fidelity is None or trial.is_replicate:
            return []
        trials = self._trials()
        earlier = ancestors(trial, trials)
        self._watch.began(trial, earlier)
        return earlier

    def _flush(self) -> None:
        """Write what is unwritten, at most once a second."""
        if self._steady() - self._flushed_at < FLUSH_S:
            return
        observed = self._places.unwritten()
        if observed:
            self._recorder.record_observations(
                [ObservationBatch(trial=trial, observations=news) for trial, news in observed]
            )
        self._flushed_at = self._steady()

    # -- what people ask for ------------------------------------------------------------------------------------

    def _serve(self) -> None:
        """Do what was asked through the mailbox since the last turn, and answer each."""
        for letter in self._mailbox.pending():
            if letter.name in self._answered:
                # It was recorded just before an earlier run was killed, or its file cannot be removed.
                self._mailbox.answer(letter, "this was done before", done=True)
                continue
            self._answered.add(letter.name)
            decision, slots = None, None
            try:
                decision = decide(parse_command(letter.text), self._situation())
                slots = self._site.slots(decision.spec) if decision.spec else None
                answer = decision.answer
            except (ToolRefused, InputError) as error:
                decision, answer = None, str(error)
            self._settle(letter, decision, answer)
            if decision is not None and decision.spec is not None and slots is not None:
                self._take_over(decision.spec, slots)
            self._mailbox.answer(letter, answer, done=decision is not None)
            self._tell(Note(text=f"{letter.by}: {answer}" if decision else f"{letter.by} was refused: {answer}"))

    def _situation(self) -> RunState:
        return RunState(
            spec=self._spec,
            trials=self._trials(),
            running=frozenset(place.trial.number for place in self._places if place.trial),
            steering=self._agenda.steering,
            paused=self._agenda.is_paused,
            code=self._code.edit_context() if self._code is not None and not self._evaluator.refuses_edits else None,
            refuses_edits=self._evaluator.refuses_edits,
        )

    def _settle(self, letter: PendingCommand, decision: CommandDecision | None, answer: str) -> None:
        """Record an order with its answer and, in the same transaction, the trials that it queues; then act on it."""
        detail = event_detail(letter.name, letter.by, json.loads(letter.text), answer, decision)
        if decision is None:
            self._recorder.record_event(COMMAND_EVENT, self._clock(), detail=detail)
            return
        proposals = [self._agenda.versioned(p) for p in decision.proposals]
        if decision.version is not None and self._code is not None:
            self._recorder.record_variant(decision.version)
            self._code.add(decision.version, dict(decision.params))
        trials = self._recorder.record_command(detail, proposals, self._clock(), spec=decision.spec)
        self._agenda.queue += trials
        self._account.add_begun(*trials)
        self._interrupts += decision.interrupts
        self._agenda.is_paused = self._agenda.is_paused if decision.paused is None else decision.paused
        if decision.steering is not None:
            self._agenda.steering = decision.steering
            self._tell_planner()
        for place in self._places.running():
            if place.evaluation is not None and place.evaluation.trial.number == decision.stop:
                place.evaluation.stop(f"ended by a person ({letter.by})")
        for trial in [trial for trial in self._agenda.queue if trial.number == decision.withdraw]:
            self._agenda.queue.remove(trial)
            outcome = Outcome(state=TrialState.STOPPED, note=f"taken back by a person ({letter.by}) before it ran")
            self._recorder.record_outcome(trial, outcome, self._clock())
            self._account.add_ended(trial)

    def _take_over(self, spec: StudySpec, slots: Sequence[Slot]) -> None:
        """Go on with a study whose budget, space, constraints or parallelism was changed; running trials stay."""
        until, before = self._account.budget.until, self._spec.budget.until
        self._spec = self._evaluator.spec = self._notifier.spec = spec
        # The moment stays: just after it, the next such time of day would be tomorrow's.
        same = spec.budget.until is not None and spec.budget.until == before
        self._account.budget = spec.budget.ending_at(until) if same else spec.budget.starting_at(self._clock())
        self._keep_deadline()
        if self._code is not None:
            self._code.update_study(spec, gate_rules(spec, self._project))
        self._places.take_over(slots, spec)
        self._agenda.take_over(spec)
        self._best = incumbent(self._trials(), spec.objectives, spec.bounds)
        self._tell_planner()

    def _tell_planner(self) -> None:
        if self._candidate_pool is None or self._model is None:
            return
        lessons = self._recorder.lessons_known()
        wishes = self._agenda.steering.words
        planner = make_planner(self._spec, self._model, project=self._project, lessons=lessons, wishes=wishes)
        self._candidate_pool.update_study(planner, self._account.budget)

    # -- ending -------------------------------------------------------------------------------------------------

    def _is_over(self) -> bool:
        return bool(self._interrupts or self._agenda.ended_by) and not self._places.running()

    def _test(self) -> None:
        """Run [test] on what was chosen, once; killed meanwhile, it runs again."""
        if self._spec.test is None or self._interrupts or self._account.is_late:
            return
        record, history = self._recorder.record, self._recorder.history
        trials, events = (
            history.trials(record.id),
            [*history.events(record.id, TEST_STARTED), *history.events(record.id, TEST_ENDED)],
        )
        best = summarize(record, trials).best
        if best is None or not is_test_due(trials[best.number], sorted(events, key=lambda event: event.at)):
            return
        trial = trials[best.number]
        self._recorder.record_event(TEST_STARTED, self._clock(), trial=trial, detail=test_started_detail(trial))
        self._tell(Note(text=f"the test of trial {trial.number} runs"))
        outcome = self._outcome_of(self._evaluator.test(trial, next(iter(self._places)).slot))
        self._recorder.record_event(TEST_ENDED, self._clock(), trial=trial, detail=test_ended_detail(trial, outcome))
        self._account.add_usage(outcome.usage)

    def _outcome_of(self, test: Evaluation) -> Outcome:
        """Wait for a test, heeding the deadline and whoever asks twice to end."""
        while (outcome := test.poll()) is None:
            self._serve()
            self._heed()
            if self._interrupts >= 2:  # noqa: PLR2004
                test.stop("interrupted by a person")
            elif self._account.is_late:
                test.stop("the study's time is up")
            self._wake.wait(TICK_S)
            self._wake.clear()
        return outcome

    def _end(self) -> Ended:
        if self._candidate_pool is not None:
            self._candidate_pool.finish(self._agenda.view())
        if self._code is not None:
            self._code.finish(self._agenda.view())
        self._heed()
        by = self._agenda.ended_by or "interrupted"
        self._recorder.record_end(by, self._clock())
        record, trials = self._recorder.record, self._trials()
        ended = Ended(record=record, by=by, best=self._best)
        self._notifier.ended(ended, lambda: summarize(record, trials).headline)
        self._notifier.close()
        self._heed()
        self._tell(ended)
        return ended

    def _leave(self) -> None:
        """Leave no process and no lock behind, whatever happened."""
        for place in self._places.running():
            assert place.evaluation is not None  # noqa: S101  # it runs
            place.evaluation.kill("tunesmith ended")
        self._opened.close()


def _events_before(history: Path, name: str) -> Mapping[str, list[Event]]:
    """Return what earlier runs were asked, when they had to end, and when they did."""
    kinds = (COMMAND_EVENT, DEADLINE_EVENT, "ended")
    found = History.open_if_any(history)
    if found is None:
        return {kind: [] for kind in kinds}
    with found as opened:
        record = opened.find(name)
        return {kind: opened.events(record.id, kind) if record else [] for kind in kinds}


def _told(variant: Variant) -> str:
    """Return a version of the code that was made just now in a line."""
    head = f"{short_id(variant.id)} ({variant.direction})"
    if variant.state is VariantState.SOUND:
        return f"{head}: {variant.rationale}"
    return f"{head} is not run, {variant.state.value}: {variant.reason}"


def unused_parts(spec: StudySpec) -> list[str]:
    """Return a line for each part of the study file that this version reads but does not act on."""
    parts = []
    if spec.edits and not spec.planner.model:
        parts.append("[edits]: without a model in [planner] nobody proposes edits; only people do, by chat")
    return parts
