"""Parallel coordinates: one axis per parameter, one line per trial, from the worst fifth to the best.

Plotly's own plot needs WebGL, which many remote desktops lack, and cannot show inactive parameters. Here the line of
a trial passes below the axis of a parameter that is inactive.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunesmith.study.formatting import render_short
from tunesmith.study.space.condition import Value
from tunesmith.study.space.encoding import Bins
from tunesmith.study.space.parameters import Bool, Choice, Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import Trial
from tunesmith.tools.analysis.findings.summary import Summary
from tunesmith.tools.report.facts import is_valued
from tunesmith.tools.report.inputs import ReportInput
from tunesmith.tools.report.plots import colours
from tunesmith.tools.report.plots.figures import Plot
from tunesmith.tools.report.sanitize import in_plot

MAX_LINES = 300
MAX_AXES = 16
INACTIVE = -0.13


def parallel_coordinates(report: ReportInput, summary: Summary) -> Plot | None:
    """Return the complete trials as lines; None for fewer than three trials or two parameters."""
    import plotly.graph_objects as go  # 0.5 s

    space, objective = report.record.spec.space, summary.objective
    names = _axes(space, summary)
    trials = [t for t in report.trials if not t.is_replicate and is_valued(t, objective.metric)]
    ranked = sorted((t for t in trials if set(t.params) <= set(space.names)),
                    key=lambda t: -objective.sign * t.values[objective.metric])  # fmt: skip
    if len(ranked) < 3 or len(names) < 2:
        return None
    figure = go.Figure(layout={"margin": {"l": 40, "r": 60, "t": 64, "b": 8}, "showlegend": True,
                               "legend": {"orientation": "h", "x": 0, "y": 1.14, "yanchor": "bottom"}})  # fmt: skip
    for label, colour, group in _fifths(_thinned(ranked)):
        _add_lines(figure, label, colour, group, space, names)
    best = next((t for t in ranked if summary.best and t.number == summary.best.number), None)
    if best:
        _add_lines(figure, f"best (#{best.number})", colours.BEST, [best], space, names, width=3.5)
    figure.update_layout(shapes=[_axis_line(i) for i in range(len(names))],
                         annotations=[label for i, name in enumerate(names)
                                      for label in _axis_labels(i, name, space.parameters[name])])  # fmt: skip
    figure.update_xaxes(visible=False, range=[-0.15, len(names) - 0.75], fixedrange=True)
    figure.update_yaxes(visible=False, range=[INACTIVE - 0.07, 1.06], fixedrange=True)
    return Plot(key="parallel", label="All configurations", figure=figure, height_px=400,
                min_width_px=60 + 104 * len(names))  # fmt: skip


def has_inactive(report: ReportInput) -> bool:
    """Return whether some parameter may be inactive."""
    return any(p.when is not None for p in report.record.spec.space.parameters.values())


def _axes(space: SearchSpace, summary: Summary) -> list[str]:
    """Return the parameters to draw, in the order of the space; the most important ones of a large space."""
    chosen = dict.fromkeys([*summary.importance.names, *space.names])
    kept = set(list(chosen)[:MAX_AXES])
    return [name for name in space.names if name in kept]


def _thinned(ranked: Sequence[Trial]) -> list[Trial]:
    if len(ranked) <= MAX_LINES:
        return list(ranked)
    # All of the best hundred, and an even selection of the others.
    rest, best = ranked[:-100], ranked[-100:]
    stride = len(rest) / (MAX_LINES - 100)
    return [rest[int(i * stride)] for i in range(MAX_LINES - 100)] + list(best)


def _fifths(ranked: Sequence[Trial]) -> list[tuple[str, str, list[Trial]]]:
    labels = ("worst fifth", "", "middle", "", "best fifth")
    groups = []
    for index, (label, colour) in enumerate(zip(labels, colours.RANKED, strict=True)):
        low, high = index * len(ranked) // 5, (index + 1) * len(ranked) // 5
        if high > low:
            groups.append((label, colour, list(ranked[low:high])))
    return groups


def _add_lines(
    figure: Any, label: str, colour: str, trials: Sequence[Trial], space: SearchSpace, names: Sequence[str],
    *, width: float = 1.3,
) -> None:  # fmt: skip
    x: list[float | None] = []
    y: list[float | None] = []
    text: list[str | None] = []
    for trial in trials:
        x += [*range(len(names)), None]
        y += [_height(space.parameters[name], trial.params.get(name), name in trial.params) for name in names] + [None]
        text += [f"#{trial.number} {in_plot(_render_parameter(trial, name), 40)}" for name in names] + [None]
    figure.add_scatter(
        name=label, showlegend=bool(label), mode="lines", x=x, y=y, text=text, connectgaps=False,
        line={"color": colour, "width": width}, opacity=1.0 if width > 2 else 0.6,
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip


def _height(parameter: Parameter, value: Any, is_active: bool) -> float:
    if not is_active or parameter.invalid_reason(value):
        return INACTIVE
    return round(parameter.to_unit(value), 4)


def _render_parameter(trial: Trial, name: str) -> str:
    return f"{name} = {render_short(trial.params[name])}" if name in trial.params else f"{name} inactive"


def _axis_line(index: int) -> dict[str, Any]:
    return {"type": "line", "x0": index, "x1": index, "y0": 0, "y1": 1, "layer": "above",
            "line": {"color": colours.QUIET, "width": 1.5}}  # fmt: skip


def _axis_labels(index: int, name: str, parameter: Parameter) -> list[dict[str, Any]]:
    at = {"x": index, "showarrow": False, "font": {"size": 12}}
    title = {**at, "y": 1.06, "yanchor": "bottom", "text": f"<b>{in_plot(name, 15)}</b>", "font": {"size": 13}}
    if isinstance(parameter, Choice | Bool):
        choices = parameter.choices if isinstance(parameter, Choice) else (False, True)
        ticks: list[tuple[float, Value]] = [(parameter.to_unit(choice), choice) for choice in choices]  # type: ignore[arg-type]  # own choices
    else:
        ticks = [(0.0, parameter.low), (1.0, parameter.high)]
        if isinstance(parameter.scale, Bins):
            half = 0.5 / parameter.scale.count
            ticks = [(half, parameter.low), (1 - half, parameter.high)]
    ticks = ticks if len(ticks) <= 12 else [ticks[0], ticks[-1]]
    shown = [
        {**at, "x": index + 0.03, "xanchor": "left", "y": height, "yanchor": "middle",
         "text": in_plot(render_short(value), 11)}
        for height, value in ticks
    ]  # fmt: skip
    return [title, *shown]
