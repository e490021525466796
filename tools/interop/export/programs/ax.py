"""Exports to a program for Ax: results and failures become trials of its experiment, points run first."""

from __future__ import annotations

from tunesmith.study.space.parameters import Choice, Float, Int, Parameter
from tunesmith.tools.interop.export.program import UnsupportedParameter, highest_multiple, write_program
from tunesmith.tools.interop.study_export import StudyExport

_TYPES = {bool: "bool", int: "int", float: "float", str: "str"}


def export(exported: StudyExport, out: str) -> list[str]:
    """Write the program."""
    return write_program("ax", exported, out, _render_parameter, package="ax-platform")


def _render_parameter(name: str, parameter: Parameter) -> str:
    match parameter:
        case Float(low=low, high=high, log=log, step=step) | Int(low=low, high=high, log=log, step=step):
            top = high if step is None else highest_multiple(parameter)
            scale = ', scaling="log"' if log else ""
            steps = f", step_size={step!r}" if step is not None else ""
            kind = Int.kind if isinstance(parameter, Int) else Float.kind
            bounds = f"bounds=({low!r}, {top!r}), parameter_type={kind!r}"
            return f"RangeParameterConfig(name={name!r}, {bounds}{scale}{steps})"
        case Choice(choices=choices, ordered=ordered):
            kinds = {type(value) for value in choices}
            if len(kinds) > 1 or not kinds <= set(_TYPES):
                raise UnsupportedParameter(
                    f"has choices of several types: {list(choices)!r}; Ax takes either texts or numbers"
                )
            kind = f"parameter_type={_TYPES[kinds.pop()]!r}, is_ordered={ordered}"
            return f"ChoiceParameterConfig(name={name!r}, values={list(choices)!r}, {kind})"
    return f"ChoiceParameterConfig(name={name!r}, values=[False, True], parameter_type='bool')"
