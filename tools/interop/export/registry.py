"""The targets of export by name. A target's own module is imported when it is used."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tunesmith.study.errors import Mistake, ProjectError, SpecError
from tunesmith.study.names import did_you_mean
from tunesmith.tools.interop.study_export import StudyExport

Export: TypeAlias = Callable[[StudyExport, str], list[str]]
"""(the study, a file or the target's URL) -> remarks for the user, one per line.

Raises InputError if the target does not support the study; it leaves no file then.
"""


@dataclass(frozen=True, slots=True)
class Target:
    """An optimizer, a tracker or a file format that a study can be exported to.

    Attributes:
        suffix: of the default file name.
        package: its name for pip; "" if it needs none.
        takes: what an export writes, in one line for the user.
        no_points: why points to try first are not exported; "" if they are.
    """

    name: str
    suffix: str
    package: str
    takes: str
    no_points: str = ""

    def export(self, exported: StudyExport, out: str) -> list[str]:
        """Write the study to `out`; return remarks for the user, one per line."""
        kind = "storages" if self.name in STORAGES else "programs"
        module = importlib.import_module(f"tunesmith.tools.interop.export.{kind}.{self.name.replace('-', '_')}")
        export: Export = module.export
        return export(exported, out)


STORAGES = frozenset({"csv", "jsonl", "mlflow", "optuna"})
"""Targets that are files or databases of results; the others are programs to run."""
_PROGRAM = "a Python program to read and run"
TARGETS = {
    target.name: target
    for target in (
        Target("csv", ".csv", "", "a table, one row per trial"),
        Target("jsonl", ".jsonl", "", "one JSON object per trial"),
        Target("optuna", ".optuna.db", "optuna", "a study in an RDB or journal storage"),
        Target("nevergrad", ".nevergrad.py", "nevergrad", _PROGRAM),
        Target("flaml", ".flaml.py", "flaml optuna", _PROGRAM),
        Target("smac", ".smac.py", "smac", _PROGRAM),
        Target("ax", ".ax.py", "ax-platform", _PROGRAM),
        Target("hyperopt", ".hyperopt.py", "hyperopt", _PROGRAM),
        Target("syne-tune", ".syne_tune.py", "syne-tune", _PROGRAM),
        Target("botorch", ".botorch.py", "botorch", _PROGRAM),
        Target("mlflow", ".mlflow.db", "mlflow", "runs in a tracking database", "an MLflow run has a result"),
        Target(
            "wandb",
            ".wandb.py",
            "wandb",
            "a Python program that logs runs and starts a sweep",
            "a sweep chooses its own",
        ),
        Target("ray", ".ray.py", "ray[tune]", _PROGRAM),
    )
}

_NOT_OFFERED = {
    "hebo": "its package does not install with a current numpy, so an export could not be tested; use csv",
    "vizier": "its designers do not import with a current jax, so an export could not be tested; use csv",
}


def find_target(name: str) -> Target:
    """Return the target of that name.

    Raises:
        SpecError: no target has that name.
    """
    if name in _NOT_OFFERED:
        raise SpecError([Mistake("--to", f"{name} is not offered: {_NOT_OFFERED[name]}")], where="the command line")
    if name not in TARGETS:
        message = f"{name!r} is unknown{did_you_mean(name, TARGETS)}"
        raise SpecError([Mistake("--to", message)], where="the command line")
    return TARGETS[name]


def new_file(out: str) -> Path:
    """Return the path of a file that does not exist yet, in a folder that does.

    Raises:
        ProjectError: the file exists, or its folder does not.
    """
    path = Path(out)
    if path.exists():
        raise ProjectError(f"{path} exists; name another file with -o, or remove it first")
    if not path.absolute().parent.is_dir():
        raise ProjectError(f"{path} cannot be written: the folder {path.parent} does not exist")
    return path
