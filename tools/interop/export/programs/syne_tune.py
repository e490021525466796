"""Exports to a program for Syne Tune: results are completed trials of its scheduler, points its first suggestions."""

from __future__ import annotations

from tunesmith.study.space.parameters import Choice, Float, Int, Parameter
from tunesmith.tools.interop.export.program import grid, values_of, write_program
from tunesmith.tools.interop.study_export import StudyExport


def export(exported: StudyExport, out: str) -> list[str]:
    """Write the program."""
    return write_program("syne-tune", exported, out, _render_parameter, package='"syne-tune[basic]"')


def _render_parameter(name: str, parameter: Parameter) -> str:  # noqa: ARG001  # the caller names every parameter
    match parameter:
        case Float(step=float()) | Int(step=int()):
            return f'cs.ordinal({grid(parameter)!r}, kind="equal")'
        case Float(low=low, high=high, log=log):
            return f"cs.{'loguniform' if log else 'uniform'}({low!r}, {high!r})"
        case Int(low=low, high=high, log=log):
            return f"cs.{'lograndint' if log else 'randint'}({low}, {high})"
        case Choice(ordered=True):
            return f'cs.ordinal({values_of(parameter)!r}, kind="equal")'
    return f"cs.choice({values_of(parameter)!r})"
