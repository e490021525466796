"""Finds formulas that mix numbers, texts and truth values, before they are ever evaluated."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import Bool, Choice, Parameter

Kinds: TypeAlias = frozenset[str]
"""What a value can be: a number, a text, true or false, or none."""

NUMBER: Kinds = frozenset({"a number"})
TRUTH: Kinds = frozenset({"true or false"})
TEXT: Kinds = frozenset({"a text"})
NONE: Kinds = frozenset({"none"})


class KindError(ValueError):
    """A part of a formula is of the wrong kind; the message says which and what is expected."""


def kinds_of(parameter: Parameter) -> Kinds:
    """Return what the values of a parameter can be."""
    match parameter:
        case Choice(choices=choices):
            return frozenset[str]().union(*(_kind_of(choice) for choice in choices))
        case Bool():
            return TRUTH
    return NUMBER


def infer(tree: ast.expr, known: Mapping[str, Kinds]) -> Kinds:
    """Return what the value of a formula can be.

    Args:
        tree: an accepted formula.
        known: what each name can be.

    Raises:
        KindError: it calculates with something other than numbers, or compares values that are never equal.
    """
    match tree:
        case ast.Constant(value=str() | int() | float() | None as constant):
            return _kind_of(constant)
        case ast.Name(id=name):
            return known.get(name, TRUTH)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            _require(operand, TRUTH, known)
            return TRUTH
        case ast.BoolOp(values=parts):
            for part in parts:
                _require(part, TRUTH, known)
            return TRUTH
        case ast.Compare():
            _check_comparison(tree, known)
            return TRUTH
        case ast.IfExp(test=test, body=body, orelse=orelse):
            _require(test, TRUTH, known)
            return infer(body, known) | infer(orelse, known)
        case ast.Call(func=ast.Name(id="int"), args=[only]):
            _require(only, TRUTH if infer(only, known) == TRUTH else NUMBER, known)
            return NUMBER
    for part in _operands(tree):
        _require(part, NUMBER, known)
    return NUMBER


def _operands(tree: ast.expr) -> Iterator[ast.expr]:
    match tree:
        case ast.UnaryOp(operand=operand):
            yield operand
        case ast.BinOp(left=left, right=right):
            yield from (left, right)
        case ast.Call(args=arguments):
            yield from arguments


def _require(part: ast.expr, wanted: Kinds, known: Mapping[str, Kinds]) -> None:
    found = infer(part, known)
    if not found <= wanted:
        raise KindError(f"{ast.unparse(part)} is {_words(found - wanted)}; expected {_words(wanted)} there")


def _check_comparison(tree: ast.Compare, known: Mapping[str, Kinds]) -> None:
    left = tree.left
    for op, right in zip(tree.ops, tree.comparators, strict=True):
        if isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE):
            _require(left, NUMBER, known)
            _require(right, NUMBER, known)
        elif isinstance(right, ast.List | ast.Tuple | ast.Set):
            for member in right.elts:
                _check_comparable(left, member, known)
        else:
            _check_comparable(left, right, known)
        left = right


def _check_comparable(left: ast.expr, right: ast.expr, known: Mapping[str, Kinds]) -> None:
    first, second = infer(left, known), infer(right, known)
    if not first & second:
        raise KindError(
            f"compares {ast.unparse(left)}, which is {_words(first)}, with {ast.unparse(right)}, which is "
            f"{_words(second)}"
        )


def _kind_of(value: Value) -> Kinds:
    match value:
        case None:
            return NONE
        case bool():
            return TRUTH
        case str():
            return TEXT
    return NUMBER


def _words(kinds: Kinds) -> str:
    return " or ".join(sorted(kinds))
