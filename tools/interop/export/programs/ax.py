"""A program for Ax: results are completed trials of its experiment, failures failed ones, points come first."""

from __future__ import annotations

from tunesmith.study.space.parameters import Choice, Float, Int, Parameter
from tunesmith.tools.interop.export.program import Untranslatable, aligned_top, write_program
from tunesmith.tools.interop.study_export import Handover

_TYPES = {bool: "bool", int: "int", float: "float", str: "str"}


def export(handover: Handover, out: str) -> list[str]:
    """Write the program."""
    return write_program("ax", handover, out, _say, package="ax-platform")


def _say(name: str, parameter: Parameter) -> str:
    match parameter:
        case Float(low=low, high=high, log=log, step=step) | Int(low=low, high=high, log=log, step=step):
            top = high if step is None else aligned_top(parameter)
            scale = ', scaling="log"' if log else ""
            steps = f", step_size={step!r}" if step is not None else ""
            bounds = f"bounds=({low!r}, {top!r}), parameter_type={parameter.kind!r}"
            return f"RangeParameterConfig(name={name!r}, {bounds}{scale}{steps})"
        case Choice(choices=choices, ordered=ordered):
            kinds = {type(value) for value in choices}
            if len(kinds) > 1 or not kinds <= set(_TYPES):
                raise Untranslatable(
                    f"has choices of several types: {list(choices)!r}; Ax takes texts or numbers alone"
                )
            kind = f"parameter_type={_TYPES[kinds.pop()]!r}, is_ordered={ordered}"
            return f"ChoiceParameterConfig(name={name!r}, values={list(choices)!r}, {kind})"
    return f"ChoiceParameterConfig(name={name!r}, values=[False, True], parameter_type='bool')"
