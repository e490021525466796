"""Formulas: what they accept and refuse, and that no text takes long or raises anything but their own error."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.study.space.rules.expression import ExpressionError, parse

VALUES = {"depth": 8, "aspect": 64, "head": 64, "lr": 0.001, "opt": "adam", "flag": True}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("ceil(depth * aspect / head) * head", 512),
        ("depth % 3 != 0", True),
        ("4 <= depth < 8", False),
        ("opt == 'adam' and lr > 0.0005", True),
        ("not flag or depth in [2, 8]", True),
        ("opt not in ('sgd', 'lion')", True),
        ("min(depth, 6, aspect) + max(1, 2) - abs(-3)", 5),
        ("round(lr * 1234, 2)", 1.23),
        ("log2(head) + sqrt(aspect) + floor(2.9) + int(flag) + int(7.9)", 6 + 8 + 2 + 1 + 7),
        ("depth if flag else head", 8),
        ("2 ** 10 // 3 % 7 / 2", 341 % 7 / 2),
        ("flag == true and flag != false", True),
        ("  depth\n", 8),
        ("2 ** -1", 0.5),
    ],
)
def test_a_formula_has_the_value_that_python_gives_it(text: str, value: object) -> None:
    assert parse(text).value(VALUES) == value


REFUSED = """
9**9**9 | 10**400 | 2.0**5000 | depth ** 99999 | 1 << 999999999 | 'a' * 10**9 | [0] * 10**9 | 1e400
1e308 * 10 | depth.real | depth.__class__ | ().__class__.__bases__ | (0.1).hex() | __import__('os')
open('x') | eval('1') | lambda: 1 | [x for x in (1,)] | depth[0] | depth := 3 | f'{depth}' | depth is 8
depth @ 2 | ~depth | min() | min(*[1, 2]) | round(1, 2, 3) | round(lr, 10**9) | max(1, key=2) | log2(0)
sqrt(-1) | depth / 0 | depth % (depth - depth) | (-8) ** 0.5 | ( | depth; 1 | import os | opt + 1 | -opt
flag + 1 | depth in 8 | depth in [] | None + 1 | int('9' * 4) | min(depth, opt) | yield | await x | *depth
{1: 2} | ... | 1j | b'x' | nothing + 1
"""
LONG = ["", "   ", "\x00", "\ud800", "(" * 300, "-" * 400 + "1", "1+" * 240 + "1", "9" * 400, "depth & 1", "depth | 1"]


@pytest.mark.parametrize("text", [*(text.strip() for line in REFUSED.split("\n") for text in line.split(" | ")), *LONG])
def test_what_is_not_a_formula_or_has_no_value_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(ExpressionError) as raised:
        parse(text).value(VALUES)
    assert str(raised.value)


def test_an_unknown_function_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ExpressionError, match="did you mean ceil"):
        parse("ceiling(depth)")


def test_names_are_those_of_values_in_order() -> None:
    assert parse("max(b, a) > b and true").names == ("b", "a")


WORDS = """depth lr opt flag 9 99999 1e300 0 'a' ( ) [ ] ** * / // % + - < == in not and or if else min ceil round log2
, . __class__ lambda: true None { } @ << # é"""
TOKENS = st.sampled_from([*WORDS.split(), "\n", "\x00", "\\"])


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(TOKENS, max_size=40).map(" ".join)))
def test_no_text_raises_anything_else_or_takes_long(text: str) -> None:
    started = time.process_time()
    with contextlib.suppress(ExpressionError):
        parse(text).value(VALUES)
    assert time.process_time() - started < 0.05
