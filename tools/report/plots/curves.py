"""The learning curves of all trials in one plot, subsampled so that a long study still gives a small file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.tools.analysis.findings.summary import Summary
from tunesmith.tools.report.inputs import ReportInput
from tunesmith.tools.report.plots import colours
from tunesmith.tools.report.plots.figures import LEGEND, MARGIN, Plot
from tunesmith.tools.report.plots.scale import axis_scale
from tunesmith.tools.report.sanitize import in_plot

MAX_CURVES = 250
MAX_POINTS = 100
MAX_SERIES = 16
"""Number of other series that are plotted."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One trial's values of one metric, in order of step; a value that is not finite is None."""

    trial: Trial
    steps: tuple[float, ...]
    values: tuple[float | None, ...]


def learning_curves(report: ReportInput, summary: Summary) -> Plot | None:
    """Return the curves of the first objective, with the best trial and the default highlighted, or None."""
    import plotly.graph_objects as go  # 0.5 s

    curves = _chosen(report, summary.objective.metric, _highlighted(summary))
    if not any(len(curve.steps) > 1 for curve in curves):
        return None
    figure = go.Figure(layout={"margin": {**MARGIN, "t": 56}, "legend": LEGEND, "hovermode": "closest"})
    _add_curves(figure, curves, summary)
    _set_axes(figure, curves, report, summary.objective.metric, sign=summary.objective.sign)
    return Plot(key="curves", label=f"{summary.objective.metric} while training", figure=figure, height_px=400)


def other_series(report: ReportInput, summary: Summary) -> list[Plot]:
    """Return a small plot for each other series that trials reported, those of most trials first."""
    import plotly.graph_objects as go

    plots = []
    for index, metric in enumerate(_other_metrics(report, summary)[:MAX_SERIES]):
        curves = _chosen(report, metric, _highlighted(summary))
        figure = go.Figure(layout={"margin": MARGIN, "showlegend": False, "hovermode": "closest"})
        _add_curves(figure, curves, summary)
        _set_axes(figure, curves, report, metric, sign=1.0)
        plots.append(Plot(key=f"series-{index}", label=f"{metric} while training", figure=figure, height_px=240))
    return plots


def _highlighted(summary: Summary) -> set[int]:
    return {c.number for c in (summary.best, summary.default) if c}


def _other_metrics(report: ReportInput, summary: Summary) -> list[str]:
    """Return the names of the other metrics with at least two points in a trial, those of most trials first."""
    series: Counter[str] = Counter()
    for observations in report.curves.values():
        counts = Counter(o.metric for o in observations)
        series.update(name for name, points in counts.items() if points > 1)
    return [name for name, _ in series.most_common() if name != summary.objective.metric]


def _add_curves(figure: object, curves: Sequence[Curve], summary: Summary) -> None:
    """Draw the curves, the best trial and the default in front."""
    highlighted = _highlighted(summary)
    for name, group, colour, opacity in _groups(curves, highlighted):
        _add_bundle(figure, name, group, colour, opacity)
    for curve in curves:
        if summary.default and curve.trial.number == summary.default.number:
            _add_curve(figure, "default", curve, colours.DEFAULT, "dash")
        if summary.best and curve.trial.number == summary.best.number:
            _add_curve(figure, f"best (#{curve.trial.number})", curve, colours.BEST, "solid")


def _set_axes(figure: Any, curves: Sequence[Curve], report: ReportInput, metric: str, *, sign: float) -> None:
    fidelity = report.record.spec.fidelity
    values = [value for curve in curves for value in curve.values if value is not None]
    if values:
        figure.update_yaxes(**axis_scale(values, sign=sign).layout())
    figure.update_xaxes(title=in_plot(fidelity.name if fidelity else "step"), zeroline=False)
    figure.update_yaxes(title=in_plot(metric, 30), zeroline=False)


def is_thinned(report: ReportInput) -> bool:
    """Return whether the plot omits some trials."""
    return sum(len(points) > 0 for points in report.curves.values()) > MAX_CURVES


def _chosen(report: ReportInput, metric: str, highlighted: Iterable[int]) -> list[Curve]:
    trials = [t for t in report.trials if not t.is_replicate and report.curves.get(t.number)]
    keep = set(highlighted)
    if len(trials) > MAX_CURVES:
        stride = len(trials) / MAX_CURVES
        keep |= {trials[int(i * stride)].number for i in range(MAX_CURVES)}
        trials = [t for t in trials if t.number in keep]
    curves = (_curve(trial, report.curves, metric) for trial in trials)
    return [curve for curve in curves if curve.steps]


def _curve(trial: Trial, curves: Mapping[int, Sequence[Observation]], metric: str) -> Curve:
    points = sorted((o for o in curves[trial.number] if o.metric == metric), key=lambda o: o.step)
    if len(points) > MAX_POINTS:
        stride = (len(points) - 1) / (MAX_POINTS - 1)
        points = [points[round(i * stride)] for i in range(MAX_POINTS)]
    values = tuple(o.value if abs(o.value) < float("inf") else None for o in points)
    return Curve(trial, tuple(o.step for o in points), values)


def _groups(curves: Sequence[Curve], highlighted: set[int]) -> list[tuple[str, list[Curve], str, float]]:
    others = [curve for curve in curves if curve.trial.number not in highlighted]
    named = (
        ("stopped early", (TrialState.STOPPED,), "#8f8f8f", 0.6),
        ("failed", (TrialState.FAILED,), colours.FAILED, 0.6),
        ("complete", (TrialState.COMPLETE,), colours.PLAIN, 0.4),
        ("running", (TrialState.RUNNING, TrialState.WAITING), "#e69f00", 0.8),
    )
    groups = [(name, [c for c in others if c.trial.state in states], colour, op) for name, states, colour, op in named]
    return [group for group in groups if group[1]]


def _add_bundle(figure: object, name: str, curves: Sequence[Curve], colour: str, opacity: float) -> None:
    """Add many curves as one line with gaps, since hundreds of traces make the page slow."""
    x: list[float | None] = []
    y: list[float | None] = []
    text: list[str | None] = []
    for curve in curves:
        x += [*curve.steps, None]
        y += [*curve.values, None]
        text += [f"#{curve.trial.number}"] * len(curve.steps) + [None]
    figure.add_scatter(  # type: ignore[attr-defined]  # plotly has no types
        name=name, mode="lines+markers" if max(len(c.steps) for c in curves) == 1 else "lines", x=x, y=y, text=text,
        line={"color": colour, "width": 1.2}, opacity=opacity, connectgaps=False,
        hovertemplate="<b>%{text}</b> %{y:.4g} at %{x}<extra></extra>",
    )  # fmt: skip


def _add_curve(figure: object, name: str, curve: Curve, colour: str, dash: str) -> None:
    figure.add_scatter(  # type: ignore[attr-defined]  # plotly has no types
        name=name, mode="lines", x=curve.steps, y=curve.values,
        line={"color": colour, "width": 3, "dash": dash}, hovertemplate=f"{name} %{{y:.4g}} at %{{x}}<extra></extra>",
    )  # fmt: skip
