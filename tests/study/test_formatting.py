"""Values as text: what is read back, what is never printed, and what JSON can hold."""

from __future__ import annotations

import json
import math
import re
import time
import unicodedata
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tunesmith.study.formatting import (
    SHORT_DIGITS,
    escape_control,
    json_number,
    json_number_or_text,
    json_values,
    one_line,
    position_between,
    render_exact,
    render_parameter,
    render_params,
    strip_control,
    valid_text,
    valid_values,
)
from tunesmith.study.space.condition import Value

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
NESTED = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.001, 4, "0.001"),
        (0.00123456789, 6, "0.00123457"),
        (0.00123456789, 4, "0.001235"),
        (8.1e-5, 4, "8.1e-05"),
        (98270.4, 4, "98270"),
        (1e6, 6, "1000000"),
        (1e9, 6, "1e+09"),
        (-3.0, 4, "-3"),
        (0.0, 4, "0"),
        (math.nan, 4, "nan"),
        (-math.inf, 4, "-inf"),
        (12345678, 4, "12345678"),
        (True, 4, "true"),
        (None, 4, "none"),
        ("adam", 4, "adam"),
        ("a\nb\x1b[31m", 4, "a b"),
    ],
)
def test_a_value_reads_as_people_write_it(value: Value, digits: int, text: str) -> None:
    assert render_parameter(value, digits=digits) == text


@given(st.floats(-1e307, 1e307), st.integers(1, 17))
def test_a_rendered_float_is_right_to_its_digits(value: float, digits: int) -> None:
    assert math.isclose(float(render_parameter(value, digits=digits)), value, rel_tol=0.5 * 10 ** (1 - digits))


@given(st.floats(allow_nan=False) | st.integers())
def test_what_a_command_line_is_given_is_the_same_number(value: float) -> None:
    text = render_exact(value)
    assert type(value)(text) == value


def test_a_configuration_is_one_line() -> None:
    params: dict[str, Value] = {"lr": 0.00123456789, "hidden": 64, "amp": True, "opt": "adam"}
    assert render_params(params) == "lr=0.00123457 hidden=64 amp=true opt=adam"
    assert render_params(params, digits=SHORT_DIGITS) == "lr=0.001235 hidden=64 amp=true opt=adam"


@given(NESTED)
def test_strict_json_holds_every_value(value: Any) -> None:
    text = json.dumps(json_values(value), allow_nan=False)
    assert json.loads(text) == json_values(value)


@given(st.floats())
def test_a_number_is_kept_or_becomes_null(value: float) -> None:
    assert json_number(value) == (value if math.isfinite(value) else None)
    assert json_values({"a": [value]}) == {"a": [json_number(value)]}


@given(st.floats())
def test_a_number_as_text_is_read_back(value: float) -> None:
    back = float(json.loads(json.dumps(json_number_or_text(value), allow_nan=False)))
    assert back == value or math.isnan(back) and math.isnan(value)


def test_floats_are_rounded_on_request() -> None:
    assert json_values({"a": (1 / 3, math.inf), 2: "x"}, digits=3) == {"a": [0.333, None], "2": "x"}


CONTROL = st.sampled_from(
    [*"\x00\x07\x08\x0b\x1b[]mP\\?0;9\r\n\t\x7f\x85\x9b\xa0\xad\u200b\u202e\u2028\ufeff\ud800", "\x1b]0;"]
)


@given(st.lists(CONTROL | st.text(max_size=3)).map("".join) | st.text())
@example("\x1b]0;title\x07 \x1b[31mred\x1b[0m \x1b(B")
@example("\x1b")
def test_no_control_character_survives(text: str) -> None:
    for clean, kept in ((strip_control(text), "\n\t"), (one_line(text, None), ""), (escape_control(text), "")):
        left = [c for c in clean if unicodedata.category(c)[0] == "C" and c not in kept and c not in "\u200c\u200d"]
        assert left == []
        clean.encode("utf-8")
    assert strip_control(strip_control(text)) == strip_control(text)


def test_escape_sequences_leave_nothing_behind() -> None:
    assert strip_control("\x1b]0;title\x07a \x1b[1;31mred\x1b[0m\x1b[?25l b\r\nc\rd") == "a red b\nc\nd"
    assert (
        strip_control("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \U0001f469\u200d\U0001f52c").count("\u200c")
        == 1
    )


@given(st.text(), st.integers(1, 50))
def test_one_line_is_one_line_of_the_length_asked_for(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert not re.search(r"[\n\t\r]", line)


def test_control_characters_of_what_a_person_decides_on_are_spelled_out() -> None:
    assert escape_control("a\x1b[31m\u202egnp.py\ud800 \U000e0041") == "a\\x1b[31m\\u202egnp.py\\ud800 \\U000e0041"
    assert escape_control("na\u00efve \u6771\u4eac \U0001f469") == "na\u00efve \u6771\u4eac \U0001f469"


@given(st.text() | st.sampled_from(["\ud800", "a\0b", "\udfff\ud800", "\ud83d\ude00"]))
def test_text_from_outside_is_valid_after_the_door(text: str) -> None:
    clean = valid_text(text)
    assert "\0" not in clean
    assert len(clean) == len(text)
    assert clean.encode().decode() == clean
    assert valid_values({text: [text, {"a": text}], "n": 1}) == {clean: [clean, {"a": clean}], "n": 1}


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2))
@example([1e308, -1e308, 0.0])
@example([5e-324, 0.0, -5e-324])
def test_positions_in_any_finite_range_are_between_0_and_1(values: list[float]) -> None:
    found = [position_between(value, min(values), max(values)) for value in sorted(values)]
    assert found == sorted(found)
    assert found[0] == 0.0
    assert found[-1] == float(min(values) < max(values))


def test_endless_unclosed_escapes_are_read_in_linear_time() -> None:
    began = time.process_time()
    strip_control("\x1b]" * 200_000)
    assert time.process_time() - began < 5
