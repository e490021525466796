"""Runs a trial and judges it: workspace, command, observations, outcome. Knows no database and no sampler.

Where the study has a judge ([evaluate]), its command runs after the training command from a fresh copy of the
snapshot, and only its numbers count.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tunesmith.evaluator import workspace as workspaces
from tunesmith.evaluator.environment import trial_environment
from tunesmith.evaluator.executors.base import Exit, Job, Launch
from tunesmith.evaluator.executors.local import LocalExecutor, program_path
from tunesmith.evaluator.failures import TAIL_CHARS, failure_of, metric_failure
from tunesmith.evaluator.metrics import MetricReader, ReportFile
from tunesmith.evaluator.slots import Slot
from tunesmith.evaluator.workspace import Workspace
from tunesmith.study.command import template_values
from tunesmith.study.errors import ProjectError
from tunesmith.study.observation import Observation
from tunesmith.study.spec import StudySpec
from tunesmith.study.template import argv, shell_line
from tunesmith.study.trial import Failure, FailureKind, Outcome, Trial, TrialState, Usage

TRAINING = "train/"
"""Where a judge decides, the training script's own values of the judged metrics are kept under this prefix."""


class Evaluator:
    """Runs the trials of one study from one snapshot of its project.

    Args:
        spec: the study.
        project: the folder of study.toml.
        folder: the study's own folder; trials live in `folder/trials/0007`.
        wake: is called, from another thread, whenever a trial's process ended.

    Raises:
        ProjectError: the project cannot be read, or the folder cannot be written.
    """

    def __init__(
        self, spec: StudySpec, *, project: Path, folder: Path, wake: Callable[[], None] = lambda: None
    ) -> None:
        self.spec = spec
        self.folder = folder.absolute()
        self.executor = LocalExecutor(wake)
        try:
            self.snapshot = workspaces.take_snapshot(project.absolute(), self.folder)
        except OSError as error:
            message = f"the project cannot be copied to {self.folder}: {error.strerror} ({error.filename})"
            raise ProjectError(message) from None

    @property
    def variant(self) -> str:
        """The hash of the files that trials run from."""
        return self.snapshot.variant

    def start(
        self,
        trial: Trial,
        slot: Slot,
        on_observation: Callable[[Observation], None],
        *,
        earlier: Sequence[Trial] = (),
    ) -> Evaluation:
        """Start a trial; whatever is wrong with its command shows in the outcome, not as an exception.

        Args:
            trial: what to run.
            slot: where.
            on_observation: is handed every number that it reports.
            earlier: shorter runs of the same configuration; it may go on from the files of the last that kept any.
        """
        kept = [workspaces.artifacts_folder(self.folder, shorter.number) for shorter in earlier]
        folder = next((folder for folder in reversed(kept) if folder.is_dir() and any(folder.iterdir())), None)
        return Evaluation(self, trial, slot, on_observation, resume_from=folder)

    def close(self) -> None:
        """Nothing is left to close: every trial cleans up after itself."""


class Evaluation:
    """A trial that was started. Call `poll` a few times a second until it returns the outcome."""

    def __init__(
        self,
        evaluator: Evaluator,
        trial: Trial,
        slot: Slot,
        on_observation: Callable[[Observation], None],
        *,
        resume_from: Path | None = None,
    ) -> None:
        self.trial = trial
        self.slot = slot
        self._evaluator = evaluator
        self._spec = evaluator.spec
        self._on_observation = on_observation
        self._resume_from = resume_from
        self._values: dict[str, float] = {}
        self._killed_for = ""
        self._stopped_for = ""
        self._stopped_as: FailureKind | None = None
        self._training: Exit | None = None
        self._outcome: Outcome | None = None
        self._next_look_at = 0.0
        self._workspace = workspaces.make_workspace(evaluator.snapshot, evaluator.folder, trial.number)
        self._begin(self._spec.run.command, self._workspace)

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
        if self._judge_is_due(end):
            self._training = end
            self._begin_judge()
            return None
        self._outcome = self._judged(end)
        workspaces.clear_copies(self._workspace, self._evaluator.snapshot)
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

    def _begin(self, command: str, workspace: Workspace, prefix: str = "") -> None:
        trial, run = self.trial, self._spec.run
        values = template_values(
            self._spec,
            trial.params,
            fidelity=trial.proposal.fidelity,
            seed=trial.proposal.seed,
            artifacts=str(self._workspace.artifacts),
        )
        environment = trial_environment(
            os.environ, extra=run.env, slot=self.slot, values=values, folder=workspace.folder, report=workspace.report
        )
        environment["TUNESMITH_ARTIFACTS"] = str(self._workspace.artifacts)
        environment.pop("TUNESMITH_RESUME_FROM", None)
        if self._resume_from is not None:
            environment["TUNESMITH_RESUME_FROM"] = str(self._resume_from)
        words = ["/bin/sh", "-c", shell_line(command, values)] if run.shell else argv(command, values)
        words = words or [""]
        words[0] = program_path(words[0], environment.get("PATH"))
        self._program = shutil.which(words[0], path=environment.get("PATH")) or words[0]
        self._reader = MetricReader(self._spec.metrics, time.time)
        self._report = ReportFile(workspace.report)
        self._prefix = prefix
        self._job: Job = self._evaluator.executor.start(
            Launch(
                argv=words,
                cwd=workspace.work,
                environment=environment,
                log=workspace.log,
                log_bytes=run.log,
                timeout_s=run.timeout,
                file_bytes=run.disk,
                line_words=self._spec.metrics,
            )
        )

    def _judge_is_due(self, end: Exit) -> bool:
        if self._spec.evaluate is None or self._training is not None or self._killed_for or self._stopped_for:
            return False
        return end.status == 0 and not end.error

    def _begin_judge(self) -> None:
        assert self._spec.evaluate is not None  # noqa: S101  # only then is a judge due
        self._values = {f"{TRAINING}{name}": value for name, value in self._values.items()}
        snapshot = self._evaluator.snapshot
        folder = self._workspace.folder / "judge"
        report = folder / f"{self._workspace.report.stem}-judge.jsonl"
        judge = replace(self._workspace, folder=folder, work=folder / "work", log=folder / "log.txt", report=report)
        workspaces.fill(judge.work, snapshot.folder, snapshot.entries)
        report.touch(exist_ok=False)
        self._begin(self._spec.evaluate.command, judge)

    def _observe(self) -> None:
        found = [o for line in self._report.lines() for o in self._reader.from_report(line)]
        found += [o for line in self._job.lines() for o in self._reader.from_line(line)]
        judged = self._spec.evaluate is not None and self._training is None
        for observation in found:
            name = f"{TRAINING}{observation.metric}" if judged else observation.metric
            self._values[observation.metric] = observation.value
            self._on_observation(replace(observation, metric=name))

    def _watch_disk(self) -> None:
        """End a trial whose folder outgrew its quota; looking costs little, and less often where it costs more."""
        now = time.monotonic()
        if now < self._next_look_at:
            return
        if workspaces.used_bytes(self._workspace) > self._spec.run.disk:
            self.kill(f"filled its disk quota of {self._spec.run.disk / 2**20:,.0f} MiB ([run].disk)")
        self._next_look_at = now + max(1.0, 20 * (time.monotonic() - now))

    def _judged(self, end: Exit) -> Outcome:
        usage = self._usage(end)
        artifacts = workspaces.artifacts_in(self._workspace)
        if self._stopped_as and not self._killed_for:
            why = Failure(kind=self._stopped_as, reason=self._stopped_for, tail=end.tail[-TAIL_CHARS:])
            return Outcome(state=TrialState.FAILED, values=self._values, failure=why, usage=usage, artifacts=artifacts)
        if self._stopped_for and not self._killed_for:
            return Outcome(
                state=TrialState.STOPPED, values=self._values, note=self._stopped_for, usage=usage, artifacts=artifacts
            )
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
            failure = replace(failure, reason=f"evaluate: {failure.reason}")
        state = TrialState.COMPLETE if failure is None else TrialState.FAILED
        return Outcome(state=state, values=self._values, failure=failure, usage=usage, artifacts=artifacts)

    def _usage(self, end: Exit) -> Usage:
        parts = [end] if self._training is None else [self._training, end]
        wall_s = sum(part.wall_s for part in parts)
        return Usage(
            wall_s=wall_s,
            cpu_s=sum(part.cpu_s for part in parts),
            gpu_s=wall_s * self._spec.run.gpus,
            peak_rss_gib=max(part.peak_rss_gib for part in parts),
        )
