"""Plots made of characters: points in a frame, two dots per cell. Arrays in, lines out; knows no study."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.study.units import short_number

_MARKS = {(True, False): "▀", (False, True): "▄", (True, True): "█", (False, False): " "}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlotPoints:
    """The points to draw. x and y have equal length; nan and infinity are left out; `log_x` makes x logarithmic."""

    x: Sequence[float]
    y: Sequence[float]
    x_name: str
    y_name: str
    log_x: bool = False


def plot_lines(points: PlotPoints, *, width: int = 72, height: int = 14) -> list[str]:
    """Return the plot, at most `width` characters wide; a sentence if there is no point to draw."""
    pairs = [
        (math.log10(x) if points.log_x else x, y)
        for x, y in zip(points.x, points.y, strict=True)
        if math.isfinite(x) and math.isfinite(y) and (x > 0 or not points.log_x)
    ]
    if not pairs:
        return ["no values to plot yet"]
    low, high = min(y for _, y in pairs), max(y for _, y in pairs)
    left, right = min(x for x, _ in pairs), max(x for x, _ in pairs)
    margin = max(len(short_number(low)), len(short_number(high))) + 1
    columns = max(width - margin - 2, 10)
    rows = 2 * height
    grid = [[False] * columns for _ in range(rows)]
    for x, y in pairs:
        column = round((x - left) / ((right - left) or 1.0) * (columns - 1))
        row = rows - 1 - round((y - low) / ((high - low) or 1.0) * (rows - 1))
        grid[row][column] = True
    lines = [points.y_name]
    for i in range(height):
        name = short_number(high) if i == 0 else short_number(low) if i == height - 1 else ""
        cells = "".join(_MARKS[top, bottom] for top, bottom in zip(grid[2 * i], grid[2 * i + 1], strict=True))
        lines.append(f"{name:>{margin}} │{cells}".rstrip())
    first, last = (short_number(10**v if points.log_x else v) for v in (left, right))
    gap = max(columns - len(first) - len(last), 1)
    lines.append(f"{'':>{margin}} └{'─' * columns}")
    lines.append(f"{'':>{margin}}  {first}{points.x_name:^{gap}}{last}")
    return [line[:width] for line in lines]
