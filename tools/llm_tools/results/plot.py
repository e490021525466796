"""A tool that draws values over trials, the curve of one trial, or values over a parameter: as text, HTML or PNG."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from tunesmith.study.errors import ToolRefused
from tunesmith.study.formatting import render_short
from tunesmith.study.names import did_you_mean
from tunesmith.study.optional_packages import require
from tunesmith.study.trials.view import StudyView
from tunesmith.tools.llm_tools.context import StudyReader, ToolContext
from tunesmith.tools.llm_tools.tool import Arguments, StudyTool
from tunesmith.tools.llm_tools.trials import find_trial
from tunesmith.tools.report.plots.ascii_plot import PlotPoints, plot_lines
from tunesmith.tools.report.plots.picture import picture

WIDTH = 72
"""Width of a drawing of characters."""
_LABELLED = 2
"""Number of choices up to which both ends of the axis name one."""


class PlotArguments(Arguments):
    """What to draw, and where."""

    of: Annotated[str, Field(max_length=80, description="A trial's number, a parameter, or empty for all trials.")] = ""
    file: Annotated[Literal["", "html", "png"], Field(description="Also write one.")] = ""


def plot(context: ToolContext, args: PlotArguments) -> str:
    """Return the drawing; write a file where that was asked for."""
    points = plot_points(context.study, args.of)
    lines = plot_lines(points, width=WIDTH)
    if args.file and points.x:
        lines.append(f"written: {_write(context, points, args)}")
    return "\n".join(lines)


def plot_points(reader: StudyReader, of: str) -> PlotPoints:
    """Return the points of a plot.

    Args:
        reader: the study.
        of: a trial's number for its curve, a parameter for values over it, or "" for values over trials.

    Raises:
        ToolRefused: there is no such trial or parameter.
    """
    view = reader.view()
    objective = view.objectives[0]
    if of.lstrip("#").isdigit():
        number = find_trial(view, int(of.lstrip("#"))).number
        curve = [o for o in reader.curve(number) if o.metric == objective.metric]
        return PlotPoints(
            x=[o.step for o in curve],
            y=[o.value for o in curve],
            x_name="step",
            y_name=objective.metric,
            sign=objective.sign,
        )
    if of:
        return _slice(of, view)
    drawn = [t for t in view.trials if not t.is_replicate]
    return PlotPoints(
        x=[t.number for t in drawn],
        y=[t.values.get(objective.metric, math.nan) for t in drawn],
        x_name="trial",
        y_name=objective.metric,
        sign=objective.sign,
    )


def _slice(name: str, view: StudyView) -> PlotPoints:
    """Return the values over one parameter; choices are placed side by side in order of appearance."""
    objective = view.objectives[0]
    if name not in view.space.parameters:
        raise ToolRefused(f"there is no trial and no parameter {name!r}{did_you_mean(name, view.space.names)}")
    parameter = view.space.parameters[name]
    complete = [t for t in view.trials if t.params.get(name) is not None and objective.metric in t.values]
    x, y = [t.params[name] for t in complete], [t.values[objective.metric] for t in complete]
    if parameter.kind not in ("choice", "bool"):
        log_x = bool(getattr(parameter, "log", False))
        numbers = [float(str(value)) for value in x]
        return PlotPoints(x=numbers, y=y, x_name=name, y_name=objective.metric, log_x=log_x, sign=objective.sign)
    names = list(dict.fromkeys(render_short(value) for value in x))
    return PlotPoints(
        x=[float(names.index(render_short(value))) for value in x],
        y=y,
        x_name=name if len(names) <= _LABELLED else f"{name}: {', '.join(names)}",
        y_name=objective.metric,
        x_ends=(names[0], names[-1]) if len(names) > 1 else None,
        sign=objective.sign,
    )


def _write(context: ToolContext, points: PlotPoints, args: PlotArguments) -> Path:
    """Write the plot to the study's folder and return the file's path."""
    if not context.may_write or context.folder is None:
        raise ToolRefused("no file may be written from here; without file the plot is returned as text")
    content = picture(points) if args.file == "png" else _page(points)
    name = re.sub(r"[^\w.-]+", "-", args.of.lstrip("#")) or "trials"
    path = context.folder / "plots" / f"{name}.{args.file}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise ToolRefused(f"{path} cannot be written: {error.strerror or error}") from None
    return path


def _page(points: PlotPoints) -> bytes:
    """Return an HTML page with the plot."""
    require("plotly", purpose="a plot as a file", extra="report")
    import plotly.graph_objects as go  # 0.5 s

    figure = go.Figure(layout={"xaxis_title": points.x_name, "yaxis_title": points.y_name})
    figure.add_scatter(
        x=list(points.x), y=list(points.y), mode="lines+markers" if points.x_name == "step" else "markers"
    )
    figure.update_xaxes(type="log" if points.log_x else "linear")
    text: str = figure.to_html()
    return text.encode()


PLOT = StudyTool("plot", PlotArguments, plot, is_shown=True, leaves_files=True)
