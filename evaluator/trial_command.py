"""Builds the commands of a trial: command line, environment, and what each may see in the sandbox. Starts nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tunesmith.evaluator.executors import base
from tunesmith.evaluator.executors.base import CommandSpec
from tunesmith.evaluator.executors.local import resolve_program
from tunesmith.evaluator.executors.slots import Slot
from tunesmith.evaluator.files.snapshot import Snapshot, link_targets
from tunesmith.evaluator.files.workspace import Workspace
from tunesmith.evaluator.profiling.profile import is_profiled, with_profiler
from tunesmith.evaluator.readers.metric_patterns import line_words
from tunesmith.evaluator.readers.telemetry import WORDS as TELEMETRY_WORDS
from tunesmith.evaluator.report_package import with_report_package
from tunesmith.evaluator.sandbox.bubblewrap import TrialMounts
from tunesmith.evaluator.sandbox.environment import trial_environment, without_secrets
from tunesmith.evaluator.sandbox.mounts import is_too_wide
from tunesmith.evaluator.serving.command import own_rooms, serve_argv
from tunesmith.study.config.command import template_values
from tunesmith.study.config.filled import environment as filled_environment
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.template import argv, shell_line
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.trial import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialCommand:
    """A command of one trial: the training, or the evaluation of what the training kept.

    Attributes:
        template: the command, with placeholders for the parameters.
        workspace: the folders it runs in; `artifacts` is the trial's own, which an evaluation only reads.
        is_training: whether it trains; an evaluation runs no edited code and may not change the artifacts.
        resume_from: files of an earlier, shorter run of the same configuration.
        links: links to the folders that all trials share.
        data: what only this evaluation may read.
        serves: whether it is a server that a benchmark measures.
    """

    template: str
    workspace: Workspace
    is_training: bool
    resume_from: Path | None = None
    links: tuple[Path, ...] = ()
    data: tuple[Path, ...] = ()
    serves: bool = False

    def values(self, study: StudySpec, trial: Trial) -> dict[str, Value]:
        """Return the value of each placeholder."""
        return template_values(
            study,
            trial.params,
            fidelity=trial.proposal.fidelity,
            seed=trial.proposal.seed,
            artifacts=str(self.workspace.artifacts),
            instance=trial.proposal.instance,
        )

    def spec(self, study: StudySpec, trial: Trial, slot: Slot, *, gpus: float, is_sandboxed: bool) -> CommandSpec:
        """Return the command to start.

        Args:
            study: the study.
            trial: whose parameters fill the template.
            slot: GPUs and cores.
            gpus: number of GPUs that the trial is charged for.
            is_sandboxed: whether it will be wrapped in the sandbox, which keeps secrets out of its environment.
        """
        run, workspace = study.run, self.workspace
        values = self.values(study, trial)
        inherited = without_secrets(os.environ) if is_sandboxed else os.environ
        environment = self._environment(inherited, filled_environment(study, values), slot, values)
        if self.is_training:
            environment = with_report_package(environment, _study_folder(workspace.folder))
        if self.is_training and is_profiled(study):
            environment = with_profiler(environment, workspace.profile)
        return CommandSpec(
            argv=self._argv(study, values, environment.get("PATH")),
            cwd=workspace.work,
            environment=environment,
            log=workspace.log,
            log_bytes=run.log,
            timeout_s=run.timeout,
            file_bytes=run.disk,
            line_words=[*line_words(study), *TELEMETRY_WORDS],
            memory_bytes=run.memory or 0,
            grace_s=base.GRACE_S,
            folder=workspace.folder,
            report=workspace.report,
            reads=self._reads,
            gpus=gpus,
            cores=slot.cores,
        )

    def mounts(self, snapshot: Snapshot, protected: Iterable[str], *, gpus: bool) -> TrialMounts:
        """Return what the command may see and write in the sandbox.

        Args:
            snapshot: the project's files; those it links to are shown.
            protected: files of the project that a training may not change.
            gpus: whether the GPUs are shown.
        """
        workspace = self.workspace
        own = [workspace.artifacts, workspace.profile] if self.is_training else []
        locked = [workspace.work / path for path in protected] if self.is_training else []
        linked = [path for path in link_targets(snapshot) if not is_too_wide(path)]
        return TrialMounts(
            writable=[workspace.work, workspace.report, *own],
            readable=[*linked, *self._reads, *self.links, *self.data, *(own_rooms() if self.serves else ())],
            locked=[path for path in locked if not path.is_symlink()],
            scratch=workspace.scratch,
            gpus=gpus,
        )

    def _argv(self, study: StudySpec, values: Mapping[str, Value], path: str | None) -> list[str]:
        words = _words(self.template, values, shell=study.run.shell, path=path)
        if study.serve is None or not self.serves:
            return words
        bench = _words(study.serve.bench, values, shell=study.run.shell, path=path)
        return serve_argv(study.serve, words, bench, path=path)

    @property
    def _reads(self) -> list[Path]:
        if not self.is_training:
            return [self.workspace.artifacts]
        return [] if self.resume_from is None else [self.resume_from]

    def _environment(
        self, inherited: Mapping[str, str], extra: Mapping[str, str], slot: Slot, values: Mapping[str, Value]
    ) -> dict[str, str]:
        environment = trial_environment(inherited, extra=extra, slot=slot, values=values, workspace=self.workspace)
        environment.pop("TUNESMITH_RESUME_FROM", None)
        if not self.is_training:
            # An evaluation that loads a checkpoint must not run code that is in it.
            environment.setdefault("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "1")
        elif self.resume_from is not None:
            environment["TUNESMITH_RESUME_FROM"] = str(self.resume_from)
        return environment


def _study_folder(folder: Path) -> Path:
    """Return the study's own folder, from that of a trial or of a part of one."""
    return next((parent.parent for parent in folder.parents if parent.name == "trials"), folder.parents[1])


def _words(template: str, values: Mapping[str, Value], *, shell: bool, path: str | None) -> list[str]:
    words = ["/bin/sh", "-c", shell_line(template, values)] if shell else argv(template, values)
    words = words or [""]
    return [resolve_program(words[0], path), *words[1:]]
