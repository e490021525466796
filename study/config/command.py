"""Fills command templates: the values of placeholders, and a command line to paste. Starts no process."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import PurePath

from tunesmith.study.config.filled import environment, file_entries, filled
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.tables.run import EvaluateTable
from tunesmith.study.config.tables.serve import PORT, SERVE_PLACEHOLDERS, SHOWN_PORT
from tunesmith.study.config.tables.timing import is_function, needs_no_command
from tunesmith.study.config.template import argv, placeholders, shell_line
from tunesmith.study.formatting import one_line, render_literal
from tunesmith.study.space.condition import Value

_MAX_NAMES, _MAX_NAME = 8, 24
"""Number of instances that are named behind a command, and characters after which a name is cut."""
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

    Environment variables come first. What must be written into files is a comment behind the command, as is which
    instance it runs on where none was asked for.

    Args:
        spec: the study.
        params: the configuration.
        fidelity: full if left out.
        seed: that of the study if left out.
        instance: the name of the instance; the first one if left out.
    """
    full = fidelity or (spec.fidelity.max if spec.fidelity else None)
    own_seed = spec.study.seed if seed is None else seed
    name = instance or next(iter(spec.instances.rows), "") if spec.instances is not None else ""
    values = template_values(spec, params, fidelity=full, seed=own_seed, artifacts="artifacts", instance=name)
    if spec.serve is not None:
        values[PORT] = spec.serve.port or SHOWN_PORT
    command = spec.run.command
    if needs_no_command(command) and spec.evaluate is not None:
        line = _timed_line(spec.evaluate, values)
    else:
        line = shell_line(command, values) if spec.run.shell else shlex.join(argv(command, values))
    variables = [f"{name}={shlex.quote(text)}" for name, text in environment(spec, values, only_filled=True).items()]
    remarks = [text for text in (_files_text(spec, values), "" if instance else _instances_text(spec, name)) if text]
    return " ".join([*variables, line]) + (f"  # {'; '.join(remarks)}" if remarks else "")


def _timed_line(table: EvaluateTable, values: Mapping[str, Value]) -> str:
    """Return what is timed: a call such as kernel.py:matmul(block=32), or a program's command line."""
    candidate = table.candidate or ""
    if not is_function(candidate):
        return shlex.join(argv(candidate, values))
    known = {k: v for k, v in table.arguments.items() if all(name in values for name in placeholders(str(v)))}
    return f"{candidate}({', '.join(f'{name}={filled(entry, values)!r}' for name, entry in known.items())})"


def _instances_text(spec: StudySpec, name: str) -> str:
    """Return that a line runs on one instance of several, and what the others are; "" without instances."""
    if spec.instances is None:
        return ""
    shown, *others = (one_line(each, _MAX_NAME) for each in sorted(spec.instances.rows, key=lambda each: each != name))
    listed = ", ".join(others[:_MAX_NAMES]) + (", ..." if len(others) > _MAX_NAMES else "")
    return f"on {shown}, one of {len(others) + 1} instances; the others: {listed}"


def _files_text(spec: StudySpec, values: Mapping[str, Value]) -> str:
    written = file_entries(spec, values, only_filled=True)
    texts = [
        f"{path}: {', '.join(f'{key} = {render_literal(value)}' for key, value in entries.items())}"
        for path, entries in written.items()
        if entries
    ]
    return f"with {'; '.join(texts)}" if texts else ""
