"""Numbers of trials as people write them."""

from __future__ import annotations

import pytest

from tunesmith.study.errors import SpecError
from tunesmith.study.trials.numbers import numbers_text, parse_numbers


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("3-9", (3, 4, 5, 6, 7, 8, 9)),
        ("4", (4,)),
        ("#4 #6", (4, 6)),
        ("3 - 5, 9", (3, 4, 5, 9)),
        ("2..3", (2, 3)),
        ("1 to 3", (1, 2, 3)),
        ("5,5,4-5", (5, 4)),
    ],
)
def test_numbers_and_ranges_are_read(text: str, numbers: tuple[int, ...]) -> None:
    assert parse_numbers(text) == numbers


@pytest.mark.parametrize("text", ["", "all", "3-", "-3", "9-3", "0-99999999", "1.5", "3;x"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(SpecError):
        parse_numbers(text)


def test_numbers_are_shown_in_ranges() -> None:
    assert numbers_text([3, 4, 5, 9]) == "trials 3-5, 9"
    assert numbers_text([3]) == "trial 3"
    assert numbers_text([]) == ""
