"""Fills command templates: the values of placeholders, and a command line to paste. Starts no process."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import PurePath

from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.template import argv, shell_line
from tunesmith.study.space.condition import Value

_SCRIPTS = (".py", ".sh", ".jl", ".r", ".R")


def template_values(
    spec: StudySpec, params: Mapping[str, Value], *, fidelity: float | None, seed: int, artifacts: str
) -> dict[str, Value]:
    """Return the values of all placeholders that the study's commands may use."""
    given: dict[str, Value] = {}
    if spec.fidelity is not None and fidelity is not None:
        given[spec.fidelity.name] = int(fidelity) if float(fidelity).is_integer() else fidelity
    derived = spec.space.derived_values(params, **given)
    return {**params, **derived, "seed": seed, "artifacts": artifacts, **given}


def script_path(command: str) -> str:
    """Return the first word of a command that looks like the path of a script; "" if there is none."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    return next((word for word in words if PurePath(word).suffix in _SCRIPTS), "")


def command_line(spec: StudySpec, params: Mapping[str, Value], *, fidelity: float | None = None) -> str:
    """Return the study's command for a configuration, with the seed of the study; at full fidelity if none is given."""
    full = fidelity or (spec.fidelity.max if spec.fidelity else None)
    values = template_values(spec, params, fidelity=full, seed=spec.study.seed, artifacts="artifacts")
    if spec.run.shell:
        return shell_line(spec.run.command, values)
    return shlex.join(argv(spec.run.command, values))
