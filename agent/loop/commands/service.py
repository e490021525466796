"""Executes the commands in a study's inbox and answers them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tunesmith.agent.llm.call_log import charged_calls, to_llm_call
from tunesmith.agent.loop.commands.decisions import CommandDecision, RunState, decide, event_detail
from tunesmith.agent.loop.study_run import StudyRun
from tunesmith.agent.planner.factory import make_planner
from tunesmith.evaluator.executors.slots import Slot
from tunesmith.study.commands import Charge, parse_command
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import InputError, ToolRefused
from tunesmith.study.trials.trial import Outcome, TrialState
from tunesmith.tools.control.earlier_commands import COMMAND_EVENT
from tunesmith.tools.control.inbox import Inbox, PendingCommand
from tunesmith.tools.variants.rules import gate_rules


class CommandService:
    """Executes commands for one run, each once.

    Args:
        run: the run that commands change.
        inbox: where they arrive.
    """

    def __init__(self, run: StudyRun, inbox: Inbox) -> None:
        self._run = run
        self._inbox = inbox
        self._answered = set(run.earlier_commands.names)

    def handle_commands(self) -> None:
        """Execute and answer every command that arrived since the last call."""
        for command in self._inbox.pending():
            if command.name in self._answered:
                # It was recorded just before an earlier run was killed, or its file cannot be removed.
                self._inbox.answer(command, "this was done before", done=True)
                continue
            self._answered.add(command.name)
            self._handle(command)

    def _handle(self, command: PendingCommand) -> None:
        decision, slots = None, None
        try:
            decision = decide(parse_command(command.text), self._state())
            slots = self._run.executor.slots(decision.spec) if decision.spec else None
            answer = decision.answer
        except (ToolRefused, InputError) as error:
            decision, answer = None, str(error)
        self._record(command, decision, answer)
        if decision is not None:
            self._apply(decision, by=command.by)
            if decision.spec is not None and slots is not None:
                self._change_spec(decision.spec, slots)
        self._inbox.answer(command, answer, done=decision is not None)
        if decision is None or decision.charge is None:
            self._run.announcer.note(f"{command.by}: {answer}" if decision else f"{command.by} was refused: {answer}")

    def _state(self) -> RunState:
        run = self._run
        may_edit = run.code is not None and not run.evaluator.edits_problem
        return RunState(
            spec=run.spec,
            trials=run.trials(),
            running=frozenset(slot.trial.number for slot in run.slots if slot.trial),
            steering=run.queue.steering,
            paused=run.queue.is_paused,
            code=run.code.edit_context() if run.code is not None and may_edit else None,
            refuses_edits=run.evaluator.edits_problem,
        )

    def _record(self, command: PendingCommand, decision: CommandDecision | None, answer: str) -> None:
        """Record a command with its answer and, in the same transaction, the trials that it queues."""
        run = self._run
        detail = event_detail(command.name, command.by, json.loads(command.text), answer, decision)
        if decision is None:
            run.recorder.record_event(COMMAND_EVENT, run.now(), detail=detail)
            return
        proposals = [run.queue.complete(proposal) for proposal in decision.proposals]
        if decision.version is not None and run.code is not None:
            run.recorder.record_variant(decision.version)
            run.code.add(decision.version, dict(decision.params))
        trials = run.recorder.record_command(
            detail, proposals, run.now(), spec=decision.spec, forget=decision.forget, take_up=decision.take_up
        )
        run.queue.waiting += trials
        run.ledger.add_numbered(*trials)

    def _apply(self, decision: CommandDecision, *, by: str) -> None:
        run = self._run
        run.interrupts += decision.interrupts
        if decision.paused is not None:
            run.queue.is_paused = decision.paused
        if decision.steering is not None:
            run.queue.steering = decision.steering
            self._replan()
        if decision.forget or decision.take_up:
            self._change_what_counts(decision)
        if decision.charge is not None:
            self._charge(decision.charge)
        if decision.stop is not None:
            self._stop_trial(decision.stop, by)
        if decision.fitted is not None and run.code is not None:
            run.code.fit(decision.fitted, decision.constants)
        if decision.withdraw is not None:
            self._withdraw_trial(decision.withdraw, by)

    def _change_what_counts(self, decision: CommandDecision) -> None:
        run = self._run
        trials = run.trials()
        for number in decision.forget:
            run.early_stopping.forget(trials[number])
        if decision.take_up:
            history, study = run.recorder.history, run.recorder.study_id
            run.early_stopping.restore({number: history.curve(study, number) for number in decision.take_up})
        run.count_trials()
        run.choose_winner()
        self._replan()

    def _charge(self, charge: Charge) -> None:
        """Count calls that were made elsewhere: against the limits of [budget] where the study has an LLM."""
        calls = charged_calls(charge, self._run.now())
        if self._run.candidate_pool is not None:
            self._run.candidate_pool.charge(calls)
        else:
            self._run.recorder.record_llm_calls([to_llm_call(call) for call in calls])

    def _stop_trial(self, number: int, by: str) -> None:
        for slot in self._run.slots.running():
            if slot.evaluation is not None and slot.evaluation.trial.number == number:
                slot.evaluation.stop(f"stopped by a person ({by})")

    def _withdraw_trial(self, number: int, by: str) -> None:
        run = self._run
        for trial in [trial for trial in run.queue.waiting if trial.number == number]:
            run.queue.waiting.remove(trial)
            outcome = Outcome(state=TrialState.STOPPED, note=f"withdrawn by a person ({by}) before it ran")
            run.recorder.record_outcome(trial, outcome, run.now())
            run.ledger.add_ended(trial)

    def _change_spec(self, spec: StudySpec, slots: Sequence[Slot]) -> None:
        """Continue with another budget, space, set of constraints or number of slots; running trials stay."""
        run = self._run
        until, before = run.ledger.budget.until, run.spec.budget.until
        run.spec = run.evaluator.spec = run.announcer.notifier.spec = spec
        # The moment stays: just after it, the next such time of day would be tomorrow's.
        same = spec.budget.until is not None and spec.budget.until == before
        run.ledger.budget = spec.budget.ending_at(until) if same else spec.budget.starting_at(run.now())
        run.record_deadline()
        if run.code is not None:
            run.code.update_study(spec, gate_rules(spec, run.options.project))
        run.slots.reconfigure(slots, spec)
        run.queue.change_spec(spec)
        run.choose_winner()
        self._replan()

    def _replan(self) -> None:
        """Give the LLM the changed study; candidates for the old one are dropped."""
        run = self._run
        if run.candidate_pool is None or run.model is None:
            return
        planner = make_planner(
            run.spec,
            run.model,
            project=run.options.project,
            lessons=run.recorder.lessons_known(),
            steering=run.queue.steering,
        )
        run.candidate_pool.update_study(planner, run.ledger.budget)
