"""Plots in a terminal fit its width for any values."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from tunesmith.tools.report.plots.ascii_plot import PlotPoints, plot_lines


@given(
    st.lists(st.tuples(st.floats(allow_nan=True, width=32), st.floats(allow_nan=True, width=32)), max_size=40),
    st.booleans(),
    st.integers(20, 100),
)
def test_any_points_are_plotted_within_the_width(pairs: list[tuple[float, float]], log_x: bool, width: int) -> None:
    points = PlotPoints(x=[x for x, _ in pairs], y=[y for _, y in pairs], x_name="x", y_name="y", log_x=log_x)
    lines = plot_lines(points, width=width)
    assert lines
    assert all(len(line) <= width for line in lines)


def test_the_highest_value_is_in_the_top_row() -> None:
    lines = plot_lines(PlotPoints(x=[0, 1, 2], y=[1.0, 3.0, math.nan], x_name="trial", y_name="loss"))
    assert lines[0] == "loss"
    assert lines[1].lstrip().startswith("3.000 │")
    assert lines[1].rstrip().endswith("▀")
