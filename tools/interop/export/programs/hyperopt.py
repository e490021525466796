"""Exports to a program for hyperopt: results are finished entries of its Trials, points new ones."""

from __future__ import annotations

from tunesmith.study.space.parameters import Bool, Choice, Float, Int, Parameter
from tunesmith.tools.interop.export.program import highest_multiple, values_of, write_program
from tunesmith.tools.interop.study_export import StudyExport


def export(exported: StudyExport, out: str) -> list[str]:
    """Write the program."""
    parameters = exported.space.parameters.items()
    choices = {name: values_of(p) for name, p in parameters if isinstance(p, Choice | Bool)}
    return write_program("hyperopt", exported, out, _render_parameter, package="hyperopt", choices=choices)


def _render_parameter(name: str, parameter: Parameter) -> str:
    match parameter:
        case Float(low=low, high=high, log=True):
            return f"hp.loguniform({name!r}, np.log({low!r}), np.log({high!r}))"
        case Float(low=low, step=float(step)):
            return f"hp.quniform({name!r}, {low!r}, {highest_multiple(parameter)!r}, {step!r})"
        case Float(low=low, high=high):
            return f"hp.uniform({name!r}, {low!r}, {high!r})"
        case Int(low=low, high=high, log=True):
            return f"scope.int(hp.qloguniform({name!r}, np.log({low}), np.log({high}), 1))"
        case Int(low=low, step=int(step)):
            return f"scope.int(hp.quniform({name!r}, {low}, {highest_multiple(parameter)}, {step}))"
        case Int(low=low, high=high):
            return f"hp.uniformint({name!r}, {low}, {high})"
    return f"hp.choice({name!r}, CHOICES[{name!r}])"
