"""Plots of mixtures: the best shares next to the default's as bars, and every trial in a triangle of three sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tunesmith.study.formatting import render_params
from tunesmith.study.space.mixtures.rows import names_of
from tunesmith.study.space.mixtures.shares import Shares
from tunesmith.study.trials.trial import Trial
from tunesmith.tools.analysis.findings.summary import Summary
from tunesmith.tools.report.facts import is_valued
from tunesmith.tools.report.inputs import ReportInput
from tunesmith.tools.report.plots import colours
from tunesmith.tools.report.plots.figures import LEGEND, MARGIN, Plot
from tunesmith.tools.report.sanitize import hover, in_plot

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_CORNERS = 3
"""Number of sources of a mixture that is drawn as a triangle."""

_MOST_BARS = 40


def mixtures(report: ReportInput, summary: Summary) -> list[Plot]:
    """Return the bars of each mixture, and its triangle if it has three sources; none without a best trial."""
    plots = []
    for index, (name, shares) in enumerate(report.record.spec.space.mixtures.items()):
        bars = _bars(name, shares, summary)
        if bars is not None:
            count = min(len(shares.of), _MOST_BARS)
            plots.append(
                Plot(key=f"mixture-{index}", label=f"Shares of {name}", figure=bars, height_px=120 + 34 * count)
            )
        triangle = _triangle(name, shares, report, summary) if len(shares.of) == _CORNERS else None
        if triangle is not None:
            label = f"{summary.objective.metric} over {name}"
            plots.append(Plot(key=f"triangle-{index}", label=label, figure=triangle, height_px=420))
    return plots


def _bars(name: str, shares: Shares, summary: Summary) -> Figure | None:
    import plotly.graph_objects as go

    names = names_of(name, shares)
    groups = [("default", summary.default, colours.DEFAULT), ("best", summary.best, colours.BEST)]
    shown = [(label, found.params, colour) for label, found, colour in groups if found and names[0] in found.params]
    if not shown:
        return None
    last = shown[-1][1]
    order = sorted(zip(shares.of, names, strict=True), key=lambda pair: float(last[pair[1]]))[-_MOST_BARS:]  # type: ignore[arg-type]  # a share
    figure = go.Figure(layout={"margin": {**MARGIN, "l": 16, "r": 40}, "barmode": "group"})
    for label, params, colour in shown:
        figure.add_bar(
            name=label, orientation="h", y=[in_plot(source, 24) for source, _ in order],
            x=[params[own] for _, own in order], marker={"color": colour},
            hovertemplate=f"%{{y}} %{{x:.3g}} in the {label}<extra></extra>",
        )  # fmt: skip
    figure.update_layout(legend={**LEGEND, "traceorder": "reversed", "y": 1})
    figure.update_xaxes(title=f"share of {in_plot(name, 30)}", tickformat=".0%", rangemode="tozero", nticks=6)
    figure.update_yaxes(type="category", automargin=True, ticklabelstandoff=6, showgrid=False)
    return figure


def _triangle(name: str, shares: Shares, report: ReportInput, summary: Summary) -> Figure | None:
    import plotly.graph_objects as go

    names, objective = names_of(name, shares), summary.objective
    trials = [
        t
        for t in report.trials
        if not t.is_replicate and names[0] in t.params and is_valued(t, objective.metric) and not t.failure
    ]
    if len(trials) < 2:  # noqa: PLR2004  # one point shows nothing that the bars do not
        return None
    ranked = sorted(trials, key=lambda t: -objective.sign * t.values[objective.metric])
    figure = go.Figure(
        layout={"margin": {**MARGIN, "l": 50, "r": 50, "t": 84, "b": 40}, "legend": {**LEGEND, "y": 1.1}}
    )
    ends = [round(i * len(ranked) / len(colours.RANKED)) for i in range(len(colours.RANKED) + 1)]
    labels = ("worst fifth", "", "middle fifth", "", "best fifth")
    for index, (colour, label) in enumerate(zip(colours.RANKED, labels, strict=True)):
        group = ranked[ends[index] : ends[index + 1]]
        if group:
            figure.add_scatterternary(
                **_corners(group, names), name=label or "between", showlegend=bool(label), mode="markers",
                marker={"color": colour, "size": 8, "opacity": 0.9}, text=[_hover(t, names) for t in group],
                hovertemplate="%{text}<extra></extra>",
            )  # fmt: skip
    _add_rings(figure, trials, names, summary)
    axes = {
        axis: {"title": {"text": in_plot(source, 20)}, "min": 0, "tickformat": ".0%", "nticks": 5}
        for axis, source in zip(("aaxis", "baxis", "caxis"), shares.of, strict=True)
    }
    figure.update_layout(ternary={"sum": 1, **axes})
    return figure


def _corners(trials: Sequence[Trial], names: Sequence[str]) -> dict[str, list[Any]]:
    return {corner: [t.params[name] for t in trials] for corner, name in zip("abc", names, strict=True)}


def _hover(trial: Trial, names: Sequence[str]) -> str:
    shown = render_params({name: trial.params[name] for name in names}, digits=4)
    return f"{hover(trial, with_params=False)}<br>{in_plot(shown, 80)}"


def _add_rings(figure: Figure, trials: Sequence[Trial], names: Sequence[str], summary: Summary) -> None:
    rings = [
        ("best", summary.best, colours.BEST, "circle-open"),
        ("default", summary.default, colours.DEFAULT, "diamond-open"),
    ]
    for label, found, colour, symbol in rings:
        group = [t for t in trials if found is not None and t.number == found.number]
        if group:
            figure.add_scatterternary(
                **_corners(group, names), name=label, mode="markers", hoverinfo="skip",
                marker={"color": colour, "size": 16, "symbol": symbol, "line": {"width": 3, "color": colour}},
            )  # fmt: skip
