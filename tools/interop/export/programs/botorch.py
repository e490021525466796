"""Exports to a program for BoTorch: results as train_X in the unit cube and train_Y."""

from __future__ import annotations

from tunesmith.study.space.parameters import Float, Int, Parameter
from tunesmith.tools.interop.export.program import grid, values_of, write_program
from tunesmith.tools.interop.study_export import StudyExport


def export(exported: StudyExport, out: str) -> list[str]:
    """Write the program."""
    return write_program("botorch", exported, out, _render_parameter, package="botorch")


def _render_parameter(name: str, parameter: Parameter) -> str:  # noqa: ARG001  # the caller names every parameter
    match parameter:
        case Float(step=float()) | Int(step=int()):
            return f"Listed({grid(parameter)!r})"
        case Float(low=low, high=high, log=log):
            return f"Range({low!r}, {high!r}, log={log})"
        case Int(low=low, high=high, log=log):
            return f"Range({low}, {high}, log={log}, whole=True)"
    return f"Listed({values_of(parameter)!r})"
