"""Plots made of characters: points in a frame, two dots per cell. Arrays in, lines out; knows no study."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.study.formatting import count, one_line, position_between, render_short
from tunesmith.study.units import short_number
from tunesmith.tools.report.plots.scale import axis_scale

_MARKS = {(True, False): "▀", (False, True): "▄", (True, True): "█", (False, False): " "}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlotPoints:
    """The points to draw.

    Attributes:
        x: of the same length as y; nan and infinity are left out of both.
        x_ends: labels of the two ends of the x axis; None for the smallest and the largest x.
        log_x: whether the x axis is logarithmic.
        sign: 1 where smaller y is better, -1 where larger is: then outliers on the bad side are drawn at the edge, and
            the y axis is logarithmic where that shows more; None for the plain range.
    """

    x: Sequence[float]
    y: Sequence[float]
    x_name: str
    y_name: str
    x_ends: tuple[str, str] | None = None
    log_x: bool = False
    sign: float | None = None


def plot_lines(points: PlotPoints, *, width: int = 72, height: int = 14) -> list[str]:
    """Return the plot, at most `width` characters wide; a sentence without points."""
    pairs = [
        (math.log10(x) if points.log_x else x, y)
        for x, y in zip(points.x, points.y, strict=True)
        if math.isfinite(x) and math.isfinite(y) and (x > 0 or not points.log_x)
    ]
    if not pairs:
        return ["nothing to plot yet"]
    low, high, log_y = _y_range([y for _, y in pairs], points.sign)
    beyond = sum(not low <= y <= high for _, y in pairs)
    shown = [min(max(y, low), high) for _, y in pairs]
    heights = [math.log10(y) for y in shown] if log_y else shown
    pairs = [(x, y) for (x, _), y in zip(pairs, heights, strict=True)]
    margin = max(len(short_number(low)), len(short_number(high))) + 1
    columns, height = max(width - margin - 2, 10), max(height, 2)
    lines = [f"{one_line(points.y_name, None)}{' (logarithmic)' if log_y else ''}"]
    for index, cells in enumerate(_cells(pairs, columns, height)):
        name = short_number(high) if index == 0 else short_number(low) if index == height - 1 else ""
        lines.append(f"{name:>{margin}} │{cells}".rstrip())
    lines.append(f"{'':>{margin}} └{'─' * columns}")
    lines.append(f"{'':>{margin}}  {_x_axis(points, pairs, columns)}")
    if beyond:
        lines.append(f"{count(beyond, 'value')} off the scale, drawn at the edge")
    return [line[:width] for line in lines]


def _y_range(values: Sequence[float], sign: float | None) -> tuple[float, float, bool]:
    """Return the ends of the y axis, which are values, and whether it is logarithmic."""
    if sign is None:
        return min(values), max(values), False
    scale = axis_scale(values, sign=sign)
    inside = [value for value in values if scale.holds(value)]
    return min(inside), max(inside), scale.is_log


def _cells(pairs: Sequence[tuple[float, float]], columns: int, height: int) -> list[str]:
    """Return `height` lines of `columns` characters with a dot for each pair."""
    left, right = min(x for x, _ in pairs), max(x for x, _ in pairs)
    low, high = min(y for _, y in pairs), max(y for _, y in pairs)
    rows = 2 * height
    grid = [[False] * columns for _ in range(rows)]
    for x, y in pairs:
        column = round(position_between(x, left, right) * (columns - 1))
        row = rows - 1 - round(position_between(y, low, high) * (rows - 1))
        grid[row][column] = True
    halves = zip(grid[::2], grid[1::2], strict=True)
    return ["".join(_MARKS[pair] for pair in zip(upper, lower, strict=True)) for upper, lower in halves]


def _x_axis(points: PlotPoints, pairs: Sequence[tuple[float, float]], columns: int) -> str:
    ends = min(x for x, _ in pairs), max(x for x, _ in pairs)
    first, last = points.x_ends or tuple(render_short(10**x if points.log_x else x) for x in ends)
    gap = max(columns - len(first) - len(last), 1)
    return f"{first}{one_line(points.x_name, None):^{gap}}{last}"
