"""Numbers as programs and people write them: read as a whole, or not at all."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.evaluator.output.numerals import read_count, read_number, read_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.41", 0.41),
        (".5", 0.5),
        ("5.", 5.0),
        ("-0.3", -0.3),
        ("\u22120.3", -0.3),
        ("+2", 2.0),
        ("1e-3", 1e-3),
        ("1.5E+02", 150.0),
        ("4.1D-01", 0.41),
        ("1_000", 1000.0),
        ("1,234", 1234.0),
        ("1,234,567.5", 1234567.5),
        ("-12,345.25", -12345.25),
        ("1'234'567.5", 1234567.5),
        ("1\u202f234\u202f567,5", 1234567.5),
        ("1.234.567,5", 1234567.5),
        ("0,87", 0.87),
        ("0,870", 0.87),
        ("1234,5", 1234.5),
        ("93.1%", 93.1),
        ("45,48 %", 45.48),
        ("0.41±0.02", 0.41),
        ("0.41+/-0.02", 0.41),
        ("0.41(3)", 0.41),
        ("0.41.", 0.41),
        ("0.41, 0.5", 0.41),
        ("0.41]", 0.41),
        ('"0.41"', 0.41),
        ("[0.41]", 0.41),
        ("tensor(0.4100, device='cuda:0')", 0.41),
        ("np.float64(0.41)", 0.41),
        ("Array(0.41, dtype=float32)", 0.41),
        ("<tf.Tensor: shape=(), dtype=float32, numpy=0.41>", 0.41),
        ("327/719 (45.48%)", 45.48),
        ("327/719 (45%)", 100 * 327 / 719),
        ("9,913/10,000 (99.13%)", 99.13),
        ("327/719", 327 / 719),
        ("327 / 719", 327 / 719),
        ("1 234 567,5", 1234567.5),
        ("1e999", math.inf),
        ("-inf", -math.inf),
        ("Infinity", math.inf),
        ("-1.#INF", -math.inf),
        ("∞", math.inf),
    ],
)
def test_a_number_is_read_as_it_is_meant(text: str, value: float) -> None:
    assert read_value(text, 0).value == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("text", ["nan", "NaN", "-nan", "NAN", "1.#QNAN", "-1.#IND", "-nan(ind)"])
def test_every_spelling_of_nan_is_nan(text: str) -> None:
    value = read_value(text, 0).value
    assert value is not None
    assert math.isnan(value)


@pytest.mark.parametrize(
    "text",
    [
        "0.4x", "1.2M", "12ms", "1.2.3", "1,2,3", "12,34,567", "[0.41, 0.5]", "12:30", "1 234", "0.5/0.6", "3/0",
        "1.2 × 10^-3", "1.2*10**3", "1.0e", "--5", "0x1F", "1" * 100, "none", "N/A", "abc", "", "192.168.0.1",
        "2026-11-28", "1,234.567,8", "1e5.5", "nano", "infra",
    ],
)  # fmt: skip
def test_what_may_be_something_else_is_no_number(text: str) -> None:
    assert read_value(text, 0).value is None


@pytest.mark.parametrize(
    ("text", "count"), [("3/10", 3), ("1,500:", 1500), ("003,", 3), ("12]", 12), ("3 of 10", 3), ("7.5", 7.5)]
)
def test_a_step_is_the_first_of_its_numbers(text: str, count: float) -> None:
    assert read_count(text, 0) == count


@given(value=st.floats(allow_nan=False))
def test_repr_of_every_float_is_read_back_exactly(value: float) -> None:
    assert read_number(repr(value)) == value


@given(value=st.floats(-1e12, 1e12), digits=st.integers(1, 6))
def test_thousands_and_decimal_commas_are_read_back(value: float, digits: int) -> None:
    grouped = f"{value:,.{digits}f}"
    assert read_number(grouped) == float(grouped.replace(",", ""))
    european = grouped.translate(str.maketrans(",.", ".,"))
    # Three decimals after a comma, and nothing else, are thousands.
    if not re.fullmatch(r"-?[1-9]\d{0,2},\d{3}", european):
        assert read_number(european) == float(grouped.replace(",", ""))


@given(text=st.text(st.sampled_from("0123456789.,'eE+-_/% x\u00a0"), max_size=30))
def test_what_is_read_has_all_digits_of_the_word(text: str) -> None:
    """No digit of the word that the number is in is left out."""
    reading = read_value(text, 0)
    if reading.value is not None and math.isfinite(reading.value) and "/" not in text:
        behind = text[reading.end : reading.end + 1]
        assert not re.match(r"[\w]", behind)
        assert not re.match(r",\d", text[reading.end : reading.end + 2])


@given(text=st.text(max_size=100), start=st.integers(0, 100))
def test_no_text_raises(text: str, start: int) -> None:
    value, end = read_value(text, start)
    assert value is None or isinstance(value, float)
    assert end >= 0
