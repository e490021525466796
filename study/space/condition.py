"""Parses conditions such as `when = "optimizer == 'sgd' and layers > 2"`; never evaluates text as code.

Python's parser reads the expression, and only the forms below are accepted. A comparison with an inactive parameter is
false for every operator. A share of a mixture has a name of two parts: mix.code, or mix["web-en"].

    expression := expression and expression | expression or expression | not expression | ( expression ) | comparison
    comparison := NAME (== | != | < | <= | > | >=) CONSTANT | NAME (in | not in) [CONSTANT, ...] | NAME
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from tunesmith.study.formatting import render_literal
from tunesmith.study.space.dotted import with_dotted_names

Value: TypeAlias = str | int | float | bool | None
Params: TypeAlias = Mapping[str, Value]

_FORMS = (
    "expected comparisons such as optimizer == 'sgd', layers > 2 or optimizer in ['sgd', 'lion'], "
    "joined by and, or and not"
)


class ConditionError(ValueError):
    """The expression has a form that conditions do not support; the message lists those that they do."""


def same(a: Value, b: Value) -> bool:
    """Return whether two parameter values are the same; unlike in Python, True is not 1."""
    return isinstance(a, bool) == isinstance(b, bool) and a == b


@dataclass(frozen=True, slots=True)
class Comparison:
    """`name op constants`; `constants` holds one value, or those of a list for `in` and `not in`."""

    name: str
    op: str
    constants: tuple[Value, ...]

    def holds(self, params: Params) -> bool:
        """Return whether the comparison is true; false if the parameter is inactive."""
        if self.name not in params:
            return False
        value = params[self.name]
        if self.op in _ORDER:
            constant = self.constants[0]
            return _is_number(value) and _is_number(constant) and _ORDER[self.op](value, constant)
        found = any(same(value, constant) for constant in self.constants)
        return found if self.op in ("==", "in") else not found


@dataclass(frozen=True, slots=True)
class Junction:
    """`and` or `or` over two or more conditions."""

    op: str
    parts: tuple[Condition, ...]

    def holds(self, params: Params) -> bool:
        """Return whether all parts (and), or at least one (or), are true."""
        test = all if self.op == "and" else any
        return test(part.holds(params) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Negation:
    """`not condition`."""

    part: Condition

    def holds(self, params: Params) -> bool:
        """Return whether the part is false and all its parameters are active."""
        return all(c.name in params for c in comparisons(self.part)) and not self.part.holds(params)


Condition: TypeAlias = Comparison | Junction | Negation

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_OPS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.In: "in", ast.NotIn: "not in",
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip


def parse(text: str) -> Condition:
    """Return the condition that the text describes.

    Raises:
        ConditionError: the text is not an expression, or has a form that is not supported.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ConditionError(f"{render_literal(text)} cannot be parsed; {_FORMS}") from None
    return _condition(with_dotted_names(tree.body))


def comparisons(condition: Condition) -> Iterator[Comparison]:
    """Yield every comparison in the condition, from left to right."""
    match condition:
        case Comparison():
            yield condition
        case Junction(parts=parts):
            for part in parts:
                yield from comparisons(part)
        case Negation(part=part):
            yield from comparisons(part)


def _condition(node: ast.expr) -> Condition:
    match node:
        case ast.BoolOp(op=op, values=values):
            return Junction("and" if isinstance(op, ast.And) else "or", tuple(_condition(v) for v in values))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return Negation(_condition(operand))
        case ast.Compare(left=ast.Name(id=name), ops=[op], comparators=[right]) if type(op) in _OPS:
            return _comparison(name, _OPS[type(op)], right)
        case ast.Name(id=name):
            return Comparison(name, "==", (True,))
    raise ConditionError(f"{render_literal(ast.unparse(node))} is not supported in a condition; {_FORMS}")


def _comparison(name: str, op: str, right: ast.expr) -> Comparison:
    if op in ("in", "not in"):
        if not isinstance(right, ast.List | ast.Tuple | ast.Set) or not right.elts:
            raise ConditionError(f"`{name} {op}` needs a list of values, for example {name} {op} ['a', 'b']")
        return Comparison(name, op, tuple(_constant(element) for element in right.elts))
    constant = _constant(right)
    if op in _ORDER and not _is_number(constant):
        raise ConditionError(f"{name} {op} {constant!r} is not supported: {op} only compares numbers")
    return Comparison(name, op, (constant,))


def _constant(node: ast.expr) -> Value:
    match node:
        case ast.Constant(value=str() | int() | float() | None as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            if not isinstance(number, bool):
                return -number
        case ast.Name(id="true" | "false" as word):
            # TOML spells booleans in lower case, and so do people who write TOML.
            return word == "true"
    raise ConditionError(
        f"{render_literal(ast.unparse(node))} is not a constant; compare with a text in quotes, a number, true or false"
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
