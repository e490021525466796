"""Exports to a program for SMAC: results and failures in its run history, points in its initial design."""

from __future__ import annotations

from tunesmith.study.errors import Mistake, SpecError
from tunesmith.study.space.condition import Comparison, Condition, Junction
from tunesmith.study.space.parameters import Bool, Choice, Float, Int, Parameter, imputed_value
from tunesmith.study.space.space import SearchSpace
from tunesmith.tools.interop.export.formulas import without_own_grids
from tunesmith.tools.interop.export.program import UnsupportedParameter, grid, values_of, write_program
from tunesmith.tools.interop.study_export import StudyExport

_SIDES = {"<": "LessThan", ">": "GreaterThan", "=": "Equals"}


def export(exported: StudyExport, out: str) -> list[str]:
    """Write the program.

    Raises:
        SpecError: ConfigSpace does not support a condition or a parameter.
    """
    space = without_own_grids(exported.space)
    found, mistakes = [], []
    for name, condition in space.conditions.items():
        try:
            found.append(_condition(f"p[{name!r}]", condition, space))
        except UnsupportedParameter as error:
            mistakes.append(Mistake(f"space.{name}.when", str(error)))
    if mistakes:
        raise SpecError(mistakes, where="this study, for smac,")
    return write_program("smac", exported, out, _render_parameter, package="smac", is_flat=False, cs_conditions=found)


def _render_parameter(name: str, parameter: Parameter) -> str:
    rest = f"default={imputed_value(parameter)!r}"
    match parameter:
        case Float(step=float()) | Int(step=int()):
            return f"cs.Categorical({name!r}, {grid(parameter)!r}, ordered=True, {rest})"
        case Float(low=low, high=high, log=log):
            return f"cs.Float({name!r}, ({low!r}, {high!r}), log={log}, {rest})"
        case Int(low=low, high=high, log=log):
            return f"cs.Integer({name!r}, ({low}, {high}), log={log}, {rest})"
        case Choice(choices=choices, ordered=ordered):
            return f"cs.Categorical({name!r}, {list(choices)!r}, ordered={ordered}, {rest})"
    return f"cs.Categorical({name!r}, [False, True], {rest})"


def _condition(child: str, condition: Condition, space: SearchSpace) -> str:
    match condition:
        case Comparison(name=name) if name in space.relations.derived:
            raise UnsupportedParameter(f"compares {name}, which is derived; ConfigSpace compares parameters only")
        case Comparison(name=name):
            return _comparison(child, f"p[{name!r}]", condition, space.parameters[name])
        case Junction(op=op, parts=parts):
            joined = ", ".join(_condition(child, part, space) for part in parts)
            return f"cs.{op.capitalize()}Conjunction({joined})"
    raise UnsupportedParameter("has a `not`, which ConfigSpace does not support; negate the comparison instead")


def _comparison(child: str, guard: str, comparison: Comparison, parameter: Parameter) -> str:
    constant = comparison.constants[0]
    if isinstance(parameter, Choice | Bool) or getattr(parameter, "step", None) is not None:
        possible = values_of(parameter) if isinstance(parameter, Choice | Bool) else grid(parameter)
        values = [value for value in possible if comparison.holds({comparison.name: value})]
        if not values:
            raise UnsupportedParameter("is never true; remove the parameter")
        return f"cs.InCondition({child}, {guard}, {values!r})"
    match comparison.op:
        case "==" | "in":
            return f"cs.InCondition({child}, {guard}, {list(dict.fromkeys(comparison.constants))!r})"
        case "<" | ">" | "<=" | ">=" | "!=":
            sides = [word for sign, word in _SIDES.items() if sign in comparison.op.replace("!=", "<>")]
            rendered = [f"cs.{word}Condition({child}, {guard}, {constant!r})" for word in sides]
            return rendered[0] if len(rendered) == 1 else f"cs.OrConjunction({', '.join(rendered)})"
    raise UnsupportedParameter("has a `not in` over a range, which ConfigSpace does not support; use < and >")
