"""Formulas over parameters, such as `"heads > width / 16"` and `"ceil(depth * aspect / head) * head"`.

Python's parser reads the text, and only numbers, texts, names, arithmetic, comparisons, `and`, `or`, `not`, `in`,
`a if b else c` and the functions below are accepted; nothing is evaluated as code. Numbers stay below 2^256, so that no
formula takes long. Knows no search space.
"""

from __future__ import annotations

import ast
import math
import operator
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

from tunesmith.study.formatting import render_literal
from tunesmith.study.names import did_you_mean
from tunesmith.study.space.condition import Value, same
from tunesmith.study.space.dotted import with_dotted_names

LONGEST = 500
"""Largest number of characters of a formula."""

_MAX_BITS = 256
_MAX_NODES = 200
_MAX_DIGITS = 15
"""Largest second argument of round."""

_FORMS = (
    "expected numbers, names of parameters, + - * / // % **, comparisons, in, and, or, not, "
    "and the functions min, max, ceil, floor, round, abs, log2, sqrt, int"
)

Values: TypeAlias = Mapping[str, Value]
Evaluate: TypeAlias = Callable[[Values], Any]


class ExpressionError(ValueError):
    """The formula cannot be read, or has no value; the message says why."""


def _smallest(*numbers: float) -> float:
    return min(numbers)


def _largest(*numbers: float) -> float:
    return max(numbers)


def _rounded(number: float, digits: int = 0) -> float:
    if not -_MAX_DIGITS <= digits <= _MAX_DIGITS:
        raise ExpressionError(f"round to {digits} digits: at most {_MAX_DIGITS}")
    return round(number, int(digits)) if digits else round(number)


FUNCTIONS: Mapping[str, tuple[Callable[..., Any], int, int]] = {
    "min": (_smallest, 2, 20),
    "max": (_largest, 2, 20),
    "ceil": (math.ceil, 1, 1),
    "floor": (math.floor, 1, 1),
    "round": (_rounded, 1, 2),
    "abs": (abs, 1, 1),
    "log2": (math.log2, 1, 1),
    "sqrt": (math.sqrt, 1, 1),
    "int": (int, 1, 1),
}
"""The functions of formulas, each with the smallest and largest number of its arguments."""

_OPERATORS: Mapping[type[ast.operator], tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Add: ("+", operator.add),
    ast.Sub: ("-", operator.sub),
    ast.Mult: ("*", operator.mul),
    ast.Div: ("/", operator.truediv),
    ast.FloorDiv: ("//", operator.floordiv),
    ast.Mod: ("%", operator.mod),
}
_ORDER: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_WORDS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Expression:
    """A formula that was read.

    Attributes:
        text: as it was written.
        names: the names in it, in order, each once.
        tree: what Python's parser made of it; only of accepted forms.
    """

    text: str
    names: tuple[str, ...]
    tree: ast.expr = field(repr=False, compare=False)
    evaluate: Evaluate = field(repr=False, compare=False)

    def value(self, values: Values) -> Value:
        """Return the formula's value.

        Args:
            values: a value for every name.

        Raises:
            ExpressionError: there is none, for example because it divides by 0.
        """
        try:
            found: Value = self.evaluate(values)
        except ZeroDivisionError:
            raise ExpressionError("division by 0") from None
        except OverflowError:
            raise ExpressionError("a number is too large") from None
        except KeyError as missing:
            raise ExpressionError(f"{missing.args[0]} has no value") from None
        except ExpressionError:
            raise
        except ValueError:
            raise ExpressionError("a root or logarithm of a number that has none") from None
        return found


@lru_cache(maxsize=512)
def parse(text: str) -> Expression:
    """Return the formula that the text describes.

    Raises:
        ExpressionError: the text is not a formula, or has a form that is not supported.
    """
    if len(text) > LONGEST:
        raise ExpressionError(f"is {len(text)} characters long; expected at most {LONGEST}")
    try:
        with warnings.catch_warnings():
            # Python warns about "\d" and the like, which matters in code only.
            warnings.simplefilter("ignore")
            tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ExpressionError(f"{render_literal(text)} cannot be parsed; {_FORMS}") from None
    if sum(1 for _ in ast.walk(tree)) > _MAX_NODES:
        raise ExpressionError(f"has more than {_MAX_NODES} parts; split it into several")
    return evaluator(with_dotted_names(tree), text)


def evaluator(tree: ast.expr, text: str = "") -> Expression:
    """Return the formula of a tree, such as a part of another formula's.

    Raises:
        ExpressionError: the tree has a form that is not supported.
    """
    names = dict.fromkeys(node.id for node in _names(tree))
    return Expression(text or ast.unparse(tree), tuple(names), tree, _compiled(tree))


def _names(tree: ast.expr) -> list[ast.Name]:
    """Return the names of values, from left to right: without those of functions and of true and false."""
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in called and n.id not in _WORDS]
    return sorted(found, key=lambda n: (n.lineno, n.col_offset))


def _compiled(node: ast.expr) -> Evaluate:
    match node:
        case ast.Constant(value=str() | int() | float() | None as constant):
            return _constant(constant)
        case ast.Name(id=name):
            if name in _WORDS:
                return lambda _: _WORDS[name]
            return operator.itemgetter(name)
        case ast.UnaryOp(op=op, operand=operand):
            return _unary(op, _compiled(operand), node)
        case ast.BinOp(left=left, op=op, right=right):
            return _binary(op, _compiled(left), _compiled(right), node)
        case ast.BoolOp(op=op, values=parts):
            return _junction(op, [_compiled(part) for part in parts])
        case ast.IfExp(test=test, body=body, orelse=orelse):
            holds, then, otherwise = _compiled(test), _compiled(body), _compiled(orelse)
            return lambda values: then(values) if holds(values) else otherwise(values)
        case ast.Compare(left=left, ops=ops, comparators=rights):
            return _comparison(left, ops, rights)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in FUNCTIONS:
            return _call(name, arguments)
    raise ExpressionError(_unsupported(node))


def _unsupported(node: ast.expr) -> str:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        return f"there is no function {node.func.id}{did_you_mean(node.func.id, FUNCTIONS)}"
    try:
        shown = ast.unparse(node)
    except (RecursionError, ValueError):
        shown = type(node).__name__
    return f"{render_literal(shown)} is not supported; {_FORMS}"


def _constant(constant: Value) -> Evaluate:
    if isinstance(constant, int | float):
        _bounded(constant)
    return lambda _: constant


def _unary(op: ast.unaryop, operand: Evaluate, node: ast.expr) -> Evaluate:
    match op:
        case ast.Not():
            return lambda values: not operand(values)
        case ast.USub():
            return lambda values: -_number(operand(values))
        case ast.UAdd():
            return lambda values: _number(operand(values))
    raise ExpressionError(_unsupported(node))


def _binary(op: ast.operator, left: Evaluate, right: Evaluate, node: ast.expr) -> Evaluate:
    if isinstance(op, ast.Pow):
        return lambda values: _power(_number(left(values)), _number(right(values)))
    if type(op) not in _OPERATORS:
        raise ExpressionError(_unsupported(node))
    apply = _OPERATORS[type(op)][1]
    return lambda values: _bounded(apply(_number(left(values)), _number(right(values))))


def _power(base: float, exponent: float) -> Any:
    """Return base ** exponent, which with whole numbers could have more digits than the machine has memory."""
    if isinstance(base, int) and isinstance(exponent, int) and exponent >= 0:
        if abs(base) > 1 and (base.bit_length() - 1) * exponent > _MAX_BITS:
            raise ExpressionError(f"{base} ** {exponent} is too large")
        return _bounded(base**exponent)
    power = float(base) ** float(exponent)
    if isinstance(power, complex):
        raise ExpressionError(f"{base} ** {exponent} is not a real number")
    return _bounded(power)


def _number(value: Any) -> Any:
    if type(value) is int or type(value) is float:
        return value
    raise ExpressionError(f"{render_literal(value)} is not a number")


def _number_or_truth(value: Any) -> Any:
    return value if isinstance(value, bool) else _number(value)


def _bounded(number: Any) -> Any:
    if number.bit_length() > _MAX_BITS if type(number) is int else not math.isfinite(number):
        raise ExpressionError("a number is too large")
    return number


def _junction(op: ast.boolop, parts: Sequence[Evaluate]) -> Evaluate:
    if isinstance(op, ast.And):
        return lambda values: all(part(values) for part in parts)
    return lambda values: any(part(values) for part in parts)


def _comparison(left: ast.expr, ops: Sequence[ast.cmpop], rights: Sequence[ast.expr]) -> Evaluate:
    tests: list[Evaluate] = []
    for op, right in zip(ops, rights, strict=True):
        tests.append(_one_comparison(_compiled(left), op, right))
        left = right
    return tests[0] if len(tests) == 1 else lambda values: all(test(values) for test in tests)


def _one_comparison(first: Evaluate, op: ast.cmpop, right: ast.expr) -> Evaluate:
    if isinstance(op, ast.In | ast.NotIn):
        if not isinstance(right, ast.List | ast.Tuple | ast.Set) or not right.elts:
            raise ExpressionError("`in` needs a list of values, for example heads in [4, 8]")
        members, wanted = [_compiled(element) for element in right.elts], isinstance(op, ast.In)
        return lambda values: any(same(first(values), member(values)) for member in members) is wanted
    second = _compiled(right)
    if isinstance(op, ast.Eq):
        return lambda values: same(first(values), second(values))
    if isinstance(op, ast.NotEq):
        return lambda values: not same(first(values), second(values))
    if type(op) not in _ORDER:
        raise ExpressionError(f"`is` is not supported; write == or !=; {_FORMS}")
    compare = _ORDER[type(op)]
    return lambda values: compare(_number(first(values)), _number(second(values)))


def _call(name: str, arguments: Sequence[ast.expr]) -> Evaluate:
    function, fewest, most = FUNCTIONS[name]
    if not fewest <= len(arguments) <= most:
        expected = f"{fewest}" if fewest == most else f"{fewest} to {most}"
        raise ExpressionError(f"{name} takes {expected} numbers, not {len(arguments)}")
    each = [_compiled(argument) for argument in arguments]
    if len(each) == 1:
        only, checked = each[0], _number_or_truth if name == "int" else _number
        return lambda values: function(checked(only(values)))
    return lambda values: function(*(_number(argument(values)) for argument in each))
