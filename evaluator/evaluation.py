"""Runs a trial and judges it: workspace, command, observations, outcome. Knows no database and no sampler.

Where the study has a judge ([evaluate]), its command runs after the training command from a fresh copy of the
snapshot, and only its numbers count.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tunesmith.evaluator import workspace as workspaces
from tunesmith.evaluator.executors import base
from tunesmith.evaluator.executors.base import CommandResult, CommandSpec, Executor, FailedJob, Job
from tunesmith.evaluator.executors.local import LocalExecutor, program_path, program_problem
from tunesmith.evaluator.executors.slots import Slot
from tunesmith.evaluator.failures import TAIL_CHARS, failure_of, metric_failure
from tunesmith.evaluator.free_disk import is_full
from tunesmith.evaluator.metrics import MetricReader, ReportFile
from tunesmith.evaluator.sandbox.bubblewrap import Sandbox, TrialMounts, data_folders, sandbox_hint, sandbox_problem
from tunesmith.evaluator.sandbox.environment import trial_environment, without_secrets
from tunesmith.evaluator.sandbox.mounts import is_too_wide
from tunesmith.evaluator.sandbox.protected import changed_files, protected_files, signatures, unsafe_artifacts
from tunesmith.evaluator.tree_walk import Unmeasurable
from tunesmith.evaluator.workspace import Workspace
from tunesmith.study.config.command import template_values
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.template import argv, shell_line
from tunesmith.study.errors import DiskFull, ProjectError
from tunesmith.study.formatting import strip_control
from tunesmith.study.trials.observation import Observation
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Trial, TrialState, Usage

TRAINING = "train/"
"""Where a judge decides, the training script's own values of the judged metrics are kept under this prefix."""

METRICS = 200
"""A trial may report so many metrics beside those that the study needs; others are passed over."""
OBSERVATIONS = 200_000
"""So many values of a trial are handed on; of later ones only the last is kept, as its result."""


@dataclass(frozen=True, slots=True)
class EditedCode:
    """Edited code to run in place of the project's.

    Attributes:
        files: the text of each file that was edited, by path.
        command: the command, with the options of parameters that the code adds.
    """

    files: Mapping[str, str]
    command: str


class Evaluator:
    """Runs the trials of one study from one snapshot of its project.

    Args:
        spec: the study.
        project: the folder of study.toml.
        folder: the study's own folder; trials live in `folder/trials/0007`.
        unsafe_edits: whether edited code may run without the sandbox.
        executor: where trials run; closed with the evaluator. This machine when left out.

    Raises:
        ProjectError: the project cannot be read, the folder cannot be written, a protected file is missing, or the
            sandbox cannot work here.
    """

    def __init__(
        self,
        spec: StudySpec,
        *,
        project: Path,
        folder: Path,
        unsafe_edits: bool = False,
        executor: Executor | None = None,
    ) -> None:
        self.spec = spec
        self.folder = folder.absolute()
        self.executor = executor or LocalExecutor(lambda: None)
        try:
            self.snapshot = workspaces.take_snapshot(
                project.absolute(), self.folder, without=workspaces.SECRETS if spec.run.sandbox or spec.edits else ()
            )
        except OSError as error:
            message = f"the project cannot be copied to {self.folder}: {error.strerror} ({error.filename})"
            raise (DiskFull if is_full(error) else ProjectError)(message) from None
        self.executor.use(self.snapshot.folder)
        names = protected_files(self.snapshot, spec.edits.protect if spec.edits else ())
        self.protected = signatures(self.snapshot.folder, names)
        self.editable = workspaces.texts(self.snapshot, spec.edits.files) if spec.edits else {}
        encloses_edits = spec.edits is not None and not unsafe_edits and not sandbox_problem()
        self.unsafe_edits = unsafe_edits
        self.sandbox = self._sandbox(project.absolute()) if spec.run.sandbox or encloses_edits else None

    def _sandbox(self, project: Path) -> Sandbox:
        run = self.spec.run
        return Sandbox(
            self.folder,
            data=data_folders(run.data, project),
            # The history, other trials and snapshots stand beside this study's folder.
            hidden=[project, self.folder.parent, Path(os.path.expanduser("~"))],
            network=run.network,
            processes=run.processes,
            memory_bytes=run.memory,
        )

    @property
    def variant(self) -> str:
        """The hash of the files that trials run from."""
        return self.snapshot.variant

    @property
    def refuses_edits(self) -> str:
        """Why edited code cannot run here, "" when it can."""
        if self.sandbox is not None or self.unsafe_edits:
            return ""
        return f"edited code runs in a sandbox only, and {sandbox_problem()}; --unsafe-edits runs it without, at your own risk"

    def sandbox_for(self, code: EditedCode | None) -> Sandbox | None:
        """Return the sandbox that a trial runs in: edited code always in one, unless a person insisted."""
        return self.sandbox if self.spec.run.sandbox or code is not None else None

    def start(
        self,
        trial: Trial,
        slot: Slot,
        on_observation: Callable[[Observation], None],
        *,
        earlier: Sequence[Trial] = (),
        code: EditedCode | None = None,
    ) -> Evaluation:
        """Start a trial; whatever is wrong with its command shows in the outcome, not as an exception.

        Args:
            trial: what to run.
            slot: where.
            on_observation: is handed every number that it reports.
            earlier: shorter runs of the same configuration; it may go on from the files of the last that kept any.
            code: edited code; None for the project as it is.

        Raises:
            ProjectError: edited code cannot run here.
        """
        if code is not None and self.refuses_edits:
            raise ProjectError(self.refuses_edits)
        kept = [workspaces.artifacts_folder(self.folder, shorter.number) for shorter in earlier]
        folder = next((folder for folder in reversed(kept) if folder.is_dir() and any(folder.iterdir())), None)
        return Evaluation(self, trial, slot, on_observation, resume_from=folder, code=code)

    def test(self, trial: Trial, slot: Slot) -> Evaluation:
        """Start the command of [test] on what a finished trial kept; the trial itself is not touched."""
        assert self.spec.test is not None  # noqa: S101  # only then is there one
        kept = workspaces.workspace_of(self.folder, trial.number)
        return PostRunEvaluation(self, trial, slot, command=self.spec.test.command, kept=kept, name="test")

    def judge(self, trial: Trial, slot: Slot, folder: Path) -> Evaluation:
        """Start the judge on what stands in `folder/artifacts`, with the trial's parameters and seed."""
        assert self.spec.evaluate is not None  # noqa: S101  # only then is there one
        kept = workspaces.workspace_at(folder)
        return PostRunEvaluation(self, trial, slot, command=self.spec.evaluate.command, kept=kept, name="judge")

    def close(self) -> None:
        """Let go of the executor; every trial has cleaned up after itself."""
        self.executor.close()


class Evaluation:
    """A trial that was started. Call `poll` a few times a second until it returns the outcome."""

    _judge = "evaluate"

    def __init__(
        self,
        evaluator: Evaluator,
        trial: Trial,
        slot: Slot,
        on_observation: Callable[[Observation], None],
        *,
        resume_from: Path | None = None,
        code: EditedCode | None = None,
    ) -> None:
        self.trial = trial
        self.slot = slot
        self._evaluator = evaluator
        self._spec = evaluator.spec
        self._on_observation = on_observation
        self._resume_from = resume_from
        self._sandbox = evaluator.sandbox_for(code)
        # A second attempt has its GPU for itself: the first may have failed for what ran beside it.
        is_alone = trial.attempt > 1 and 0 < self._spec.run.gpu_count < 1
        self._gpus = 1.0 if is_alone else self._spec.run.gpu_count
        self._values: dict[str, float] = {}
        self._killed_for = ""
        self._stopped_for = ""
        self._tampered = ""
        self._observed = 0
        self._stopped_as: FailureKind | None = None
        self._training: CommandResult | None = None
        self._outcome: Outcome | None = None
        self._next_look_at = 0.0
        self._open(code)

    def _open(self, code: EditedCode | None) -> None:
        edited = code.files if code is not None else {}
        snapshot, folder = self._evaluator.snapshot, self._evaluator.folder
        self._workspace = workspaces.make_workspace(snapshot, folder, self.trial.number, edited)
        self._begin(code.command if code is not None else self._spec.run.command, self._workspace)

    @property
    def folder(self) -> Path:
        """The trial's folder."""
        return self._workspace.folder

    def poll(self) -> Outcome | None:
        """Hand on new observations and return the outcome, None while the trial runs; never blocks."""
        if self._outcome is not None:
            return self._outcome
        end = self._job.poll()
        self._observe()
        if end is None:
            self._watch_disk()
            return None
        if self._training is None:
            self._tampered = self._tampering()
        if self._judge_is_due(end):
            self._training = end
            self._begin_judge()
            return None
        self._outcome = self._judged(end)
        for workspace in {self._workspace.folder: self._workspace, self._running.folder: self._running}.values():
            workspaces.clear_copies(workspace, self._evaluator.snapshot)
        return self._outcome

    def stop(self, note: str, failure: FailureKind | None = None) -> None:
        """Ask the trial to end, and end it after 5 seconds; its values so far stand, with `note` beside them.

        Args:
            note: why.
            failure: the kind, when that makes it a failed trial and `note` its reason.
        """
        if not self._stopped_for:
            self._stopped_for, self._stopped_as = note, failure
            self._job.stop()

    def kill(self, reason: str) -> None:
        """End the trial at once; it fails as killed, for this reason."""
        self._killed_for = self._killed_for or reason
        self._job.kill()

    def _begin(self, command: str, workspace: Workspace) -> None:
        trial, run, sandbox = self.trial, self._spec.run, self._sandbox
        self._running = workspace
        values = template_values(
            self._spec,
            trial.params,
            fidelity=trial.proposal.fidelity,
            seed=trial.proposal.seed,
            artifacts=str(self._workspace.artifacts),
        )
        environment = trial_environment(
            without_secrets(os.environ) if sandbox else os.environ,
            extra=run.env,
            slot=self.slot,
            values=values,
            folder=workspace.folder,
            report=workspace.report,
        )
        environment["TUNESMITH_ARTIFACTS"] = str(self._workspace.artifacts)
        environment.pop("TUNESMITH_RESUME_FROM", None)
        if workspace is not self._workspace:
            # A judge that loads a checkpoint must not run what is in it.
            environment.setdefault("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "1")
        elif self._resume_from is not None:
            environment["TUNESMITH_RESUME_FROM"] = str(self._resume_from)
        words = ["/bin/sh", "-c", shell_line(command, values)] if run.shell else argv(command, values)
        words = words or [""]
        words[0] = program_path(words[0], environment.get("PATH"))
        self._program = shutil.which(words[0], path=environment.get("PATH")) or words[0]
        self._reader = MetricReader(self._spec.metrics, time.time)
        self._report = ReportFile(workspace.report)
        launch = CommandSpec(
            argv=words,
            cwd=workspace.work,
            environment=environment,
            log=workspace.log,
            log_bytes=run.log,
            timeout_s=run.timeout,
            file_bytes=run.disk,
            line_words=self._spec.metrics,
            memory_bytes=run.memory or 0,
            grace_s=base.GRACE_S,
            folder=workspace.folder,
            report=workspace.report,
            reads=self._read_beside(workspace),
            gpus=self._gpus,
            cores=self.slot.cores,
        )
        self._job = self._started(
            launch if sandbox is None else sandbox.enclose(launch, self._room(workspace)), words[0]
        )

    def _started(self, launch: CommandSpec, program: str) -> Job:
        """Start it. A sandbox hides why a program inside it cannot start, so that is found out before."""
        why = program_problem(program, launch) if launch.is_enclosed else ""
        return FailedJob(why) if why else self._evaluator.executor.start(launch)

    def _room(self, workspace: Workspace) -> TrialMounts:
        """What the command may see and write: a judge reads what the trial made, and writes beside it."""
        snapshot = self._evaluator.snapshot
        is_judge = workspace is not self._workspace
        own = [] if is_judge else [workspace.artifacts]
        protected = [] if is_judge else [workspace.work / path for path in self._evaluator.protected]
        linked = [path for path in workspaces.linked_places(snapshot) if not is_too_wide(path)]
        return TrialMounts(
            writable=[workspace.work, workspace.report, *own],
            readable=[*linked, *self._read_beside(workspace)],
            locked=[path for path in protected if not path.is_symlink()],
            scratch=workspace.scratch,
            gpus=bool(self.slot.gpus),
        )

    def _read_beside(self, workspace: Workspace) -> list[Path]:
        """What the command reads beside the project: a judge the artifacts, a trial those of a shorter run."""
        if workspace is not self._workspace:
            return [workspace.artifacts]
        return [] if self._resume_from is None else [self._resume_from]

    def _tampering(self) -> str:
        """Tell what the trial did that it must not, "" when nothing."""
        protected = self._evaluator.protected
        for folder in (self._workspace.work, self._evaluator.snapshot.folder):
            for name in changed_files(folder, protected):
                return f"{name} was changed_files by the trial; it is protected ([edits].protect)"
        if self._sandbox is None or self._spec.evaluate is None:
            return ""
        return next(unsafe_artifacts(self._workspace.artifacts), "")

    def _judge_is_due(self, end: CommandResult) -> bool:
        if self._spec.evaluate is None or self._training is not None:
            return False
        if self._killed_for or self._stopped_for or self._tampered:
            return False
        return end.status == 0 and not end.error

    def _begin_judge(self) -> None:
        assert self._spec.evaluate is not None  # noqa: S101  # only then is a judge due
        self._values = self._own_values()
        judge = workspaces.judges_workspace(self._workspace, self._evaluator.snapshot)
        self._begin(self._spec.evaluate.command, judge)

    def _own_values(self) -> dict[str, float]:
        """What the training script said, where a judge decides under names of its own."""
        return {f"{TRAINING}{name}": value for name, value in self._values.items()}

    def _observe(self) -> None:
        found = [o for line in self._report.lines() for o in self._reader.from_report(line)]
        found += [o for line in self._job.lines() for o in self._reader.from_line(line)]
        judged = self._spec.evaluate is not None and self._training is None
        for observation in found:
            name = f"{TRAINING}{observation.metric}" if judged else observation.metric
            is_known = observation.metric in self._values or observation.metric in self._spec.metrics
            if not is_known and len(self._values) >= METRICS:
                continue
            self._values[observation.metric] = observation.value
            self._observed += 1
            if self._observed <= OBSERVATIONS:
                self._on_observation(replace(observation, metric=name))

    def _watch_disk(self) -> None:
        """End a trial whose folder outgrew its quota; looking costs little, and less often where it costs more."""
        now = time.monotonic()
        if now < self._next_look_at:
            return
        try:
            if workspaces.used_bytes(self._running) > self._spec.run.disk:
                self.kill(f"filled its disk quota of {self._spec.run.disk / 2**20:,.0f} MiB ([run].disk)")
        except Unmeasurable as error:
            self.kill(f"{error}; its disk quota cannot be watched")
        self._next_look_at = now + max(1.0, 20 * (time.monotonic() - now))

    def _judged(self, end: CommandResult) -> Outcome:
        is_judged = self._spec.evaluate is None or self._training is not None
        failure = self._failure(end)
        state = TrialState.COMPLETE if failure is None else TrialState.FAILED
        note = ""
        if self._stopped_for and not self._stopped_as and not self._killed_for and not self._tampered:
            state, failure, note = TrialState.STOPPED, None, self._stopped_for
        return Outcome(
            state=state,
            values=self._values if is_judged else self._own_values(),
            failure=failure,
            note=note,
            usage=self._usage(end),
            artifacts=workspaces.artifacts_in(self._workspace),
        )

    def _failure(self, end: CommandResult) -> Failure | None:
        tail = strip_control(end.tail)[-TAIL_CHARS:]
        if self._tampered:
            return Failure(kind=FailureKind.TAMPERED, reason=strip_control(self._tampered), tail=tail)
        if self._stopped_as and not self._killed_for:
            return Failure(kind=self._stopped_as, reason=self._stopped_for, tail=tail)
        failure = failure_of(
            end,
            timeout_s=self._spec.run.timeout,
            killed_for=self._killed_for,
            disk_bytes=self._spec.run.disk,
            program=self._program,
        )
        if failure is None:
            failure = metric_failure(self._values, self._spec.study.metric, tail=end.tail)
        if failure is not None and self._training is not None:
            failure = replace(failure, reason=f"{self._judge}: {failure.reason}")
        if failure is not None and self._sandbox is not None:
            failure = replace(failure, reason=failure.reason + sandbox_hint(failure))
        return failure

    def _usage(self, end: CommandResult) -> Usage:
        parts = [end] if self._training is None else [self._training, end]
        wall_s = sum(part.wall_s for part in parts)
        return Usage(
            wall_s=wall_s,
            cpu_s=sum(part.cpu_s for part in parts),
            gpu_s=_sum(part.gpu_share_s for part in parts) or 0.0 if self._spec.run.packs else wall_s * self._gpus,
            peak_rss_gib=max(part.peak_rss_gib for part in parts),
            gpu_mem_gib=max((part.gpu_mem_gib for part in parts if part.gpu_mem_gib is not None), default=None),
            gpu_busy=parts[0].gpu_busy,
            energy_j=_sum(part.energy_j for part in parts),
        )


class PostRunEvaluation(Evaluation):
    """A judge's command on files that are there already, from a folder of its own; nothing is trained.

    Args:
        evaluator: of the study.
        trial: whose parameters and seed the command is given.
        slot: where.
        command: the template.
        kept: the folders whose artifacts it reads.
        name: of its folder, and of the judge in its failures.
    """

    def __init__(  # noqa: PLR0913  # two of them say what, four where
        self, evaluator: Evaluator, trial: Trial, slot: Slot, *, command: str, kept: Workspace, name: str
    ) -> None:
        self._command, self._kept, self._judge = command, kept, name
        super().__init__(evaluator, trial, slot, lambda _: None)

    def _open(self, code: EditedCode | None) -> None:  # noqa: ARG002  # a judge never runs edited code
        self._workspace = self._kept
        self._workspace.artifacts.mkdir(parents=True, exist_ok=True)
        self._training = CommandResult(status=0)
        place = workspaces.judges_workspace(self._workspace, self._evaluator.snapshot, name=self._judge)
        self._begin(self._command, place)


def _sum(parts: Iterable[float | None]) -> float | None:
    """Return the sum of what was measured, None when nothing was."""
    known = [part for part in parts if part is not None]
    return sum(known) if known else None
