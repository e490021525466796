"""Evaluates constants, simple arithmetic and names of constants in a syntax tree, without running the script."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Pow: operator.pow,
}  # fmt: skip
LARGEST_EXPONENT = 64
"""Larger exponents are not evaluated: the result could fill the memory."""


class Unknown(Exception):
    """The value is only known when the script runs."""


def literal(node: ast.expr | None, names: Mapping[str, Any]) -> Any:
    """Return the value of an expression.

    Raises:
        Unknown: it has other parts than constants, + - * / // ** and names of constants.
    """
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(literal(operand, names))
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [literal(item, names) for item in items]
        case ast.Dict(keys=keys):
            # Only used for choices, where a dictionary means its keys.
            return [literal(key, names) for key in keys]
        case ast.Call(func=ast.Name(id="list" | "tuple" | "sorted"), args=[argument]):
            return literal(argument, names)
        case ast.Call(func=ast.Attribute(value=ast.Name() as owner, attr="keys"), args=[]):
            return literal(owner, names)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            return _compute(op, _number(literal(left, names)), _number(literal(right, names)))
    raise Unknown


def literal_or(node: ast.expr | None, names: Mapping[str, Any], otherwise: Any) -> Any:
    """Return the value of an expression, or `otherwise` if it is unknown."""
    try:
        return literal(node, names)
    except Unknown:
        return otherwise


def constants(tree: ast.Module) -> dict[str, Any]:
    """Return the constants of the module by name; of several assignments the last one counts."""
    found: dict[str, Any] = {}
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                pass
            case _:
                continue
        try:
            found[name] = literal(value, found)
        except Unknown:
            found.pop(name, None)
    return found


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """Return the expression of a keyword argument; None if it is not given."""
    return next((k.value for k in call.keywords if k.arg == name), None)


def dotted(node: ast.expr | None) -> str:
    """Return `a.b.c` for a name or an attribute, "" for anything else."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attr):
            return f"{dotted(value)}.{attr}"
    return ""


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unknown
    return value


def _compute(op: ast.operator, left: Any, right: Any) -> Any:
    if isinstance(op, ast.Pow) and abs(right) > LARGEST_EXPONENT:
        raise Unknown
    try:
        return _number(_ARITHMETIC[type(op)](left, right))
    except (ArithmeticError, ValueError):
        raise Unknown from None
