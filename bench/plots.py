"""Plots mean regret over trials, one line per planner with its interval: HTML with plotly, PNG with matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tunesmith.bench.statistics import Array, bootstrap
from tunesmith.bench.summary import Comparison
from tunesmith.study.errors import ProjectError

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
"""The palette of Okabe and Ito, which colour-blind readers can distinguish."""

LABEL = "mean normalized regret, 95% interval"


@dataclass(frozen=True, slots=True)
class _Line:
    planner: str
    colour: str
    trial: Array
    mean: Array
    low: Array
    high: Array


def draw(comparison: Comparison, folder: Path) -> list[Path]:
    """Write regret.html, and regret.png where matplotlib is installed; return the written paths.

    Raises:
        ProjectError: the folder cannot be written.
    """
    lines = _lines(comparison.curves)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [_html(lines, folder / "regret.html"), *_png(lines, folder / "regret.png")]
    except OSError as error:
        raise ProjectError(f"--plots {folder} cannot be written: {error.strerror}") from None


def _lines(curves: Mapping[str, Mapping[str, Array]]) -> list[_Line]:
    found = []
    for index, (planner, by_task) in enumerate(curves.items()):
        length = next(iter(by_task.values())).shape[1]
        bands = [bootstrap([c[:, i] for c in by_task.values()], resamples=400) for i in range(length)]
        mean, low, high = (np.array([getattr(b, part) for b in bands]) for part in ("mean", "low", "high"))
        found.append(_Line(planner, COLOURS[index % len(COLOURS)], np.arange(1.0, length + 1), mean, low, high))
    return found


def _html(lines: list[_Line], path: Path) -> Path:
    import plotly.graph_objects as go  # 0.3 s

    figure = go.Figure()
    for line in lines:
        around = np.concatenate([line.trial, line.trial[::-1]])
        band = np.concatenate([line.high, line.low[::-1]])
        shade = {"fill": "toself", "fillcolor": line.colour, "opacity": 0.12, "line": {"width": 0}}
        figure.add_scatter(x=around, y=band, **shade, hoverinfo="skip", showlegend=False, legendgroup=line.planner)
        style = {"color": line.colour}
        figure.add_scatter(x=line.trial, y=line.mean, name=line.planner, line=style, legendgroup=line.planner)
    figure.update_layout(template="plotly_white", xaxis_title="trials", yaxis_title=LABEL, yaxis_type="log")
    figure.write_html(path, include_plotlyjs=True)
    return path


def _png(lines: list[_Line], path: Path) -> list[Path]:
    try:
        from matplotlib.figure import Figure  # 0.4 s
    except ImportError:
        return []
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for line in lines:
        axes.plot(line.trial, line.mean, color=line.colour, label=line.planner)
        axes.fill_between(line.trial, line.low, line.high, color=line.colour, alpha=0.12, linewidth=0)
    axes.set(xlabel="trials", ylabel=LABEL, yscale="log")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
    return [path]
