"""Exports to a program for Nevergrad: results are passed to `tell`, points to `suggest`."""

from __future__ import annotations

from tunesmith.study.space.parameters import Choice, Float, Int, Parameter, imputed_value
from tunesmith.tools.interop.export.program import grid, values_of, write_program
from tunesmith.tools.interop.study_export import StudyExport


def export(exported: StudyExport, out: str) -> list[str]:
    """Write the program."""
    return write_program("nevergrad", exported, out, _render_parameter, package="nevergrad")


def _render_parameter(name: str, parameter: Parameter) -> str:  # noqa: ARG001  # the caller names every parameter
    match parameter:
        case Float(step=float()) | Int(step=int()):
            return f"ng.p.TransitionChoice({grid(parameter)!r})"
        case Float(low=low, high=high, log=log) | Int(low=low, high=high, log=log):
            kind = "Log" if log else "Scalar"
            whole = ".set_integer_casting()" if isinstance(parameter, Int) else ""
            return f"ng.p.{kind}(init={imputed_value(parameter)!r}, lower={low!r}, upper={high!r}){whole}"
        case Choice(ordered=True):
            return f"ng.p.TransitionChoice({values_of(parameter)!r})"
    return f"ng.p.Choice({values_of(parameter)!r})"
