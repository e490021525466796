"""Draws a study with Optuna's plots: an interactive plotly figure of each kind."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from tunesmith.history.read import History
from tunesmith.study.config.record import StudyRecord
from tunesmith.study.errors import ProjectError
from tunesmith.study.names import did_you_mean
from tunesmith.study.optional_packages import require
from tunesmith.tools.interop.optuna.mirror import Mirror
from tunesmith.tools.quiet_optuna import quiet_optuna

KINDS = {
    "history": "plot_optimization_history",
    "importance": "plot_param_importances",
    "slice": "plot_slice",
    "contour": "plot_contour",
    "parallel": "plot_parallel_coordinate",
    "timeline": "plot_timeline",
}
"""Optuna's function for each kind of plot."""
_WITHOUT_PARAMETERS = ("history", "timeline")


def study_figure(
    kind: str, history: History, record: StudyRecord, params: Sequence[str] | None, metric: str | None
) -> Any:
    """Return a plotly figure.

    Args:
        kind: one of KINDS.
        history: where the study is.
        record: the study.
        params: names of parameters; None for all.
        metric: which of several objectives; None for the first.

    Raises:
        ProjectError: plotly or Optuna is missing, or a name is unknown.
    """
    for package in ("plotly", "optuna"):
        require(package, purpose=f"the plot {kind}", extra="report")
    import optuna  # 0.2 s

    metrics = [o.metric for o in record.spec.objectives]
    chosen = metrics[0] if metric is None else metric
    if chosen not in metrics:
        raise ProjectError(f"there is no objective {chosen!r}{did_you_mean(chosen, metrics)}")
    unknown = [name for name in params or () if name not in record.spec.space.parameters]
    if unknown:
        raise ProjectError(f"there is no parameter {unknown[0]!r}{did_you_mean(unknown[0], record.spec.space.names)}")
    with warnings.catch_warnings(), quiet_optuna():
        warnings.simplefilter("ignore")
        mirror = Mirror(record)
        mirror.update(history, record)
        study = optuna.load_study(study_name=record.name, storage=mirror.storage)
        given: dict[str, Any] = {}
        if kind != "timeline":
            given["target_name"] = chosen
        if kind != "timeline" and len(metrics) > 1:
            index = metrics.index(chosen)
            given["target"] = lambda trial: trial.values[index]
        if kind not in _WITHOUT_PARAMETERS and params is not None:
            given["params"] = list(params)
        return getattr(optuna.visualization, KINDS[kind])(study, **given)
