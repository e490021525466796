"""Prepares the figures, tables and texts of the page. Contains no HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tunesmith.study.formatting import json_values, render_short
from tunesmith.study.units import short_number, short_seconds
from tunesmith.tools.analysis.findings.figures import plus_minus, probability_text
from tunesmith.tools.analysis.findings.summary import Summary
from tunesmith.tools.report import facts
from tunesmith.tools.report.facts import Row, number_text
from tunesmith.tools.report.inputs import ReportInput
from tunesmith.tools.report.plots import colours
from tunesmith.tools.report.plots.curves import learning_curves, other_series
from tunesmith.tools.report.plots.figures import (
    Plot,
    confirmed_values,
    fronts,
    importance_bars,
    slices,
    values_over_trials,
)
from tunesmith.tools.report.plots.mixtures import mixtures
from tunesmith.tools.report.plots.parallel import parallel_coordinates
from tunesmith.tools.report.sanitize import LONGEST_CELL, PLOT_DIGITS, cut

_CODE_COLUMN = 3
"""Where the table of trials has the version of the code, after number, source and state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One figure at the top of the page."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plots:
    """The plots of the page; None or empty where there is nothing to show."""

    values: Plot | None
    confirmed: Plot | None
    fronts: Sequence[Plot]
    importance: Plot | None
    slices: Sequence[Plot]
    mixtures: Sequence[Plot]
    curves: Plot | None
    series: Sequence[Plot]
    parallel: Plot | None

    @property
    def shown(self) -> list[Plot]:
        """The plots that exist, in the order of the page."""
        single = [self.values, self.confirmed, *self.fronts, *self.mixtures, self.importance, *self.slices]
        single += [self.curves, *self.series, self.parallel]
        return [plot for plot in single if plot is not None]


def plots(report: ReportInput, summary: Summary) -> Plots:
    """Return the page's plots."""
    return Plots(
        values=values_over_trials(report),
        confirmed=confirmed_values(summary),
        fronts=fronts(report, summary),
        importance=importance_bars(summary),
        slices=slices(report, summary),
        mixtures=mixtures(report, summary),
        curves=learning_curves(report, summary),
        series=other_series(report, summary),
        parallel=parallel_coordinates(report, summary),
    )


def tiles(summary: Summary) -> list[Tile]:
    """Return the figures at the top."""
    found = []
    if summary.best and not summary.front:
        found.append(Tile(label=f"best {summary.objective.metric}", value=short_number(summary.best.value),
                          note=f"trial #{summary.best.number}"))  # fmt: skip
    if summary.default and not summary.front:
        found.append(Tile(label="default", value=short_number(summary.default.value), note="before tuning"))
    found += _gain_tiles(summary)
    found.append(Tile(label="trials", value=f"{sum(summary.states.values()):,}", note=_states(summary)))
    return found


def table(report: ReportInput) -> dict[str, Any]:
    """Return the table of trials for the page's script: the columns, and a list of cells per trial."""
    spec = report.record.spec
    all_rows = list(facts.rows(report))
    names = [n for n in spec.space.names] + sorted({n for r in all_rows for n in r.params} - set(spec.space.names))
    fidelity = [spec.fidelity.name] if spec.fidelity else []
    versions = ["code"] if any(row.code for row in all_rows) else []
    head = ["#", "source", "state", *versions, *spec.metrics, *names, *fidelity, "time", "note"]
    numeric = {"#", *spec.metrics, *fidelity, "time", *(n for n in names if _is_numeric(all_rows, n))}
    rows = [_cells(row, spec.metrics, names, bool(fidelity)) for row in all_rows]
    if versions:
        pairs = zip(all_rows, rows, strict=True)
        rows = [[*cells[:_CODE_COLUMN], row.code or "own", *cells[_CODE_COLUMN:]] for row, cells in pairs]
    return {
        "columns": [{"name": cut(name), "numeric": name in numeric} for name in head],
        "rows": json_values(rows, digits=PLOT_DIGITS),
        "colours": colours.SOURCES,
    }


def data(page_plots: Plots, report: ReportInput) -> dict[str, Any]:
    """Return the data of the page's script as JSON values."""
    drawn = {plot.key: json_values(plot.figure.to_plotly_json(), digits=PLOT_DIGITS) for plot in page_plots.shown}
    return {"plots": drawn, "table": table(report)}


def when(seconds: float) -> str:
    """Return a local time to the minute."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")


def _gain_tiles(summary: Summary) -> list[Tile]:
    best, versus = summary.best, summary.versus_default
    found = []
    if best and best.confirmed and best.confirmed.margin is not None and not summary.front:
        found.append(Tile(label=f"on {summary.fresh}", value=plus_minus(best.confirmed),
                          note=f"{best.confirmed.count} runs, ± is a 95% interval"))  # fmt: skip
    stated = summary.stated
    if stated is None or summary.front:
        return found
    if versus is not None:
        note = f"better with probability {probability_text(versus.probability)}"
    else:
        note = "no interval is known" if stated.is_fresh else f"not confirmed on {summary.fresh}"
    label = f"gain on {stated.of}" if stated.is_fresh else "gain while tuning"
    return [*found, Tile(label=label, value=stated.text, note=note)]


def _states(summary: Summary) -> str:
    return ", ".join(f"{count} {state}" for state, count in summary.states.items())


def _cells(row: Row, metrics: Sequence[str], names: Sequence[str], has_fidelity: bool) -> list[Any]:
    """Return a text per column, or [text, sort key] where the text does not sort."""
    source = row.source if row.replicate_of is None else f"{row.source} #{row.replicate_of}"
    cells: list[Any] = [str(row.number), source, row.state]
    cells += [[number_text(row.values.get(metric)), row.values.get(metric)] for metric in metrics]
    cells += [cut(render_short(row.params[name]), LONGEST_CELL) if name in row.params else "" for name in names]
    if has_fidelity:
        cells.append(_fidelity_text(row.fidelity))
    cells.append(["–" if row.wall_s is None else short_seconds(row.wall_s), row.wall_s])
    cells.append(cut(row.note, LONGEST_CELL))
    return cells


def _is_numeric(rows: Sequence[Row], name: str) -> bool:
    values = [row.params[name] for row in rows if name in row.params]
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _fidelity_text(fidelity: float | None) -> str:
    if fidelity is None:
        return "–"
    return str(int(fidelity)) if fidelity == int(fidelity) else short_number(fidelity)
