"""Opens a run of a study: creates its parts and connects them. Starts no trial."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.agent.llm.background import DaemonRunner
from tunesmith.agent.loop.learning_curves import LearningCurves
from tunesmith.agent.loop.limits.budget_ledger import BudgetLedger
from tunesmith.agent.loop.limits.clocks import DEADLINE_EVENT, WorkClock, resolve_budget
from tunesmith.agent.loop.notices.announcer import Announcer
from tunesmith.agent.loop.notices.events import LoopEvent
from tunesmith.agent.loop.notices.notifications import Notifier
from tunesmith.agent.loop.run_options import RunOptions
from tunesmith.agent.loop.slots.slot_pool import SlotPool
from tunesmith.agent.loop.slots.trial_queue import Proposers, TrialQueue, TrialStore
from tunesmith.agent.loop.study_run import StudyRun
from tunesmith.agent.planner.arbiter import Arbiter
from tunesmith.agent.planner.factory import make_arbiter
from tunesmith.agent.planner.model import open_model
from tunesmith.agent.sampler.registry import make_sampler
from tunesmith.agent.scheduler.early_stopping import EarlyStopping
from tunesmith.evaluator.evaluator import Evaluator
from tunesmith.evaluator.executors.handle import ExecutorHandle
from tunesmith.history.queries.hidden_choice import without_hidden_values
from tunesmith.history.read import History
from tunesmith.history.write import Recorder
from tunesmith.study.config.budget import Budget
from tunesmith.study.config.record import Event
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import ProjectError
from tunesmith.study.variant import Variant
from tunesmith.tools.control.earlier_commands import COMMAND_EVENT, read_earlier_commands

if TYPE_CHECKING:
    from tunesmith.agent.code_search.search import CodeSearch
    from tunesmith.agent.llm.candidate_pool import CandidatePool
    from tunesmith.agent.loop.judging.service import Judging

ENDED_EVENT = "ended"


def open_run(spec: StudySpec, options: RunOptions, display: Callable[[LoopEvent], None]) -> StudyRun:
    """Open the history for writing and return a run of the study, ready to start trials.

    Args:
        spec: the study.
        options: where and how it runs.
        display: called with every event.

    Raises:
        InputError: another process writes the history, or a GPU or a package is missing. Nothing is left open.
    """
    return _RunBuilder(spec, options, display).build()


def recorded_deadline(spec: StudySpec, history: Path, now: float) -> float | None:
    """Return when a run that starts now ends by `until`, in seconds since the epoch; None without such a limit.

    A killed run that is started again has the deadline that it recorded, not the next day's.

    Raises:
        HistoryLocked: another program locks the history.
    """
    earlier = _earlier_events(history, spec.study.name)
    return _budget(read_earlier_commands(spec, earlier[COMMAND_EVENT]).spec, earlier, now).until


class _RunBuilder:
    """Creates the parts of a run in the order in which they depend on each other."""

    def __init__(self, spec: StudySpec, options: RunOptions, display: Callable[[LoopEvent], None]) -> None:
        earlier = _earlier_events(options.history, spec.study.name)
        self.commands = read_earlier_commands(spec, earlier[COMMAND_EVENT])
        self.spec = spec = self.commands.spec
        self.options, self.work_clock = options, WorkClock(options.clocks.steady)
        self.clocks = replace(options.clocks, steady=self.work_clock)
        self.folder = options.history.parent / spec.study.name
        self.wake = threading.Event()
        self.background = DaemonRunner(self.wake.set)
        notifier = Notifier(spec, project=options.project, wall=self.clocks.wall)
        self.announcer = Announcer(display, notifier)
        self.curves = LearningCurves(spec.objectives[0].metric)
        self.sampler = make_sampler(spec.planner.sampler)
        self.model = open_model(spec.planner, options.recording) if spec.planner.model else None
        # Before the history: where a GPU or a package is missing, no file is left behind.
        self.executor = ExecutorHandle(spec, folder=self.folder, cpus=options.cpus, wake=self.wake.set)
        self.budget = _budget(spec, earlier, self.clocks.wall())
        self.judging: Judging | None = None

    def build(self) -> StudyRun:
        opened_at = self.clocks.steady()
        with ExitStack() as resources:
            recorder = self._recorder(resources)
            spent = recorder.record.spent
            ledger = BudgetLedger(self.budget, spent, clocks=self.clocks, opened_at=opened_at)
            arbiter, candidate_pool = self._arbiter(recorder, ledger)
            evaluator = self._evaluator(resources)
            slots = self._slots(recorder)
            root = Variant(id=evaluator.variant, files=evaluator.editable, created_at=self.clocks.wall())
            code = self._code(recorder, evaluator, root, candidate_pool) if self.spec.edits else None
            judging = self.judging = self._judging(recorder, ledger, candidate_pool) if self.spec.judge else None
            aside = {t.number for t in recorder.history.trials(recorder.study_id) if not t.counts}
            curves = recorder.history.curves(recorder.study_id)
            early_stopping = EarlyStopping(self.spec, {n: curve for n, curve in curves.items() if n not in aside})
            proposers = Proposers(arbiter=arbiter, sampler=self.sampler, code=code, variant=evaluator.variant)
            return StudyRun(
                spec=self.spec,
                options=self.options,
                folder=self.folder,
                recorder=recorder,
                evaluator=evaluator,
                executor=self.executor,
                slots=slots,
                ledger=ledger,
                queue=self._queue(recorder, ledger, slots, proposers, early_stopping),
                early_stopping=early_stopping,
                curves=self.curves,
                root=root,
                model=self.model,
                candidate_pool=candidate_pool,
                code=code,
                judging=judging,
                announcer=self.announcer,
                earlier_commands=self.commands,
                work_clock=self.work_clock,
                wake=self.wake,
                resources=resources.pop_all(),
            )

    def _recorder(self, resources: ExitStack) -> Recorder:
        project, clocks = str(self.options.project), self.clocks
        recorder = Recorder(
            self.options.history,
            self.spec,
            project=project,
            now=clocks.wall(),
            steady=clocks.steady,
            moved=self.options.moved,
        )
        resources.callback(recorder.close)
        return recorder

    def _arbiter(self, recorder: Recorder, ledger: BudgetLedger) -> tuple[Arbiter, CandidatePool | None]:
        arbiter, candidate_pool = make_arbiter(
            self.spec,
            self.sampler,
            model=self.model,
            project=self.options.project,
            runner=self.background,
            budget=self.budget,
            spent=ledger.before,
            lessons=recorder.lessons_known(),
            left=ledger.left_in_words,
            curves=self.curves.downsampled,
            series=self.curves.observations,
            slots=len(self.executor.slots(self.spec)),
            steering=self.commands.steering,
        )
        if candidate_pool is not None:
            ledger.llm_spent = lambda: candidate_pool.spent
        return arbiter, candidate_pool

    def _evaluator(self, resources: ExitStack) -> Evaluator:
        evaluator = Evaluator(
            self.spec,
            project=self.options.project,
            folder=self.folder,
            unsafe_edits=self.options.unsafe_edits,
            history=self.options.history,
            executor=self.executor.executor,
        )
        resources.callback(evaluator.close)
        return evaluator

    def _slots(self, recorder: Recorder) -> SlotPool:
        return SlotPool(
            self.executor.slots(self.spec),
            self.spec,
            memory_gib={gpu.id: gpu.memory_gib for gpu in self.executor.inventory.gpus},
            trials=lambda: [t for t in recorder.history.trials(recorder.study_id) if t.counts],
        )

    def _code(
        self, recorder: Recorder, evaluator: Evaluator, root: Variant, candidate_pool: CandidatePool | None
    ) -> CodeSearch:
        # 0.15 s, which a study without [edits] saves.
        from tunesmith.agent.code_search.factory import make_code_search
        from tunesmith.agent.code_search.questions.evidence import RunRecords

        if self.model is not None and evaluator.edits_problem:
            raise ProjectError(f"[edits]: {evaluator.edits_problem}")
        return make_code_search(
            self.spec,
            root,
            recorder.history.variants(recorder.study_id),
            project=self.options.project,
            model=self.model,
            candidate_pool=candidate_pool,
            runner=self.background,
            records=RunRecords(
                folder=self.folder,
                project=self.options.project,
                series=lambda number: self.curves.series.get(number, {}),
                last_step=self.curves.last_steps.get,
                judged=lambda number: self.judging.example_scores(number) if self.judging is not None else {},
                reasons=lambda number: self.judging.example_reasons(number) if self.judging is not None else {},
                outputs=self.spec.outputs_file,
            ),
        )

    def _judging(
        self, recorder: Recorder, ledger: BudgetLedger, candidate_pool: CandidatePool | None
    ) -> Judging | None:
        # 0.1 s, which a study without [judge] saves.
        from tunesmith.agent.loop.judging.opening import open_judging

        return open_judging(
            self.spec,
            self.options,
            recorder=recorder,
            ledger=ledger,
            candidate_pool=candidate_pool,
            runner=self.background,
            note=self.announcer.note,
        )

    def _queue(
        self,
        recorder: Recorder,
        ledger: BudgetLedger,
        slots: SlotPool,
        proposers: Proposers,
        early_stopping: EarlyStopping,
    ) -> TrialQueue:
        store = TrialStore(
            # A study that resumes after a choice by hidden data must not see it.
            trials=lambda: without_hidden_values(recorder.history.trials(recorder.study_id)),
            record=lambda proposal: recorder.record_proposal(proposal, self.clocks.wall()),
            earlier=recorder.earlier,
        )
        queue = TrialQueue(
            self.spec,
            store=store,
            ledger=ledger,
            slots=slots,
            proposers=proposers,
            early_stopping=early_stopping,
            note=self.announcer.note,
        )
        queue.steering = self.commands.steering
        return queue


def _budget(spec: StudySpec, earlier: Mapping[str, list[Event]], now: float) -> Budget:
    return resolve_budget(spec.budget, now, deadlines=earlier[DEADLINE_EVENT], ends=earlier[ENDED_EVENT])


def _earlier_events(history: Path, name: str) -> Mapping[str, list[Event]]:
    """Return the commands, the deadlines and the ends of earlier runs, by kind of event."""
    kinds = (COMMAND_EVENT, DEADLINE_EVENT, ENDED_EVENT)
    found = History.open_if_any(history)
    if found is None:
        return {kind: [] for kind in kinds}
    with found as opened:
        record = opened.find(name)
        return {kind: opened.events(record.id, kind) if record else [] for kind in kinds}
