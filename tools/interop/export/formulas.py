"""Relations of a search space for another optimizer: formulas as Python, and grids as steps or lists of values."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tunesmith.study.errors import Mistake, SpecError
from tunesmith.study.space.expression import Expression
from tunesmith.study.space.parameters import Choice, Float, Int, Parameter, has_default
from tunesmith.study.space.space import SearchSpace

MAX_LISTED = 1_000
"""Largest number of powers that are listed as choices."""


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula in a program: the names that it needs, and Python code over `v`, the values by name."""

    names: tuple[str, ...]
    code: str


class _Lookups(ast.NodeTransformer):
    """Turns names into lookups in `v`, except those of functions."""

    def visit_Call(self, node: ast.Call) -> ast.Call:
        return ast.Call(node.func, [self.visit(argument) for argument in node.args], [])

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in ("true", "false"):
            return ast.Constant(node.id == "true")
        return ast.Subscript(ast.Name("v"), ast.Constant(node.id))


def relation_variables(space: SearchSpace) -> Mapping[str, Any]:
    """Return what templates have of a space's relations: derived, rules and constants."""
    relations = space.relations
    return {
        "derived": {name: _as_python(formula) for name, formula in relations.derived.items()},
        "rules": {rule.text: _as_python(rule) for rule in relations.rules},
        "constants": dict(relations.constants),
    }


def _as_python(formula: Expression) -> Formula:
    fresh = ast.parse(formula.text.strip(), mode="eval").body
    return Formula(formula.names, ast.unparse(_Lookups().visit(fresh)))


def without_own_grids(space: SearchSpace) -> SearchSpace:
    """Return the space with multiples as steps on a linear scale, and with powers as ordered choices.

    Raises:
        SpecError: there are too many values for a list.
    """
    found = {name: _plain(name, parameter) for name, parameter in space.parameters.items()}
    if found == space.parameters:
        return space
    return space.extended(found)


def _plain(name: str, parameter: Parameter) -> Parameter:
    if not isinstance(parameter, Float | Int) or (parameter.multiple_of is None and parameter.power_of is None):
        return parameter
    first, last = parameter.from_unit(0.0), parameter.from_unit(1.0)
    if parameter.multiple_of is not None:
        return replace(parameter, low=first, high=last, step=parameter.multiple_of, multiple_of=None, log=False)  # type: ignore[arg-type]  # its own type
    count = int(parameter.cardinality)
    if count > MAX_LISTED:
        message = f"has {count} values, but a list holds at most {MAX_LISTED}; narrow its range"
        raise SpecError([Mistake(f"space.{name}", message)], where="this study, for export,")
    values = [parameter.from_unit((index + 0.5) / count) for index in range(count)]
    default = parameter.default if has_default(parameter) else None
    return Choice(values, ordered=True, default=default, when=parameter.when, help=parameter.help)


def scale_remarks(space: SearchSpace) -> list[str]:
    """Return what is lost where a target has multiples on a linear scale only."""
    lost = [n for n, p in space.parameters.items() if isinstance(p, Float | Int) and p.multiple_of and p.log]
    return [f"{', '.join(lost)}: on a linear scale, since multiples on a log scale are not known there"] if lost else []
