"""Fills command templates: the values of placeholders, and a command line to paste. Starts no process."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import PurePath

from tunesmith.study.config.filled import environment, file_entries
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.tables.serve import PORT, SERVE_PLACEHOLDERS, SHOWN_PORT
from tunesmith.study.config.template import argv, shell_line
from tunesmith.study.formatting import render_literal
from tunesmith.study.space.condition import Value

_SCRIPTS = (".py", ".sh", ".jl", ".r", ".R")


def template_values(
    spec: StudySpec,
    params: Mapping[str, Value],
    *,
    fidelity: float | None,
    seed: int,
    artifacts: str,
    instance: str = "",
) -> dict[str, Value]:
    """Return the values of all placeholders that the study's commands may use."""
    given: dict[str, Value] = {}
    if spec.fidelity is not None and fidelity is not None:
        given[spec.fidelity.name] = int(fidelity) if float(fidelity).is_integer() else fidelity
    derived = spec.space.derived_values(params, **given)
    columns = spec.instances.placeholders(instance) if spec.instances is not None else {}
    # Filled in once the trial has started, on the machine that it runs on.
    later: dict[str, Value] = {name: f"{{{name}}}" for name in SERVE_PLACEHOLDERS} if spec.serve is not None else {}
    return {**params, **derived, "seed": seed, "artifacts": artifacts, **given, **columns, **later}


def script_path(command: str) -> str:
    """Return the first word of a command that looks like the path of a script; "" if there is none."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    return next((word for word in words if PurePath(word).suffix in _SCRIPTS), "")


def command_line(
    spec: StudySpec,
    params: Mapping[str, Value],
    *,
    fidelity: float | None = None,
    seed: int | None = None,
    instance: str = "",
) -> str:
    """Return the study's command for a configuration as a line for a shell.

    Environment variables come first. What must be written into files is a comment behind the command.

    Args:
        spec: the study.
        params: the configuration.
        fidelity: full if left out.
        seed: that of the study if left out.
        instance: the name of the instance; the first one if left out.
    """
    full = fidelity or (spec.fidelity.max if spec.fidelity else None)
    own_seed = spec.study.seed if seed is None else seed
    instance = instance or next(iter(spec.instances.rows), "") if spec.instances is not None else ""
    values = template_values(spec, params, fidelity=full, seed=own_seed, artifacts="artifacts", instance=instance)
    if spec.serve is not None:
        values[PORT] = spec.serve.port or SHOWN_PORT
    command = spec.run.command
    line = shell_line(command, values) if spec.run.shell else shlex.join(argv(command, values))
    variables = [f"{name}={shlex.quote(text)}" for name, text in environment(spec, values, only_filled=True).items()]
    return " ".join([*variables, line]) + _files_comment(spec, values)


def _files_comment(spec: StudySpec, values: Mapping[str, Value]) -> str:
    filled = file_entries(spec, values, only_filled=True)
    texts = [
        f"{path}: {', '.join(f'{key} = {render_literal(value)}' for key, value in entries.items())}"
        for path, entries in filled.items()
        if entries
    ]
    return f"  # with {'; '.join(texts)}" if texts else ""
