"""Starts the trials of one study from one snapshot of its project. Knows no database and no sampler."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith.evaluator import workspace as workspaces
from tunesmith.evaluator.evaluation import TRAINING_PREFIX, Evaluation, EvaluationContext, Step
from tunesmith.evaluator.executors.base import Executor
from tunesmith.evaluator.executors.local import LocalExecutor
from tunesmith.evaluator.executors.slots import Slot
from tunesmith.evaluator.free_disk import is_full
from tunesmith.evaluator.sandbox.bubblewrap import Sandbox, data_folders, sandbox_problem
from tunesmith.evaluator.sandbox.protected import protected_files, signatures
from tunesmith.evaluator.workspace import Snapshot
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import DiskFull, ProjectError
from tunesmith.study.trials.observation import Observation
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
        executor: Executor | None = None,
    ) -> None:
        self.spec = spec
        self.folder = folder.absolute()
        self.unsafe_edits = unsafe_edits
        self.snapshot = self._take_snapshot(project.absolute())
        executor = executor or LocalExecutor(lambda: None)
        executor.use_project(self.snapshot.folder)
        names = protected_files(self.snapshot, spec.edits.protect if spec.edits else ())
        self.editable = workspaces.file_texts(self.snapshot, spec.edits.files) if spec.edits else {}
        sandboxes_edits = spec.edits is not None and not unsafe_edits and not sandbox_problem()
        self._sandbox = self._make_sandbox(project.absolute()) if spec.run.sandbox or sandboxes_edits else None
        self._context = EvaluationContext(
            spec=spec,
            snapshot=self.snapshot,
            protected=signatures(self.snapshot.folder, names),
            executor=executor,
        )

    @property
    def variant(self) -> str:
        """The hash of the files that trials run from."""
        return self.snapshot.variant

    @property
    def edits_problem(self) -> str:
        """Why edited code cannot run here, "" if it can."""
        if self._sandbox is not None or self.unsafe_edits:
            return ""
        return (
            f"edited code runs only in a sandbox, and {sandbox_problem()}; "
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
        if code is not None and self.edits_problem:
            raise ProjectError(self.edits_problem)
        kept = [workspaces.artifacts_folder(self.folder, shorter.number) for shorter in earlier]
        resume_from = next((path for path in reversed(kept) if path.is_dir() and any(path.iterdir())), None)
        template, files = (code.command, code.files) if code is not None else (self.spec.run.command, {})
        steps = [Step(template=template, prefix=TRAINING_PREFIX if self.spec.evaluate else "")]
        if self.spec.evaluate is not None:
            steps.append(Step(template=self.spec.evaluate.command, folder="judge", label="evaluate"))
        return Evaluation(
            self._context,
            trial,
            slot,
            on_observation,
            workspace=workspaces.make_workspace(self.snapshot, self.folder, trial.number, files),
            steps=steps,
            # Edited code always runs in the sandbox, unless the user asked for the opposite.
            sandbox=self._sandbox if self.spec.run.sandbox or code is not None else None,
            resume_from=resume_from,
        )

    def test(self, trial: Trial, slot: Slot) -> Evaluation:
        """Start the command of [test] on what a finished trial kept; the trial itself is not changed."""
        assert self.spec.test is not None  # noqa: S101  # called only for a study with [test]
        folder = workspaces.workspace_of(self.folder, trial.number).folder
        step = Step(template=self.spec.test.command, folder="test", label="test")
        return self._evaluate_kept(trial, slot, folder, step)

    def judge(self, trial: Trial, slot: Slot, folder: Path) -> Evaluation:
        """Start the evaluation command on what `folder/artifacts` holds, with the trial's parameters and seed."""
        assert self.spec.evaluate is not None  # noqa: S101  # called only for a study with [evaluate]
        step = Step(template=self.spec.evaluate.command, folder="judge", label="judge")
        return self._evaluate_kept(trial, slot, folder, step)

    def close(self) -> None:
        """Release the executor; every trial has cleaned up after itself."""
        self._context.executor.close()

    def _evaluate_kept(self, trial: Trial, slot: Slot, folder: Path, step: Step) -> Evaluation:
        workspace = workspaces.workspace_at(folder)
        workspace.artifacts.mkdir(parents=True, exist_ok=True)
        sandbox = self._sandbox if self.spec.run.sandbox else None
        return Evaluation(
            self._context, trial, slot, lambda _: None, workspace=workspace, steps=[step], sandbox=sandbox
        )

    def _take_snapshot(self, project: Path) -> Snapshot:
        without = workspaces.SECRETS if self.spec.run.sandbox or self.spec.edits else ()
        try:
            return workspaces.take_snapshot(project, self.folder, without=without)
        except OSError as error:
            message = f"the project cannot be copied to {self.folder}: {error.strerror} ({error.filename})"
            raise (DiskFull if is_full(error) else ProjectError)(message) from None

    def _make_sandbox(self, project: Path) -> Sandbox:
        run = self.spec.run
        return Sandbox(
            self.folder,
            data=data_folders(run.data, project),
            # The history, other trials and snapshots are in the folder above this study's.
            hidden=[project, self.folder.parent, Path(os.path.expanduser("~"))],
            network=run.network,
            processes=run.processes,
            memory_bytes=run.memory,
        )
