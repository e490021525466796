"""Ends of ranges that a best value has reached: those that could be moved are named, natural ones are not."""

from __future__ import annotations

import pytest

from tunesmith.study.space.parameters import Choice, Float, Int
from tunesmith.study.space.space import SearchSpace
from tunesmith.tools.analysis.bounds.range_ends import reached_ends


@pytest.mark.parametrize(
    ("parameter", "value", "end"),
    [
        (Float(0.0, 0.5), 0.0, None),  # dropout, decay: nothing is below 0
        (Float(0.0, 0.5), 0.5, "upper"),
        (Float(0.0, 0.99), 0.99, None),  # momentum
        (Float(0.5, 0.999), 0.999, None),  # a beta
        (Float(0.0, 1.0), 1.0, None),
        (Float(1e-5, 1.0, log=True), 1.0, "upper"),  # a learning rate is no fraction
        (Float(1e-5, 1.0, log=True), 1e-5, "lower"),
        (Float(-1.0, 1.0), -1.0, "lower"),
        (Float(0.1, 3.0), 0.1, "lower"),
        (Int(1, 8), 1, None),  # layers
        (Int(1, 8), 8, "upper"),
        (Int(0, 8), 0, None),
        (Int(16, 512, log=True), 16, "lower"),
        (Int(1, 8), 4, None),
        (Choice(["a", "b"]), "a", None),
    ],
)
def test_only_ends_that_could_be_moved_are_named(
    parameter: Float | Int | Choice, value: float | str, end: str | None
) -> None:
    found = list(reached_ends(SearchSpace({"x": parameter}), {"x": value}))
    assert [one.end for one in found] == ([end] if end else [])
