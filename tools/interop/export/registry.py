"""The targets by name, and what each is called on disk. A target's own module is imported when it is used."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tunesmith.study.errors import Mistake, ProjectError, SpecError
from tunesmith.study.names import did_you_mean
from tunesmith.tools.interop.study_export import Handover

Export: TypeAlias = Callable[[Handover, str], list[str]]
"""(what is handed over, where to: a file, or an address where the target knows them) -> what to say, a line each.

Raises InputError when the target cannot take the study; nothing is left at the place then.
"""


@dataclass(frozen=True, slots=True)
class Target:
    """An optimizer, a tracker or a format that a study can be handed to.

    Attributes:
        suffix: of the file that is written when none is named.
        package: what pip calls it; "" when nothing is needed.
        takes: one line for people: the form that it takes.
        no_points: why it takes no points to try first; "" when it does.
    """

    name: str
    suffix: str
    package: str
    takes: str
    no_points: str = ""

    def export(self, handover: Handover, out: str) -> list[str]:
        """Write the study to `out`; return what to say about it, a line each."""
        kind = "storages" if self.name in STORAGES else "programs"
        module = importlib.import_module(f"tunesmith.tools.interop.export.{kind}.{self.name.replace('-', '_')}")
        export: Export = module.export
        return export(handover, out)


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
        Target("mlflow", ".mlflow.db", "mlflow", "runs in a tracking database", "a run there is one that ran"),
        Target(
            "wandb", ".wandb.py", "wandb", "a Python program that logs runs and starts a sweep", "a sweep draws its own"
        ),
        Target("ray", ".ray.py", "ray[tune]", _PROGRAM),
    )
}

_NOT_OFFERED = {
    "hebo": "its package does not install beside a present numpy, so nothing could be tried out; take csv",
    "vizier": "its designers do not import with a present jax, so nothing could be tried out; take csv",
}


def find_target(name: str) -> Target:
    """Return the target of that name.

    Raises:
        SpecError: there is none.
    """
    if name in _NOT_OFFERED:
        raise SpecError([Mistake("--to", f"{name} is not offered: {_NOT_OFFERED[name]}")], where="the command line")
    if name not in TARGETS:
        message = f"{name!r} is unknown{did_you_mean(name, TARGETS)}"
        raise SpecError([Mistake("--to", message)], where="the command line")
    return TARGETS[name]


def new_file(out: str) -> Path:
    """Return the path if nothing stands there yet and its folder exists.

    Raises:
        ProjectError: something stands there, or there is no such folder.
    """
    path = Path(out)
    if path.exists():
        raise ProjectError(f"{path} exists; name another file with -o, or remove it first")
    if not path.absolute().parent.is_dir():
        raise ProjectError(f"{path} cannot be written: there is no folder {path.parent}")
    return path
