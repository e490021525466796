"""A plot as PNG, with matplotlib, which needs no browser. Arrays in, bytes out; knows no study."""

from __future__ import annotations

import io
import math

from tunesmith.study.optional_packages import require
from tunesmith.tools.report.plots.ascii_plot import PlotPoints
from tunesmith.tools.report.plots.colours import PLAIN
from tunesmith.tools.report.plots.scale import axis_scale

WIDTH_INCHES, HEIGHT_INCHES, DPI = 7.0, 4.0, 110


def picture(points: PlotPoints) -> bytes:
    """Return the points as a PNG of about 770 by 440 pixels.

    Raises:
        ProjectError: matplotlib is not installed.
    """
    require("matplotlib", purpose="a plot as PNG", extra="report")
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # 0.4 s, and no window system
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_INCHES, HEIGHT_INCHES), dpi=DPI, layout="constrained")
    axes = FigureCanvasAgg(figure).figure.add_subplot()
    pairs = [(x, y) for x, y in zip(points.x, points.y, strict=True) if math.isfinite(x) and math.isfinite(y)]
    style = "-o" if points.x_name == "step" else "o"
    axes.plot([x for x, _ in pairs], [y for _, y in pairs], style, color=PLAIN, markersize=4, linewidth=1)
    # Names come from scripts, where a dollar sign is not a formula.
    axes.set_xlabel(points.x_name, parse_math=False)
    axes.set_ylabel(points.y_name, parse_math=False)
    axes.set(xscale="log" if points.log_x else "linear")
    if points.sign is not None and pairs:
        # As in the report: a few outliers on the bad side must not flatten the rest.
        scale = axis_scale([y for _, y in pairs], sign=points.sign)
        axes.set(yscale="log" if scale.is_log else "linear", ylim=(scale.low, scale.high))
    axes.grid(alpha=0.3)
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()
