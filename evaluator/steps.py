"""What a trial consists of: its commands, and what all trials of a study share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tunesmith.evaluator.executors.base import Executor
from tunesmith.evaluator.files.private_files import HIDDEN, hidden_scripts
from tunesmith.evaluator.files.read_trace import JudgedData
from tunesmith.evaluator.files.snapshot import Snapshot
from tunesmith.study.config.spec import StudySpec

TRAINING_PREFIX = "train/"
"""Prefix of the training's own metrics in a study that has an evaluation command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationContext:
    """What all trials of a study share.

    Attributes:
        snapshot: the project's files.
        protected: the signature of each protected file, by path.
        executor: where commands run.
        shared: the folders that all trials share, by the name in [run].shared.
        data: what only the evaluation in a folder may read, by the folder's name and its name in study.toml.
        project: the folder of study.toml.
        reads: what the judge and the training read; None where it does not matter.
    """

    spec: StudySpec
    snapshot: Snapshot
    protected: Mapping[str, str]
    executor: Executor
    shared: Mapping[str, Path] = field(default_factory=dict)
    data: Mapping[str, Mapping[str, Path]] = field(default_factory=dict)
    project: Path = Path()
    reads: JudgedData | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command of a trial.

    Attributes:
        template: the command, with placeholders for the parameters.
        folder: name of an evaluation's folder in the trial's folder; "" for the training, which runs in the latter.
        label: put before the reason when an evaluation fails.
        prefix: put before the names of its metrics.
        scripts: files that only this command has, by their path in its copy of the project.
    """

    template: str
    folder: str = ""
    label: str = ""
    prefix: str = ""
    scripts: Mapping[str, Path] = field(default_factory=dict)

    @property
    def is_training(self) -> bool:
        """Whether this is the training, not an evaluation."""
        return not self.folder


def hidden_step(spec: StudySpec, project: Path) -> Step:
    """Return the command of [confirm], which judges what a finished trial kept by data that nothing else sees."""
    template = spec.confirm.command if spec.confirm is not None else None
    assert template is not None  # noqa: S101  # asked only of a study with that command
    return Step(template=template, folder=HIDDEN, label="the judge of [confirm]", scripts=hidden_scripts(spec, project))
