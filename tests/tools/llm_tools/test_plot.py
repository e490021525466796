"""Plots for models and people: what is drawn, past outliers, and as a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.studies import complete, make_spec, proposal

from tunesmith.history.write import Recorder
from tunesmith.study.errors import ToolRefused
from tunesmith.tools.control.study_reader import FileStudyReader
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.results.plot import PLOT
from tunesmith.tools.report.plots.ascii_plot import PlotPoints, plot_lines


@pytest.fixture
def context(tmp_path: Path) -> Iterator[ToolContext]:
    spec = make_spec()
    with Recorder(tmp_path / "h.db", spec, project="", now=0.0) as recorder:
        for lr in (0.01, 0.02, 0.03):
            recorder.record_outcome(recorder.record_proposal(proposal(lr), 0.0), complete(lr), 1.0)
    reader = FileStudyReader(tmp_path / "h.db", lambda: spec)
    yield ToolContext(reader=reader, folder=tmp_path / "small")
    reader.close()


def plot(context: ToolContext, **arguments: Any) -> str:
    return PLOT.call(context, arguments)


@pytest.mark.parametrize(
    ("of", "axis"), [("", "trial"), ("lr", "lr"), ("hidden", "hidden"), ("optimizer", "optimizer")]
)
def test_values_are_drawn_over_trials_or_a_parameter(context: ToolContext, of: str, axis: str) -> None:
    text = plot(context, of=of)
    assert text.startswith("loss")
    assert axis in text.splitlines()[-1]
    assert "▀" in text or "▄" in text


def test_what_has_no_points_or_does_not_exist_is_said(context: ToolContext) -> None:
    assert plot(context, of="0") == "nothing to plot yet"
    assert plot(context, of="momentum", file="html") == "nothing to plot yet"
    for wrong, reason in (("lrr", "did you mean lr"), ("99", "there is no trial 99")):
        with pytest.raises(ToolRefused, match=reason):
            plot(context, of=wrong)


def test_a_file_is_written_on_wish_where_that_is_allowed(context: ToolContext, tmp_path: Path) -> None:
    pytest.importorskip("plotly", reason="the extra report is not installed")
    assert str(tmp_path / "small" / "plots" / "lr.html") in plot(context, of="lr", file="html")
    assert "<html" in (tmp_path / "small" / "plots" / "lr.html").read_text()
    with pytest.raises(ToolRefused, match="no file may be written"):
        PLOT.call(ToolContext(reader=context.reader, folder=context.folder, may_write=False), {"file": "html"})


def test_a_picture_needs_no_browser(context: ToolContext, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra report is not installed")
    assert "trials.png" in plot(context, file="png")
    assert (tmp_path / "small" / "plots" / "trials.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("values", "sign", "top", "off"),
    [
        ([1.0, 1.1, 1.2, 1.3, 1e6], 1.0, "1.3", 1),
        ([1.0, 1.1, 1.2, 1.3, 50.0], 1.0, "1.3", 1),
        ([-1e9, 0.90, 0.91, 0.92, 0.93], -1.0, "0.93", 1),
        ([-5.0, -5.1, -5.2, -5.3, 1e3], 1.0, "-5", 1),
        ([1.0, 1.1, 1.2, 1.3], 1.0, "1.3", 0),
        ([1.0, 1.0, 1.0], 1.0, "1", 0),
        ([3.0], -1.0, "3", 0),
    ],
)
def test_outliers_on_the_bad_side_do_not_flatten_the_rest(values: list[float], sign: float, top: str, off: int) -> None:
    points = PlotPoints(x=list(range(len(values))), y=values, x_name="trial", y_name="loss", sign=sign)
    lines = plot_lines(points)
    if "(logarithmic)" not in lines[0]:
        assert lines[1].lstrip().startswith(top)
        assert lines[-1].startswith(f"{off} value off the scale") is bool(off)
    assert all(len(line) <= 72 for line in lines)


def test_the_best_value_is_never_off_the_scale() -> None:
    points = PlotPoints(x=[0, 1, 2, 3, 4], y=[1.0, 1.1, 1.2, 1.3, -1e6], x_name="trial", y_name="loss", sign=1.0)
    assert not any("off the scale" in line for line in plot_lines(points))
