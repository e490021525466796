"""Runs the commands of one trial and turns their results into an outcome. Knows no database and no sampler.

A trial has one command or two: the training, and the study's evaluation command ([evaluate]) if there is one. The
evaluation runs from a fresh copy of the snapshot, and only its metrics count; those of the training are kept under
the prefix `train/`.
"""

from __future__ import annotations

import errno
import shutil
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tunesmith.evaluator.background_call import BackgroundCall
from tunesmith.evaluator.executors.base import CommandResult, CommandSpec, FailedJob, Job
from tunesmith.evaluator.executors.local import find_start_error
from tunesmith.evaluator.executors.slots import Slot
from tunesmith.evaluator.failures import (
    TAIL_CHARS,
    command_failure,
    metric_failure,
    resource_failure,
    traceback_note,
)
from tunesmith.evaluator.files import workspace as workspaces
from tunesmith.evaluator.files.folder_quota import FolderQuota
from tunesmith.evaluator.files.private_files import JUDGE
from tunesmith.evaluator.files.read_trace import ReadMarks
from tunesmith.evaluator.files.tampering import forbidden_read, tampering
from tunesmith.evaluator.files.trial_files import copy_scripts, fill_files, link_data, link_shared
from tunesmith.evaluator.files.workspace import Workspace
from tunesmith.evaluator.job_reading import JobReading
from tunesmith.evaluator.readers.metric_collector import MetricCollector
from tunesmith.evaluator.readers.metric_files import MetricFiles
from tunesmith.evaluator.readers.metric_reading import ObservationQueue
from tunesmith.evaluator.readers.metrics import DEFAULT_SOURCES, STREAM_NAMES
from tunesmith.evaluator.sandbox.bubblewrap import Sandbox, sandbox_hint
from tunesmith.evaluator.sandbox.protected import signatures
from tunesmith.evaluator.serving.command import served_failure
from tunesmith.evaluator.steps import EvaluationContext, Step
from tunesmith.evaluator.trial_command import TrialCommand
from tunesmith.evaluator.usage import total_usage
from tunesmith.study.formatting import strip_control
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.observed.resources import RESOURCES, resource_values, usage_in_sequence
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Trial, TrialState, Usage

TIDY_WAIT_S = 0.03
"""Longest wait for the clean-up of a trial's folder within one poll; it is done by then unless there are many files."""


class Evaluation:
    """A trial that was started. Call `poll` a few times a second until it returns the outcome.

    Args:
        context: of the study.
        trial: whose parameters and seed the commands get.
        slot: where it runs.
        on_observation: called with each observation.
        workspace: the trial's folders.
        steps: the commands, in order; one starts if all before it succeeded.
        sandbox: what the commands run in; None for no sandbox.
        resume_from: files of an earlier, shorter run of the same configuration.
        continued: what the runs used that it continues; its measured resources include theirs.
    """

    def __init__(  # noqa: PLR0913  # four say what runs, four where
        self,
        context: EvaluationContext,
        trial: Trial,
        slot: Slot,
        on_observation: Callable[[Observation], None],
        *,
        workspace: Workspace,
        steps: Sequence[Step],
        sandbox: Sandbox | None,
        resume_from: Path | None = None,
        continued: Sequence[Usage] = (),
    ) -> None:
        self.trial = trial
        self.slot = slot
        self._context, self._spec = context, context.spec
        self._workspace, self._steps, self._sandbox, self._resume_from = workspace, deque(steps), sandbox, resume_from
        self._continued = continued
        # A second attempt has its GPU for itself: the first may have failed because of trials that shared it.
        is_retry = trial.attempt > 1 and 0 < self._spec.run.gpu_count < 1
        self._gpus = 1.0 if is_retry else self._spec.run.gpu_count
        self._on_observation = on_observation
        self._observations = ObservationQueue()
        self._metrics = MetricCollector(self._spec, self._observations.put)
        self._lines_left_out = 0
        self._unreadable = ""
        self._results: list[CommandResult] = []
        self._training_result: CommandResult | None = None
        self._killed_for = self._stopped_for = self._tampering = ""
        self._stopped_as: FailureKind | None = None
        self._outcome: Outcome | None = None
        self._tidying: BackgroundCall[tuple[str, ...]] | None = None
        self._quota: FolderQuota
        self._filled: dict[str, str] = {}
        self._job: Job
        self._marks: ReadMarks
        self._start_next_step()

    @property
    def folder(self) -> Path:
        """The trial's folder."""
        return self._workspace.folder

    def poll(self) -> Outcome | None:
        """Pass on new observations and return the outcome, None while the trial runs; never blocks.

        Raises:
            ProjectError: the folders of the next command cannot be made.
        """
        if self._outcome is not None:
            return self._outcome
        if self._tidying is not None:
            return self._finish()
        result = self._job.poll()
        is_hurried = bool(self._killed_for or self._stopped_for)
        self._reading.advance(is_hurried=is_hurried)
        if result is None:
            if problem := self._quota.problem():
                self.kill(problem)
            return None
        if not self._reading.is_over(is_hurried=is_hurried):
            return None
        self._lines_left_out += self._reading.lines_left_out
        self._unreadable = self._unreadable or self._reading.problem
        self._results.append(result)
        self._note_end_of(self._step, result)
        if self._steps and self._may_continue(result):
            self._start_next_step()
            return None
        self._tidying = BackgroundCall(self._tidy_up)
        return self._finish()

    def _note_end_of(self, step: Step, result: CommandResult) -> None:
        """Note what a command did to files when it has ended."""
        if step.is_training:
            self._training_result = result
            # What was read comes first: looking for changes reads files too.
            forbidden = self._forbidden_read()
            is_sandboxed = self._sandbox is not None
            changed = tampering(self._context, self._workspace, self._filled, result, is_sandboxed=is_sandboxed)
            self._tampering = changed or forbidden
        elif self._context.reads is not None and step.folder == JUDGE:
            self._context.reads.note_judge(self._marks.read())

    def _finish(self) -> Outcome | None:
        """Return the outcome once the trial's folder is tidy."""
        assert self._tidying is not None  # noqa: S101  # the trial has ended
        for artifacts in self._tidying.result(TIDY_WAIT_S):
            self._outcome = self._make_outcome(self._results[-1], artifacts)
        return self._outcome

    def stop(self, note: str, failure: FailureKind | None = None) -> None:
        """Ask the trial to end, and end it after 5 seconds; its values so far are kept.

        Args:
            note: why.
            failure: the kind of failure if the trial counts as failed, with `note` as its reason.
        """
        if not self._stopped_for:
            self._stopped_for, self._stopped_as = note, failure
            self._job.stop()

    def kill(self, reason: str) -> None:
        """End the trial at once; it fails as killed, for this reason."""
        self._killed_for = self._killed_for or reason
        self._job.kill()

    def _start_next_step(self) -> None:
        self._step = step = self._steps.popleft()
        snapshot = self._context.snapshot
        self._running = (
            self._workspace
            if step.is_training
            else workspaces.make_judge_workspace(self._workspace, snapshot, name=step.folder)
        )
        self._quota = FolderQuota(self._running, self._spec.run.disk)
        data = self._context.data.get(step.folder, {})
        copy_scripts(self._running.work, step.scripts)
        command = TrialCommand(
            template=step.template,
            workspace=self._running,
            is_training=step.is_training,
            resume_from=self._resume_from if step.is_training else None,
            links=tuple(link_shared(self._running.work, self._context.shared)),
            data=tuple(link_data(self._running.work, data, self._context.project)),
            serves=step.is_training and self._spec.serve is not None,
        )
        try:
            fill_files(self._spec, self._running.work, command.values(self._spec, self._trial_of(step)))
        except (ValueError, OSError) as error:
            self._follow(step)
            self._program = ""
            self._job = FailedJob(str(error))
            self._read_job()
            return
        self._filled = signatures(self._running.work, [p for p in self._spec.run.files if p in self._context.protected])
        self._follow(step)
        if self._context.reads is not None:
            self._marks = ReadMarks(self._running.work)
        self._job = self._start(command)
        self._read_job()

    def _trial_of(self, step: Step) -> Trial:  # noqa: ARG002  # the reference of a timed trial has other parameters
        """Return whose parameters fill the files of a step."""
        return self.trial

    def _read_job(self) -> None:
        self._reading = JobReading(self._job, self._metrics, self._observations, self._on_observation)

    def _follow(self, step: Step) -> None:
        sources = self._spec.metric_sources
        patterns = [source for source in sources if source not in STREAM_NAMES]
        if not step.is_training:
            # The training may have written the files of that name; an evaluation is believed only by what it says.
            streams = [source for source in sources if source in STREAM_NAMES]
            self._metrics.follow(self._running.report, prefix=step.prefix, sources=streams or DEFAULT_SOURCES)
            return
        folders = {"": self._running.work, "{artifacts}": self._running.artifacts}
        files = MetricFiles(patterns, folders)
        self._metrics.follow(self._running.report, prefix=step.prefix, sources=tuple(sources), files=files)

    def _start(self, command: TrialCommand) -> Job:
        sandbox = self._sandbox
        spec = command.spec(self._spec, self.trial, self.slot, gpus=self._gpus, is_sandboxed=sandbox is not None)
        self._program = shutil.which(spec.argv[0], path=spec.environment.get("PATH")) or spec.argv[0]
        if sandbox is None:
            return self._start_in_executor(spec)
        # The sandbox hides why a program inside it cannot start, so this is found out before.
        error = find_start_error(spec.argv[0], spec)
        if error:
            return FailedJob(error)
        mounts = command.mounts(self._context.snapshot, self._context.protected, gpus=bool(self.slot.gpus))
        return self._start_in_executor(sandbox.wrap(spec, mounts))

    def _start_in_executor(self, spec: CommandSpec) -> Job:
        """Start a command; where the system refuses, as for a command line that is too long, only this trial fails."""
        try:
            return self._context.executor.start(spec)
        except OSError as error:
            return FailedJob(f"its command cannot start: {error.strerror or error}{_advice(error)}")
        except Exception as error:  # noqa: BLE001  # a fault of an executor or of its cluster must not end the study
            return FailedJob(f"its command cannot start: {type(error).__name__}: {error}")

    def _forbidden_read(self) -> str:
        reads = self._context.reads
        return forbidden_read(reads, self.trial, self._marks.read()) if reads is not None else ""

    def _may_continue(self, result: CommandResult) -> bool:
        interrupted = self._killed_for or self._stopped_for or self._tampering
        return not interrupted and result.status == 0 and not result.error

    def _tidy_up(self) -> tuple[str, ...]:
        """Remove copies from the trial's folder and return its artifacts; it may hold many files."""
        for workspace in {w.folder: w for w in (self._workspace, self._running)}.values():
            workspaces.clear_copies(workspace, self._context.snapshot)
        return workspaces.artifacts_in(self._workspace)

    def _make_outcome(self, result: CommandResult, artifacts: tuple[str, ...]) -> Outcome:
        usage = self._usage()
        whole = usage_in_sequence([*self._continued, usage])
        measured = resource_values(self._spec.resources, whole, self._spec.run.usd_per_hour)
        failure = self._failure(result, measured)
        state, note = (TrialState.COMPLETE if failure is None else TrialState.FAILED), ""
        if self._stopped_for and not self._stopped_as and not self._killed_for and not self._tampering:
            state, failure, note = TrialState.STOPPED, None, self._stopped_for
        elif state is TrialState.COMPLETE:
            note = "; ".join(filter(None, (traceback_note(result), self._metrics.limit_note(self._lines_left_out))))
        return Outcome(
            state=state,
            values={**self._metrics.values, **(measured if state is TrialState.COMPLETE else {})},
            failure=failure,
            note=note,
            usage=usage,
            artifacts=artifacts,
        )

    def _usage(self) -> Usage:
        return total_usage(
            self._results,
            gpus=self._gpus,
            gpu_busy=None if self._training_result is None else self._training_result.gpu_busy,
            is_packed=self._spec.run.packs,
        )

    def _failure(self, result: CommandResult, measured: Mapping[str, float]) -> Failure | None:
        tail = strip_control(result.tail)[-TAIL_CHARS:]
        if self._tampering:
            return Failure(kind=FailureKind.TAMPERED, reason=strip_control(self._tampering), tail=tail)
        if self._stopped_as and not self._killed_for:
            return Failure(kind=self._stopped_as, reason=self._stopped_for, tail=tail)
        failure = command_failure(
            result,
            timeout_s=self._spec.run.timeout,
            killed_for=self._killed_for,
            disk_bytes=self._spec.run.disk,
            program=self._program,
        )
        if failure is not None and self._spec.serve is not None:
            failure = served_failure(failure, result)
        if failure is None:
            wanted = [n for n in self._spec.study.metric if n not in RESOURCES and not self._spec.is_judged(n)]
            failure = metric_failure(self._metrics.values, wanted, tail=result.tail, unread=self._metrics.unread)
        if failure is None:
            failure = resource_failure(measured, self._spec.study.metric)
        if failure is None:
            return None
        if self._unreadable and failure.kind is FailureKind.NO_METRIC:
            reason = (
                f"its output could not be read ({self._unreadable}); this is a fault of Tunesmith, please report it"
            )
            failure = replace(failure, reason=reason)
        label = f"{self._step.label}: " if self._step.label else ""
        hint = sandbox_hint(failure) if self._sandbox is not None else ""
        return replace(failure, reason=f"{label}{failure.reason}{hint}")


def _advice(error: OSError) -> str:
    """Return what to do about a command that the system does not start."""
    if error.errno == errno.E2BIG:
        return "; shorten the values in [run].command"
    if error.errno in (errno.ENOMEM, errno.EAGAIN):
        return "; the machine has too little memory or too many processes, so lower [run].parallel"
    return ""
