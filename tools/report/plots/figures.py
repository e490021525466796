"""The plots of a report as plotly figures. The page sets the colours of text and grid, which depend on its theme."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from tunesmith.study.formatting import render_short
from tunesmith.study.space.parameters import Bool, Choice, Parameter
from tunesmith.study.trials.results import present_improvements
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.view import Objective
from tunesmith.tools.analysis.findings.figures import ConfigResult, plus_minus
from tunesmith.tools.analysis.findings.summary import Summary
from tunesmith.tools.analysis.importance import percent_range
from tunesmith.tools.report.facts import is_valued
from tunesmith.tools.report.inputs import ReportInput
from tunesmith.tools.report.plots import colours
from tunesmith.tools.report.plots.scale import AxisScale, axis_scale
from tunesmith.tools.report.sanitize import hover, in_plot

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MANY_TRIALS = 600
"""Number of trials above which a mark's hover text omits the parameters."""
_SLICE_CHARACTERS = 26
"""Characters that fit on one line below a slice."""
MARGIN = {"l": 62, "r": 16, "t": 12, "b": 46}
LEGEND = {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """One plot. `key` names its place on the page; `label` is the text that a screen reader speaks."""

    key: str
    label: str
    figure: Figure
    height_px: int
    min_width_px: int = 0


def values_over_trials(report: ReportInput) -> Plot | None:
    """Return the first objective of every trial by number, the incumbent as a line, failures at the bad edge."""
    spec, trials = report.record.spec, _tuned(report)
    objective = spec.objectives[0]
    shown = [t for t in trials if _has_value(t, objective)]
    if not trials or not (shown or any(t.failure for t in trials)):
        return None
    scale = axis_scale([t.values[objective.metric] for t in shown] or [1.0], sign=objective.sign)
    figure = _figure(trials, objective, scale)
    if not shown:
        figure.update_yaxes(showticklabels=False, showgrid=False)
    with_params, size = len(trials) <= MANY_TRIALS, 8 if len(trials) <= 150 else 5
    for name, group in _by_source(t for t in shown if t.state is TrialState.COMPLETE):
        _add_dots(figure, name, group, objective, scale, with_params=with_params, size=size)
    _add_quiet(figure, [t for t in shown if t.state is TrialState.STOPPED], objective, scale, with_params=with_params)
    rim = [t for t in shown if not scale.holds(t.values[objective.metric])]
    _add_rim(figure, "off the scale", rim, "triangle-up" if objective.sign > 0 else "triangle-down", colours.QUIET)
    _add_rim(figure, "failed", [t for t in trials if t.failure], "x-thin-open", colours.FAILED)
    _add_incumbent(figure, report, trials[-1].number)
    return Plot(key="values", label=f"{objective.metric} of every trial", figure=figure, height_px=400)


def confirmed_values(summary: Summary) -> Plot | None:
    """Return tuning values and values on fresh seeds, one row per configuration, with 95% intervals."""
    import plotly.graph_objects as go  # 0.5 s

    candidates = [c for c in summary.replicated if c.confirmed]
    if not candidates:
        return None
    rows = sorted(candidates, key=lambda c: -summary.objective.sign * c.confirmed.mean if c.confirmed else 0.0)
    names = [_candidate_name(c, summary) for c in rows]
    figure = go.Figure(layout={"margin": {**MARGIN, "l": 78, "t": 40}, "legend": LEGEND})
    seeds = [(name, value) for name, c in zip(names, rows, strict=True) if c.confirmed for value in c.confirmed.values]
    figure.add_scatter(
        name="single seeds", mode="markers", y=[name for name, _ in seeds], x=[value for _, value in seeds],
        marker={"color": colours.QUIET, "size": 7, "opacity": 0.55}, hovertemplate="%{x:.5g}<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        name="mean on fresh seeds, 95% interval", mode="markers", y=names,
        x=[c.confirmed.mean for c in rows if c.confirmed],
        error_x={"array": [c.confirmed.margin or 0 for c in rows if c.confirmed], "thickness": 2, "width": 6,
                 "color": colours.BEST},
        marker={"color": colours.BEST, "size": 11},
        text=[plus_minus(c.confirmed) for c in rows if c.confirmed], hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        name="value while tuning", mode="markers", y=names, x=[c.value for c in rows],
        marker={"color": colours.FAILED, "size": 11, "symbol": "circle-open", "line": {"width": 2}},
        hovertemplate="%{x:.5g} while tuning<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(title=in_plot(summary.objective.metric), nticks=6)
    figure.update_yaxes(type="category", ticklabelstandoff=6, range=[-0.6, len(rows) - 0.4])
    return Plot(key="confirmed", label="Tuned and confirmed values", figure=figure, height_px=150 + 44 * len(rows))


def importance_bars(summary: Summary) -> Plot | None:
    """Return each parameter's part of the variance as bars with intervals: over the whole space, and near the best."""
    import plotly.graph_objects as go

    found = summary.importance
    regions = (("over the whole space", found.whole, colours.PLAIN), ("near the best", found.near_best, colours.BEST))
    shown = found.names[:15][::-1]
    if not shown:
        return None
    figure = go.Figure(layout={"margin": {**MARGIN, "l": 16, "r": 40}, "barmode": "group"})
    for region, shares, colour in regions[::-1]:
        known = [name for name in shown if name in shares]
        if known:
            figure.add_bar(
                name=region, orientation="h", y=[in_plot(name, 24) for name in known],
                x=[shares[name].mean for name in known], marker={"color": colour},
                error_x={"symmetric": False, "thickness": 1, "width": 3,
                         "array": [shares[name].high - shares[name].mean for name in known],
                         "arrayminus": [shares[name].mean - shares[name].low for name in known]},
                hovertext=[f"{region}: {percent_range(shares[name])}" for name in known],
                hovertemplate="%{y} %{hovertext}<extra></extra>",
            )  # fmt: skip
    figure.update_layout(legend={"traceorder": "reversed", "orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"})
    figure.update_xaxes(tickformat=".0%", rangemode="tozero", nticks=6)
    figure.update_yaxes(type="category", automargin=True, ticklabelstandoff=6, showgrid=False)
    return Plot(key="importance", label="Importance", figure=figure, height_px=110 + 40 * len(shown))


def slices(report: ReportInput, summary: Summary) -> list[Plot]:
    """Return the first objective over each of the most important parameters, one plot each."""
    objective = summary.objective
    trials = [t for t in _tuned(report) if is_valued(t, objective.metric)]
    plots = []
    for index, name in enumerate(summary.important):
        active = [t for t in trials if name in t.params]
        if active:
            figure = _slice(report.record.spec.space.parameters[name], name, active, objective, summary)
            plots.append(Plot(key=f"slice-{index}", label=f"{objective.metric} over {name}", figure=figure,
                              height_px=280))  # fmt: skip
    return plots


def fronts(report: ReportInput, summary: Summary) -> list[Plot]:
    """Return a plot per pair of objectives with the Pareto front highlighted; none for a single objective."""
    if len(summary.objectives) < 2:
        return []
    valued = [t for t in _tuned(report) if all(is_valued(t, o.metric) for o in summary.objectives)]
    if not valued:
        return []
    pairs = combinations(summary.objectives, 2)
    return [
        Plot(key=f"front-{i}", label=f"{a.metric} and {b.metric}", figure=_front(valued, a, b, summary), height_px=360)
        for i, (a, b) in enumerate(pairs)
    ]


def _tuned(report: ReportInput) -> list[Trial]:
    return sorted((t for t in report.trials if not t.is_replicate), key=lambda t: t.number)


def _has_value(trial: Trial, objective: Objective) -> bool:
    value = trial.values.get(objective.metric, float("nan"))
    return trial.state in (TrialState.COMPLETE, TrialState.STOPPED) and abs(value) < float("inf")


def _by_source(trials: Iterable[Trial]) -> list[tuple[str, list[Trial]]]:
    groups: dict[str, list[Trial]] = {name: [] for name in colours.SOURCES}
    for trial in trials:
        groups[trial.proposal.source.value].append(trial)
    return [(name, group) for name, group in groups.items() if group]


def _figure(trials: Sequence[Trial], objective: Objective, scale: AxisScale) -> Figure:
    import plotly.graph_objects as go

    last = max(t.number for t in trials)
    figure = go.Figure(layout={"margin": {**MARGIN, "t": 56}, "legend": LEGEND, "hovermode": "closest"})
    figure.update_xaxes(title="trial", range=[-0.7 - last * 0.01, last + 0.7 + last * 0.01], zeroline=False)
    if last < 8:
        figure.update_xaxes(dtick=1)
    figure.update_yaxes(title=in_plot(objective.metric, 30), zeroline=False, **scale.layout())
    # A second axis holds failures at the edge, independent of the scale of the values.
    figure.update_layout(yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True})
    figure.layout.meta = {"rim": 0.97 if objective.sign > 0 else 0.03}
    return figure


def _add_dots(figure: Figure, name: str, trials: Sequence[Trial], objective: Objective, scale: AxisScale, *,
              with_params: bool, size: int) -> None:  # fmt: skip
    inside = [t for t in trials if scale.holds(t.values[objective.metric])]
    figure.add_scatter(
        name=name, mode="markers", x=[t.number for t in inside], y=[t.values[objective.metric] for t in inside],
        marker={"color": colours.SOURCES[name], "symbol": colours.MARKS[name], "opacity": 0.9,
                "size": size + (4 if name in ("default", "llm") else 0)},
        text=[hover(t, with_params=with_params) for t in inside], hovertemplate=_hover_template(with_params),
    )  # fmt: skip


def _add_quiet(
    figure: Figure, trials: Sequence[Trial], objective: Objective, scale: AxisScale, *, with_params: bool
) -> None:
    inside = [t for t in trials if scale.holds(t.values[objective.metric])]
    if inside:
        figure.add_scatter(
            name="stopped early", mode="markers", x=[t.number for t in inside],
            y=[t.values[objective.metric] for t in inside],
            marker={"color": colours.QUIET, "symbol": "circle-open", "size": 6},
            text=[hover(t, with_params=with_params) for t in inside], hovertemplate=_hover_template(with_params),
        )  # fmt: skip


def _hover_template(with_params: bool) -> str:
    return "%{text}<extra></extra>" if with_params else "%{text}<br>%{y:.4g}<extra></extra>"


def _add_rim(figure: Figure, name: str, trials: Sequence[Trial], symbol: str, colour: str) -> None:
    if trials:
        figure.add_scatter(
            name=name, mode="markers", x=[t.number for t in trials], y=[figure.layout.meta["rim"]] * len(trials),
            yaxis="y2", marker={"symbol": symbol, "size": 9, "color": colour, "line": {"width": 2, "color": colour}},
            text=[hover(t, with_params=len(trials) <= MANY_TRIALS) for t in trials],
            hovertemplate="%{text}<extra></extra>",
        )  # fmt: skip


def _add_incumbent(figure: Figure, report: ReportInput, last: int) -> None:
    spec = report.record.spec
    steps = present_improvements(_tuned(report), spec)
    steps = [step for step in steps if abs(step.value) < float("inf")]
    if steps:
        figure.add_scatter(
            name="best so far", mode="lines", x=[s.number for s in steps] + [last],
            y=[s.value for s in steps] + [steps[-1].value],
            line={"shape": "hv", "color": colours.BEST, "width": 2.5}, hoverinfo="skip",
        )  # fmt: skip


def _candidate_name(candidate: ConfigResult, summary: Summary) -> str:
    if summary.default and candidate.number == summary.default.number:
        return "default"
    return f"trial {candidate.number}"


def _slice(parameter: Parameter, name: str, trials: Sequence[Trial], objective: Objective, summary: Summary) -> Figure:
    import plotly.graph_objects as go

    scale = axis_scale([t.values[objective.metric] for t in trials], sign=objective.sign)
    inside = [t for t in trials if scale.holds(t.values[objective.metric])]
    best = summary.best.number if summary.best else None
    figure = go.Figure(layout={"margin": {**MARGIN, "l": 56}, "showlegend": False, "hovermode": "closest"})
    for source, group in _by_source(inside):
        figure.add_scatter(
            name=source, mode="markers", x=[_position(parameter, t, name) for t in group],
            y=[t.values[objective.metric] for t in group],
            marker={"color": colours.SOURCES[source], "symbol": colours.MARKS[source], "opacity": 0.75,
                    "size": [13 if t.number == best else 7 for t in group],
                    "line": {"color": colours.BEST, "width": [3 if t.number == best else 0 for t in group]}},
            text=[f"{hover(t, with_params=False)}<br>{in_plot(f'{name} = {render_short(t.params[name])}')}"
                  for t in group],
            hovertemplate="%{text}<br>%{y:.4g}<extra></extra>",
        )  # fmt: skip
    figure.update_yaxes(title=in_plot(objective.metric, 24), zeroline=False, **scale.layout())
    figure.update_xaxes(title=in_plot(name, 30), zeroline=False, **_slice_axis(parameter))
    return figure


def _position(parameter: Parameter, trial: Trial, name: str) -> Any:
    """Return a trial's position on a slice's axis; choices by index, slightly offset so that marks do not overlap."""
    value = trial.params[name]
    if not isinstance(parameter, Choice | Bool):
        return value
    spread = (trial.number * 0.618034) % 1 - 0.5
    return parameter.scale.decode(parameter.to_unit(value)) + 0.3 * spread  # type: ignore[arg-type]  # its own value


def _slice_axis(parameter: Parameter) -> dict[str, Any]:
    if isinstance(parameter, Choice | Bool):
        choices = parameter.choices if isinstance(parameter, Choice) else (False, True)
        longest = max(3, _SLICE_CHARACTERS // len(choices))
        return {"tickvals": list(range(len(choices))), "range": [-0.5, len(choices) - 0.5],
                "ticktext": [in_plot(render_short(choice), longest) for choice in choices]}  # fmt: skip
    if parameter.log:
        return AxisScale(is_log=True, low=parameter.low * 0.9, high=parameter.high * 1.1).layout(most_ticks=5)
    pad = (parameter.high - parameter.low) * 0.04
    return AxisScale(is_log=False, low=parameter.low - pad, high=parameter.high + pad).layout(most_ticks=6)


def _front(trials: Sequence[Trial], a: Objective, b: Objective, summary: Summary) -> Figure:
    import plotly.graph_objects as go

    numbers = {c.number for c in summary.front}
    groups = {
        "on the front": ([t for t in trials if t.number in numbers], colours.BEST, "circle", 11),
        "dominated": ([t for t in trials if t.number not in numbers], colours.QUIET, "circle", 6),
        "default": ([t for t in trials if summary.default and t.number == summary.default.number],
                    colours.DEFAULT, "diamond", 12),
    }  # fmt: skip
    figure = go.Figure(layout={"margin": {**MARGIN, "t": 40}, "legend": LEGEND, "hovermode": "closest"})
    for name, (group, colour, symbol, size) in groups.items():
        if group:
            figure.add_scatter(
                name=name, mode="markers", x=[t.values[a.metric] for t in group],
                y=[t.values[b.metric] for t in group],
                marker={"color": colour, "symbol": symbol, "size": size, "opacity": 0.85},
                text=[hover(t, with_params=len(trials) <= MANY_TRIALS) for t in group],
                hovertemplate=_hover_template(len(trials) <= MANY_TRIALS),
            )  # fmt: skip
    _add_staircase(figure, groups["on the front"][0], a, b, is_pair=len(summary.objectives) == 2)  # noqa: PLR2004
    for update, objective in ((figure.update_xaxes, a), (figure.update_yaxes, b)):
        shown = axis_scale([t.values[objective.metric] for t in trials], sign=objective.sign)
        direction = "smaller is better" if objective.sign > 0 else "larger is better"
        update(title=f"{in_plot(objective.metric, 24)} ({direction})", zeroline=False, **shown.layout())
    return figure


def _add_staircase(figure: Figure, front: Sequence[Trial], a: Objective, b: Objective, *, is_pair: bool) -> None:
    """Draw what is reached at each level of the other objective; with three objectives a front is no line."""
    if not is_pair or len(front) < 2:
        return
    steps = sorted((t.values[a.metric], t.values[b.metric]) for t in front)
    figure.add_scatter(
        name="reached", mode="lines", x=[x for x, _ in steps], y=[y for _, y in steps],
        line={"color": colours.BEST, "width": 1, "shape": "hv" if a.sign > 0 else "vh"}, hoverinfo="skip",
        showlegend=False,
    )  # fmt: skip
