"""A figure for a paper: best value so far by tuning trials, and the performance profile. PNG and PDF, by matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.bench.methods.results import MethodResult
from tunesmith.bench.methods.targets import share_within
from tunesmith.bench.plots import COLOURS
from tunesmith.tools.analysis.confirmation.significance import sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_MULTIPLE = 8.0
"""Where the axis of the profile ends, in multiples of the fastest method's trials."""
_STYLES = ("-", "--", "-.", ":")


def draw(
    by_task: Mapping[str, Mapping[str, Sequence[MethodResult]]],
    target: Mapping[str, float],
    profile: Mapping[str, Sequence[float]],
    folder: Path,
) -> list[Path]:
    """Write comparison.png and comparison.pdf; return the paths, none where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure  # 0.4 s
    except ImportError:
        return []
    methods = list(profile)
    figure = Figure(figsize=(4.2 * (len(by_task) + 1), 3.6), layout="constrained")
    panels: list[Any] = list(figure.subplots(1, len(by_task) + 1, squeeze=False)[0])
    for axes, (task, results) in zip(panels, by_task.items(), strict=False):
        _progress(axes, task, results, methods)
        if task in target:
            axes.axhline(target[task], color="grey", linewidth=0.8, linestyle=":")
    _profile(panels[-1], profile)
    paths = [folder / f"comparison.{kind}" for kind in ("png", "pdf")]
    for path in paths:
        figure.savefig(path, dpi=160)
    return paths


def _progress(axes: Axes, task: str, results: Mapping[str, Sequence[MethodResult]], methods: Sequence[str]) -> None:
    """Draw the mean of the best value so far over repeats, with its 95% interval."""
    objective = next(iter(results.values()))[0].objective
    for method, some in results.items():
        curves = best_so_far(some)
        places = [i for i in range(curves.shape[1]) if np.isfinite(curves[:, i]).all()]
        bands = [sample(curves[:, i].tolist()) for i in places]
        mean = np.array([band.mean for band in bands if band])
        margin = np.array([(band.margin or 0.0) for band in bands if band])
        trials = np.array(places) + 1.0
        style = _style(methods.index(method))
        axes.plot(trials, mean, label=method, **style)
        axes.fill_between(trials, mean - margin, mean + margin, color=style["color"], alpha=0.12, linewidth=0)
    axes.locator_params(axis="x", integer=True)
    axes.set(title=task, xlabel="tuning trials", ylabel=f"best {objective.metric} so far")
    axes.legend(frameon=False)


def best_so_far(results: Sequence[MethodResult]) -> NDArray[np.float64]:
    """Return the best value after each tuning trial, (repeats, trials); nan before the first complete one."""
    length = max((result.trials for result in results), default=0)
    curves = np.full((len(results), length), np.nan)
    for row, result in zip(curves, results, strict=True):
        for moment in result.improvements:
            row[moment.trials - 1 :] = moment.value
    return curves


def _profile(axes: Axes, profile: Mapping[str, Sequence[float]]) -> None:
    multiples = np.geomspace(1.0, MAX_MULTIPLE, 100)
    for index, (method, found) in enumerate(profile.items()):
        axes.plot(multiples, [share_within(found, m) for m in multiples], label=method, **_style(index))
    axes.set(
        title="time to target",
        xlabel="multiple of the fastest method's trials",
        ylabel="share of tasks and repeats",
        xscale="log",
        ylim=(-0.03, 1.03),
    )
    ticks = [1, 2, 4, 8]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()


def _style(index: int) -> dict[str, Any]:
    """Return a colour and a dash pattern, so that lines differ in black and white as well."""
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": _STYLES[index % len(_STYLES)]}
