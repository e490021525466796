"""Starts the trials of one study from one snapshot of its project. Knows no database and no sampler."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tunesmith.evaluator.evaluation import Evaluation
from tunesmith.evaluator.executors.base import CommandSpec, Executor, Job
from tunesmith.evaluator.executors.local import LocalExecutor
from tunesmith.evaluator.executors.slots import Slot
from tunesmith.evaluator.files import workspace as workspaces
from tunesmith.evaluator.files.free_disk import is_full
from tunesmith.evaluator.files.private_files import (
    JUDGE,
    hidden_paths,
    judge_data,
    private_paths,
    study_folders,
    with_sidecars,
)
from tunesmith.evaluator.files.read_trace import JudgedData
from tunesmith.evaluator.files.snapshot import SECRETS, Snapshot, file_texts, take_snapshot
from tunesmith.evaluator.files.trial_files import check_files, check_texts, shared_folders
from tunesmith.evaluator.sandbox.bubblewrap import Sandbox, TrialMounts, data_folders, sandbox_problem
from tunesmith.evaluator.sandbox.environment import without_secrets
from tunesmith.evaluator.sandbox.protected import protected_files, signatures
from tunesmith.evaluator.steps import TRAINING_PREFIX, EvaluationContext, Step, hidden_step
from tunesmith.evaluator.supervision.leftovers import unsafe_artifacts
from tunesmith.evaluator.timing.evaluation import TimedEvaluation
from tunesmith.study.config.command import template_values
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import DiskFull, ProjectError
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.trial import Trial


@dataclass(frozen=True, slots=True)
class EditedCode:
    """Edited code to run instead of the project's.

    Attributes:
        files: the text of each edited file, by path.
        command: the command, with the options of parameters that the edits add.
    """

    files: Mapping[str, str]
    command: str


class Evaluator:
    """Starts the trials of one study.

    Args:
        spec: the study.
        project: the folder of study.toml.
        folder: the study's own folder; trial 7 runs in `folder/trials/0007`.
        unsafe_edits: whether edited code may run without the sandbox.
        history: the history file, which no trial may see; in the folder above the study's own if left out.
        executor: where trials run; closed with the evaluator. This machine if left out.

    Raises:
        ProjectError: the project cannot be read, the folder cannot be written, a protected file is missing, or the
            sandbox does not work here.
    """

    def __init__(
        self,
        spec: StudySpec,
        *,
        project: Path,
        folder: Path,
        unsafe_edits: bool = False,
        history: Path | None = None,
        executor: Executor | None = None,
    ) -> None:
        self.spec = spec
        self.folder = folder.absolute()
        self.unsafe_edits = unsafe_edits
        self._project = project.absolute()
        self._history = history.absolute() if history else self.folder.parent / "history.db"
        shared = shared_folders(spec, self._project)
        data = judge_data(spec, self._project)
        self._private = list(dict.fromkeys([*private_paths(data), *hidden_paths(self._project)]))
        hides_secrets = bool(spec.run.sandbox or spec.edits)
        self.snapshot = self._take_snapshot(hides_secrets=hides_secrets)
        executor = executor or LocalExecutor(lambda: None)
        executor.use_project(self.snapshot.folder)
        names = protected_files(self.snapshot, spec.edits.protect if spec.edits else ())
        check_texts(spec, self.snapshot.folder)
        self.editable = file_texts(self.snapshot, spec.edits.files) if spec.edits else {}
        # Made now where it may be needed, so that what is wrong with it is reported before the first trial.
        sandboxes_edits = spec.edits is not None and not unsafe_edits and not sandbox_problem()
        self._sandbox = self._make_sandbox() if spec.run.sandbox or sandboxes_edits else None
        self._context = EvaluationContext(
            spec=spec,
            snapshot=self.snapshot,
            protected=signatures(self.snapshot.folder, names),
            executor=executor,
            shared=shared,
            data=data,
            project=self._project,
            reads=JudgedData(self.folder) if spec.edits and spec.evaluate and not spec.evaluate.is_time else None,
        )
        self._sandboxed_context = self._context if hides_secrets else None
        check_files(spec, self.snapshot.folder, _default_values(spec))

    @property
    def variant(self) -> str:
        """The hash of the files that trials run from."""
        return self.snapshot.variant

    @property
    def edits_problem(self) -> str:
        """Why edited code cannot run here, nor a command open what it left; "" if both can."""
        if self._sandbox is not None or self.unsafe_edits:
            return ""
        problem = sandbox_problem()
        if not problem and self.spec.run.executor != "local":
            problem = f'the sandbox works on this machine only, but executor = "{self.spec.run.executor}"'
        if not problem:
            return ""
        return (
            f"edited code runs only in a sandbox, and so does what opens its files, but {problem}; "
            "--unsafe-edits runs it without one, at your own risk"
        )

    def start(
        self,
        trial: Trial,
        slot: Slot,
        on_observation: Callable[[Observation], None],
        *,
        earlier: Sequence[Trial] = (),
        code: EditedCode | None = None,
    ) -> Evaluation:
        """Start a trial. A command that cannot start is a failure in the outcome, not an exception.

        Args:
            trial: what to run.
            slot: where.
            on_observation: called with each observation.
            earlier: shorter runs of the same configuration; it may resume from the files of the last that kept any.
            code: edited code; None for the project as it is.

        Raises:
            ProjectError: edited code cannot run here, or the trial's folders cannot be made.
        """
        training, files = self._training(self.spec, code)
        continued = self._continued(earlier)
        resume_from = workspaces.artifacts_folder(self.folder, continued[-1].number) if continued else None
        sandbox = self._sandbox_for(trial, *earlier)
        # Bounds may have changed since the study was opened.
        context = replace(self._context_in(sandbox), spec=self.spec)
        judge = self.spec.evaluate
        kind = TimedEvaluation if judge is not None and judge.is_time else Evaluation
        return kind(
            context,
            trial,
            slot,
            on_observation,
            workspace=workspaces.make_workspace(context.snapshot, self.folder, trial.number, files),
            steps=[training, *_judges(self.spec)],
            sandbox=sandbox,
            resume_from=resume_from,
            continued=[run.outcome.usage for run in continued if run.outcome],
        )

    def time_training(self, trial: Trial, slot: Slot, name: str, *, code: EditedCode | None = None) -> Evaluation:
        """Start the training of a trial for its time only, without evaluation, in a folder of that name in the trial's.

        Args:
            trial: what to run; its own folder exists and is not changed.
            slot: where.
            name: of the folder.
            code: edited code; None for the project as it is.

        Raises:
            ProjectError: as of `start`.
        """
        folder = workspaces.workspace_of(self.folder, trial.number).folder / name
        return self._start_apart(trial, slot, folder, self.spec, code, judges=[])

    def start_scaled(
        self, trial: Trial, slot: Slot, spec: StudySpec, folder: Path, *, code: EditedCode | None = None
    ) -> Evaluation:
        """Start a trial with training and evaluation in a separate folder, as a changed study has it.

        Args:
            trial: what to run; its own folder is not changed.
            slot: where.
            spec: the study, with other limits and variables.
            folder: below the study's folder, two levels deep.
            code: edited code; None for the project as it is.

        Raises:
            ProjectError: as of `start`.
        """
        return self._start_apart(trial, slot, folder, spec, code, judges=_judges(spec))

    def _start_apart(  # noqa: PLR0913  # what runs, where, and as what
        self,
        trial: Trial,
        slot: Slot,
        folder: Path,
        spec: StudySpec,
        code: EditedCode | None,
        *,
        judges: Sequence[Step],
    ) -> Evaluation:
        training, files = self._training(spec, code)
        sandbox = self._sandbox_for(trial)
        context = replace(self._context_in(sandbox), spec=spec)
        workspace = workspaces.make_workspace_at(folder, context.snapshot, files)
        steps = [training, *judges]
        return Evaluation(context, trial, slot, lambda _: None, workspace=workspace, steps=steps, sandbox=sandbox)

    def _training(self, spec: StudySpec, code: EditedCode | None) -> tuple[Step, Mapping[str, str]]:
        """Return the training of a trial, and its edited files.

        Raises:
            ProjectError: edited code cannot run here.
        """
        if code is not None and self.edits_problem:
            raise ProjectError(self.edits_problem)
        template, files = (code.command, code.files) if code is not None else (spec.run.command, {})
        return Step(template=template, prefix=TRAINING_PREFIX if spec.evaluate else ""), files

    def _continued(self, earlier: Sequence[Trial]) -> Sequence[Trial]:
        """Return those of shorter runs that lead to the last one with files; none if none kept any."""
        for count in range(len(earlier), 0, -1):
            kept = workspaces.artifacts_folder(self.folder, earlier[count - 1].number)
            if kept.is_dir() and any(kept.iterdir()):
                return earlier[:count]
        return ()

    def test(self, trial: Trial, slot: Slot) -> Evaluation:
        """Start the command of [test] on what a finished trial kept; the trial itself is not changed.

        Raises:
            ProjectError: the trial ran edited code and there is no sandbox here, or nobody may open what it kept.
        """
        assert self.spec.test is not None  # noqa: S101  # called only for a study with [test]
        folder = workspaces.workspace_of(self.folder, trial.number).folder
        step = Step(template=self.spec.test.command, folder="test", label="test")
        return self._evaluate_kept([trial], slot, folder, step)

    def judge_hidden(self, trial: Trial, slot: Slot) -> Evaluation:
        """Start the command of [confirm] on what a finished trial kept; raises as `test`."""
        folder = workspaces.workspace_of(self.folder, trial.number).folder
        return self._evaluate_kept([trial], slot, folder, hidden_step(self.spec, self._project))

    def judge(self, trials: Sequence[Trial], slot: Slot, folder: Path) -> Evaluation:
        """Start the evaluation command on what `folder/artifacts` holds, with the first trial's parameters and seed.

        Args:
            trials: those whose files the folder was made from.
            slot: where.
            folder: like a trial's.

        Raises:
            ProjectError: as of `test`.
        """
        assert self.spec.evaluate is not None  # noqa: S101  # called only for a study with [evaluate]
        step = Step(template=self.spec.evaluate.command, folder=JUDGE, label="judge")
        return self._evaluate_kept(trials, slot, folder, step)

    def files_problem(self, trial: Trial) -> str:
        """Return why nobody may open what a trial kept: a link, a pipe or a locked folder; "" if all may."""
        if self._sandbox_for(trial) is None:
            return ""
        return next(unsafe_artifacts(str(workspaces.artifacts_folder(self.folder, trial.number))), "")

    def run_on_files(self, argv: Sequence[str], trials: Sequence[Trial], folder: Path, reads: Sequence[Path]) -> Job:
        """Start a program of Tunesmith itself on files that trials kept, by the same rule as the trials.

        Args:
            argv: the program; it may write `folder/artifacts`.
            trials: those that kept the files.
            folder: like a trial's.
            reads: what it reads.

        Raises:
            ProjectError: as of `test`.
        """
        sandbox = self._sandbox_for(*trials)
        workspace = workspaces.workspace_at(folder)
        for path in (workspace.work, workspace.artifacts):
            path.mkdir(parents=True, exist_ok=True)
        spec = CommandSpec(
            argv=argv,
            cwd=workspace.work,
            environment=without_secrets(os.environ) if sandbox else dict(os.environ),
            log=workspace.log,
            log_bytes=self.spec.run.log,
            timeout_s=self.spec.run.timeout,
            file_bytes=self.spec.run.disk,
            memory_bytes=self.spec.run.memory or 0,
        )
        if sandbox is not None:
            writable = [workspace.work, workspace.artifacts]
            spec = sandbox.wrap(
                spec, TrialMounts(writable=writable, readable=reads, locked=[], scratch=workspace.scratch)
            )
        return self._context.executor.start(spec)

    def close(self) -> None:
        """Release the executor; every trial has cleaned up after itself."""
        self._context.executor.close()

    def _evaluate_kept(self, trials: Sequence[Trial], slot: Slot, folder: Path, step: Step) -> Evaluation:
        sandbox = self._sandbox_for(*trials)
        workspace = workspaces.workspace_at(folder)
        workspace.artifacts.mkdir(parents=True, exist_ok=True)
        problem = next(unsafe_artifacts(str(workspace.artifacts)), "") if sandbox is not None else ""
        if problem:
            raise ProjectError(f"what trial {trials[0].number} kept is not opened: {problem}")
        context = self._context_in(sandbox)
        return Evaluation(context, trials[0], slot, lambda _: None, workspace=workspace, steps=[step], sandbox=sandbox)

    def _sandbox_for(self, *trials: Trial) -> Sandbox | None:
        """Return what a command runs in that is one of these trials, or opens what they left; None for no sandbox.

        This is the only rule: with [run].sandbox everything runs in it; otherwise edited code does, and whatever opens
        a file that edited code left, be it a judge, [test], a soup or a trial that continues another one.

        Raises:
            ProjectError: the sandbox is needed and does not work here.
        """
        is_edited = any(trial.proposal.code for trial in trials)
        if not self.spec.run.sandbox and (not is_edited or self.unsafe_edits):
            return None
        if self._sandbox is None:
            if self.edits_problem:
                raise ProjectError(self.edits_problem)
            self._sandbox = self._make_sandbox()
        return self._sandbox

    def _context_in(self, sandbox: Sandbox | None) -> EvaluationContext:
        """Return the context of commands in this sandbox; files that hold keys are not copied for one."""
        if sandbox is None:
            return self._context
        if self._sandboxed_context is None:
            snapshot = self._take_snapshot(hides_secrets=True)
            self._sandboxed_context = replace(self._context, snapshot=snapshot)
        return self._sandboxed_context

    def _take_snapshot(self, *, hides_secrets: bool) -> Snapshot:
        without = SECRETS if hides_secrets else ()
        project = self._project
        try:
            return take_snapshot(
                project,
                self.folder,
                without=without,
                shared=self.spec.run.shared,
                private=self._private,
                histories=with_sidecars(self._history),
            )
        except OSError as error:
            message = f"the project cannot be copied to {self.folder}: {error.strerror} ({error.filename})"
            raise (DiskFull if is_full(error) else ProjectError)(message) from None

    def _make_sandbox(self) -> Sandbox:
        run, project = self.spec.run, self._project
        return Sandbox(
            self.folder,
            data=data_folders(run.data, project),
            # The history, other trials and snapshots are in the folder above this study's, which may be the project.
            hidden=[
                *(project, project / ".tunesmith", self.folder.parent, self.folder, Path(os.path.expanduser("~"))),
                *study_folders(self.folder.parent),
                *with_sidecars(self._history),
                *self.snapshot.histories,
                *self._private,
            ],
            network=run.network,
            processes=run.processes,
            memory_bytes=run.memory,
        )


def _judges(spec: StudySpec) -> list[Step]:
    """Return the evaluation of a trial; none without [evaluate]."""
    judge = spec.evaluate
    if judge is None:
        return []
    return [Step(template=judge.command, folder=JUDGE, label="" if judge.is_time else "evaluate")]


def _default_values(spec: StudySpec) -> Mapping[str, Value]:
    full = spec.fidelity.max if spec.fidelity else None
    return template_values(spec, spec.space.imputed, fidelity=full, seed=spec.study.seed, artifacts="artifacts")
