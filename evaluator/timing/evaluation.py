"""A trial whose candidate is timed against a reference: its own command, if any, then the judge of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tunesmith.evaluator.evaluation import Evaluation
from tunesmith.evaluator.executors.base import CommandResult, FailedJob, FinishedJob, Job
from tunesmith.evaluator.failures import TAIL_CHARS
from tunesmith.evaluator.files.tampering import tampering
from tunesmith.evaluator.steps import Step
from tunesmith.evaluator.timing.job import VERDICT, Side, TimingJob
from tunesmith.evaluator.timing.plan import Verdict
from tunesmith.evaluator.trial_command import TrialCommand
from tunesmith.study.config.tables.timing import needs_no_command
from tunesmith.study.formatting import strip_control
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Trial


class TimedEvaluation(Evaluation):
    """A trial of a study with the judge of time."""

    _candidate: TrialCommand
    _candidate_filled: Mapping[str, str]

    def _trial_of(self, step: Step) -> Trial:
        """Return whose parameters fill the files of a step: the reference is the user's own code as it is."""
        if step.is_training:
            return self.trial
        params = self._spec.space.default or self._spec.space.imputed
        return replace(self.trial, proposal=replace(self.trial.proposal, params=params))

    def _follow(self, step: Step) -> None:
        if step.is_training:
            super()._follow(step)
        else:
            # The candidate's own output is in the log, where it could name any number.
            self._metrics.follow(self._running.report, prefix=step.prefix, sources=())

    def _start(self, command: TrialCommand) -> Job:
        if not self._step.is_training:
            return self._start_judge(command)
        self._candidate, self._candidate_filled = command, self._filled
        return FinishedJob() if needs_no_command(command.template) else super()._start(command)

    def _start_judge(self, command: TrialCommand) -> Job:
        table = self._spec.evaluate
        assert table is not None and table.candidate is not None  # noqa: S101, PT018  # checked when the file was read
        # The reference keeps its files apart: what the candidate kept is not for it.
        judge = command.workspace
        own = replace(judge, artifacts=judge.folder / "artifacts")
        job = TimingJob(
            context=self._context,
            slot=self.slot,
            gpus=self._gpus,
            sandbox=self._sandbox,
            candidate=Side(
                command=self._candidate, trial=self.trial, function=table.candidate, arguments=table.arguments
            ),
            reference=Side(
                command=replace(command, workspace=own, is_training=True),
                trial=self._trial_of(self._step),
                function=table.reference or table.candidate,
                arguments={} if table.reference else table.arguments,
            ),
            folder=judge.folder,
            report=judge.report,
        )
        try:
            own.artifacts.mkdir(exist_ok=True)
            job.write_plan()
        except (ValueError, OSError) as error:
            return FailedJob(f"the judge of time cannot start: {error}")
        self._program = ""
        log = self._workspace.log if needs_no_command(self._candidate.template) else judge.log
        return self._start_in_executor(job.spec(log))

    def _note_end_of(self, step: Step, result: CommandResult) -> None:
        super()._note_end_of(step, result)
        if not step.is_training and not self._tampering:
            is_sandboxed = self._sandbox is not None
            self._tampering = tampering(
                self._context, self._workspace, self._candidate_filled, result, is_sandboxed=is_sandboxed
            )

    def _verdict(self) -> Verdict | None:
        return Verdict.read(self._running.folder / VERDICT) if not self._step.is_training else None

    def _failure(self, result: CommandResult, measured: Mapping[str, float]) -> Failure | None:
        verdict = self._verdict()
        ended = self._tampering or self._stopped_as or self._killed_for
        if verdict is None or not verdict.failure_kind or ended:
            return super()._failure(result, measured)
        return Failure(
            kind=FailureKind(verdict.failure_kind),
            reason=strip_control(verdict.reason),
            tail=strip_control(verdict.tail or result.tail)[-TAIL_CHARS:],
        )

    def _make_outcome(self, result: CommandResult, artifacts: tuple[str, ...]) -> Outcome:
        outcome, verdict = super()._make_outcome(result, artifacts), self._verdict()
        if verdict is None or outcome.failure is not None or not verdict.note:
            return outcome
        return replace(outcome, note="; ".join(filter(None, (verdict.note, outcome.note))))
