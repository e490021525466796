"""Relations of a search space for another optimizer: formulas as Python, and grids as steps or lists of values."""

from __future__ import annotations

import ast
import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.study.space.mixtures.rows import names_of
from tunesmith.study.space.parameters import Float, Int
from tunesmith.study.space.plain_grids import steps_or_choices
from tunesmith.study.space.rules.expression import Expression
from tunesmith.study.space.space import SearchSpace


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
    return Formula(formula.names, ast.unparse(_Lookups().visit(copy.deepcopy(formula.tree))))


def without_own_grids(space: SearchSpace) -> SearchSpace:
    """Return the space with multiples as steps on a linear scale, and with powers as ordered choices."""
    found = {name: steps_or_choices(parameter) for name, parameter in space.parameters.items()}
    return space if found == space.parameters else space.extended(found)


def mixture_variables(space: SearchSpace) -> Mapping[str, Any]:
    """Return what templates have of a space's mixtures: name, smallest and largest share of each source."""
    return {
        "mixtures": {
            mixture: list(zip(names_of(mixture, shares), shares.lows, shares.highs, strict=True))
            for mixture, shares in space.mixtures.items()
        }
    }


def mixture_remarks(space: SearchSpace) -> list[str]:
    """Return what is lost of mixtures in a target that has ranges only."""
    return [f"{name}: a range for each share, which whole() scales to a sum of 1" for name in space.mixtures]


def arm_remarks(space: SearchSpace) -> list[str]:
    """Return what is lost of an algorithm choice: no target divides trials among its values."""
    return [f"{space.arms}: an ordinary choice, since arms are not known there"] if space.arms is not None else []


def scale_remarks(space: SearchSpace) -> list[str]:
    """Return what is lost where a target has multiples on a linear scale only."""
    lost = [n for n, p in space.parameters.items() if isinstance(p, Float | Int) and p.multiple_of and p.log]
    return [f"{', '.join(lost)}: on a linear scale, since multiples on a log scale are not known there"] if lost else []
